"""Numbers follow the old clusters by the images they share."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest

from paris_assets.clusters.assignment import own_clusters
from paris_assets.clusters.centroids import ClusterModel
from paris_assets.clusters.kmeans import fit
from paris_assets.clusters.numbers import FACT, numbered_as, numbers_said
from paris_assets.config import Clusters

TRUTH = np.repeat(np.arange(5), [50, 40, 30, 20, 10])
VECTORS = (np.eye(5, 8)[TRUTH] + 0.05 * np.random.default_rng(0).normal(size=(150, 8))).astype(np.float32)


def model(k: int, rows: np.ndarray | slice = slice(None), **settings: Any) -> ClusterModel:
    return fit(VECTORS[rows], Clusters(k=k, restarts=3, **settings), 0)


def labels(one: ClusterModel) -> np.ndarray:
    return own_clusters(VECTORS, one)[0].labels


@pytest.mark.parametrize(
    "settings",
    [{}, {"fine": 12}, {"fine": 12, "assignment": "inherit"}, {"reduce": "pca", "dims": 4}, {"max_share": 0.4}],
)
def test_numbers_stay_when_sizes_turn_round(settings: dict[str, Any]) -> None:
    few = np.concatenate([np.flatnonzero(group == TRUTH)[: 4 + 2 * group] for group in range(5)])
    old = model(5, few)  # the last group is the largest here
    new = model(5, **settings)
    assert labels(new)[0] != labels(old)[0]
    kept = numbered_as(new, old, VECTORS)
    np.testing.assert_array_equal(labels(kept), labels(old))
    assert kept.statistics[FACT] == {
        "before": 5, "matched": True, "agreement": 1.0, "moved": {}, "new": [], "gone": []
    }  # fmt: skip
    assert kept.statistics["sizes"] == np.bincount(labels(kept)).tolist() == [10, 20, 30, 40, 50]


def test_more_clusters_get_free_numbers() -> None:
    old = ClusterModel(model(5).coarse[[3, 0]], None, None, "nearest", True)
    kept = numbered_as(model(4), old, VECTORS)
    found = kept.statistics[FACT]
    assert (found["before"], found["new"], found["gone"], found["moved"]) == (2, [2, 3], [], {})
    assert (labels(kept)[TRUTH == 0] == 1).all()
    assert numbers_said(found).endswith("keep their number; clusters 2, 3 are new.")


def test_fewer_clusters_keep_the_lowest_numbers() -> None:
    old = model(5)
    new = ClusterModel(old.coarse[[4, 1]], None, None, "nearest", True, statistics={"sizes": [1, 2], "shares": [1, 2]})
    kept = numbered_as(new, old, VECTORS[np.isin(TRUTH, [1, 4])])
    found = kept.statistics[FACT]
    np.testing.assert_array_equal(kept.coarse, old.coarse[[4, 1]])
    assert found["agreement"] == 0.8
    assert (found["moved"], found["new"], found["gone"]) == ({"0": 4}, [], [0, 2, 3])
    assert "cluster 0 was cluster 4" in numbers_said(found)
    assert "clusters 0, 2, 3 are gone" in numbers_said(found)


def test_the_same_fit_again_says_nothing_new() -> None:
    old = model(5)
    again = numbered_as(model(5), old, VECTORS)
    assert again.statistics == old.statistics
    np.testing.assert_array_equal(again.coarse, old.coarse)


def test_vectors_of_another_width_are_not_compared() -> None:
    old = ClusterModel(np.eye(3, dtype=np.float32), None, None, "nearest", True)
    kept = numbered_as(model(5), old, VECTORS)
    assert kept.statistics[FACT] == {"before": 3, "matched": False}
    np.testing.assert_array_equal(kept.coarse, model(5).coarse)
    assert numbers_said(kept.statistics[FACT]).startswith("Clusters are numbered by size")

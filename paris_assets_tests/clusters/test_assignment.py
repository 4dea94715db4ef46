from __future__ import annotations

import numpy as np
import polars as pl
import pytest
from polars.testing import assert_frame_equal

from paris_assets.clusters.assignment import assign
from paris_assets.clusters.centroids import ClusterModel
from paris_assets.clusters.kmeans import fit
from paris_assets.config import Clusters

IDS = [f"{number:032x}" for number in range(300)]
VECTORS = np.random.default_rng(2).normal(size=(300, 24)).astype(np.float32)


@pytest.mark.parametrize(
    "settings",
    [{}, {"fine": 20}, {"fine": 20, "assignment": "inherit"}, {"max_share": 0.25}, {"reduce": "pca", "dims": 6}],
)
def test_order_and_batches_change_no_bit(settings: dict) -> None:
    model = fit(VECTORS, Clusters(k=5, restarts=1, **settings), 0)
    whole = assign(IDS, VECTORS, model)
    order = np.random.default_rng(0).permutation(300)
    cuts = np.array_split(order, [1, 2, 50, 211])
    parts = pl.concat([assign([IDS[row] for row in rows], VECTORS[rows], model) for rows in cuts])
    assert_frame_equal(whole, parts.sort("image_id"), check_exact=True)
    assert whole["cluster"].value_counts().sort("cluster")["count"].to_list() == model.statistics["sizes"]


def test_contract_columns_and_euclidean_distances() -> None:
    model = ClusterModel(np.array([[0, 0], [3, 4]], np.float32), None, None, "nearest", False)
    table = assign(["b", "a"], np.array([[0, 0], [3, 0]], np.float32), model)
    assert table.schema == {
        "image_id": pl.String,
        "cluster": pl.Int32,
        "distance": pl.Float32,
        "second_distance": pl.Float32,
        "fine_cluster": pl.Int32,
    }
    assert table.rows() == [("a", 0, 3.0, 4.0, None), ("b", 0, 0.0, 5.0, None)]


def test_fine_clusters_lead_to_their_group_when_inherited() -> None:
    fine = np.array([[0, 0], [4, 0], [9, 0]], np.float32)
    coarse = np.array([[2, 0], [9, 0]], np.float32)
    groups = np.array([0, 0, 1], np.int32)
    point = np.array([[6, 0]], np.float32)
    nearest = assign(["a"], point, ClusterModel(coarse, fine, groups, "nearest", False))
    inherit = assign(["a"], point, ClusterModel(coarse, fine, groups, "inherit", False))
    assert nearest.row(0) == ("a", 1, 3.0, 4.0, 1)
    assert inherit.row(0) == ("a", 0, 4.0, 3.0, 1)  # the own centroid is the farther one


def test_empty_shards_single_clusters_and_repeated_ids() -> None:
    model = ClusterModel(np.zeros((1, 3), np.float32), None, None, "nearest", False)
    assert assign([], np.zeros((0, 3), np.float32), model).height == 0
    assert assign(["a"], np.ones((1, 3), np.float32), model)["second_distance"].to_list() == [None]
    with pytest.raises(ValueError, match="must be distinct"):
        assign(["a", "a"], np.ones((2, 3), np.float32), model)
    with pytest.raises(ValueError, match="2 image_ids for 1 vectors"):
        assign(["a", "b"], np.ones((1, 3), np.float32), model)

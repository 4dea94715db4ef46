from __future__ import annotations

import numpy as np
import pytest
from scipy.optimize import linear_sum_assignment
from scipy.spatial.distance import cdist

from paris_assets.clusters.balance import capped_labels, capped_lloyd


@pytest.mark.parametrize("seed", range(4))
def test_capped_labels_are_close_to_the_best_transport(seed: int) -> None:
    """Against the optimal assignment to 4 clusters with 30 places each, solved as a matching."""
    rng = np.random.default_rng(seed)
    vectors = (rng.normal(size=(100, 3)) * [3, 1, 1]).astype(np.float32)
    centroids = rng.normal(size=(4, 3)).astype(np.float32)
    labels, penalties = capped_labels(vectors, centroids, 0.3, np.ones(100))
    costs = cdist(vectors, centroids, "sqeuclidean")
    rows, places = linear_sum_assignment(np.repeat(costs, 30, axis=1))
    best = costs[rows, places // 30].sum()
    assert np.bincount(labels, minlength=4).max() <= 30
    assert best - 1e-6 <= costs[np.arange(100), labels].sum() <= 1.03 * best
    np.testing.assert_array_equal(labels, (costs + penalties).argmin(axis=1))
    assert penalties.min() == 0


def test_a_cap_that_binds_nowhere_changes_nothing() -> None:
    rng = np.random.default_rng(0)
    vectors, centroids = rng.normal(size=(50, 2)).astype(np.float32), np.array([[-1, 0], [1, 0]], np.float32)
    labels, penalties = capped_labels(vectors, centroids, 0.9, np.ones(50))
    np.testing.assert_array_equal(penalties, 0)
    np.testing.assert_array_equal(labels, cdist(vectors, centroids).argmin(axis=1))


def test_weights_count_as_images() -> None:
    vectors = np.array([[0.0], [0.1], [0.2], [5.0]], np.float32)
    weights = np.array([4.0, 4.0, 4.0, 1.0])
    _, labels, _ = capped_lloyd(vectors, np.array([[0.1], [5.0]], np.float32), 0.65, weights)
    assert np.bincount(labels, weights=weights).max() <= 9
    with pytest.raises(ValueError, match="lumps of up to 9"):
        capped_lloyd(vectors, np.array([[0.1], [5.0]], np.float32), 0.6, np.array([9.0, 1.0, 1.0, 1.0]))


def test_equal_images_cannot_be_split() -> None:
    with pytest.raises(ValueError, match="too alike"):
        capped_labels(np.zeros((10, 2), np.float32), np.array([[0, 0], [1, 1]], np.float32), 0.5, np.ones(10))

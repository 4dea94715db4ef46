"""The quick search against plain Lloyd's iterations and scikit-learn."""

from __future__ import annotations

import numpy as np
import pytest
from sklearn.cluster import KMeans

from paris_assets.clusters import lloyd


def noisy_groups(n: int, dimensions: int, groups: int) -> np.ndarray:
    rng = np.random.default_rng(0)
    vectors = rng.normal(size=(groups, dimensions))[rng.integers(groups, size=n)] + rng.normal(size=(n, dimensions))
    return vectors.astype(np.float32)


def plain(vectors: np.ndarray, centroids: np.ndarray, weights: np.ndarray, iterations: int) -> np.ndarray:
    """Lloyd's iterations as in the textbook."""
    for _ in range(iterations):
        labels = np.square(vectors[:, None] - centroids).sum(axis=2).argmin(axis=1)
        sums = [np.average(vectors[labels == k], axis=0, weights=weights[labels == k]) for k in range(len(centroids))]
        centroids = np.array(sums, np.float32)
    return centroids


@pytest.mark.parametrize("weighted", [False, True])
def test_bounds_leave_out_no_row_that_would_move(weighted: bool, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(lloyd, "BLOCK_ROWS", 100)
    vectors = noisy_groups(1000, 8, 30)
    weights = np.random.default_rng(1).uniform(0.5, 3, 1000) if weighted else np.ones(1000)
    starts = vectors[:12]
    for iterations in (1, 2, 5, 10):
        found, inertia = lloyd.lloyd(lloyd.Rows(vectors, weights), starts, iterations)
        np.testing.assert_allclose(found, plain(vectors, starts, weights, iterations), atol=1e-4)
        assert inertia > 0


def test_inertia_is_that_of_the_means(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(lloyd, "CONVERGED", 0.0)
    vectors = noisy_groups(1000, 8, 30)
    centroids, inertia = lloyd.lloyd(lloyd.Rows(vectors, np.ones(1000)), vectors[:12], 100)
    apart = np.square(vectors[:, None] - centroids).sum(axis=2)
    assert inertia == pytest.approx(float(apart.min(axis=1).sum()), rel=1e-4)


def test_a_centroid_without_rows_goes_where_it_helps() -> None:
    vectors = noisy_groups(500, 4, 5)
    starts = np.concatenate([vectors[:4], np.full((1, 4), 1e3, np.float32)])
    centroids, _ = lloyd.lloyd(lloyd.Rows(vectors, np.ones(500)), starts, 50)
    assert np.abs(centroids).max() < 100


@pytest.mark.parametrize(("k", "dimensions"), [(8, 64), (64, 64)])
def test_inertia_is_within_three_per_mille_of_scikit_learns(k: int, dimensions: int) -> None:
    vectors = noisy_groups(6000, dimensions, 2 * k)
    best = min(KMeans(k, n_init=1, random_state=seed).fit(vectors).inertia_ or 0.0 for seed in range(3))  # type: ignore[arg-type]
    centroids = lloyd.k_means(vectors, k, None, 50, 3, [0])
    apart = np.concatenate([np.square(part[:, None] - centroids).sum(axis=2) for part in np.array_split(vectors, 20)])
    assert float(apart.min(axis=1).sum()) <= 1.003 * best

"""The quick search against plain Lloyd's iterations and scikit-learn."""

from __future__ import annotations

from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import numpy as np
import pytest
from sklearn.cluster import KMeans
from threadpoolctl import threadpool_limits

from paris_assets.compute import Compute
from paris_assets.vectors import lloyd, rows, starts
from paris_assets.vectors.rows import Blocks, InMemory, UnitHalves


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
    monkeypatch.setattr(rows, "BLOCK_ROWS", 100)
    vectors = noisy_groups(1000, 8, 30)
    weights = np.random.default_rng(1).uniform(0.5, 3, 1000) if weighted else np.ones(1000)
    starts = vectors[:12]
    for iterations in (1, 2, 5, 10):
        found, inertia = lloyd.lloyd(Blocks(InMemory(vectors)), starts, iterations, weights)
        np.testing.assert_allclose(found, plain(vectors, starts, weights, iterations), atol=1e-4)
        assert inertia > 0


def test_inertia_is_that_of_the_means(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(lloyd, "CONVERGED", 0.0)
    vectors = noisy_groups(1000, 8, 30)
    centroids, inertia = lloyd.lloyd(Blocks(InMemory(vectors)), vectors[:12], 100)
    apart = np.square(vectors[:, None] - centroids).sum(axis=2)
    assert inertia == pytest.approx(float(apart.min(axis=1).sum()), rel=1e-4)


def test_a_centroid_without_rows_goes_where_it_helps() -> None:
    vectors = noisy_groups(500, 4, 5)
    starts = np.concatenate([vectors[:4], np.full((1, 4), 1e3, np.float32)])
    centroids, _ = lloyd.lloyd(Blocks(InMemory(vectors)), starts, 50)
    assert np.abs(centroids).max() < 100


@pytest.mark.parametrize(("k", "dimensions"), [(8, 64), (64, 64)])
def test_inertia_is_within_three_per_mille_of_scikit_learns(k: int, dimensions: int) -> None:
    vectors = noisy_groups(6000, dimensions, 2 * k)
    best = min(KMeans(k, n_init=1, random_state=seed).fit(vectors).inertia_ or 0.0 for seed in range(3))  # type: ignore[arg-type]
    centroids = lloyd.k_means(vectors, k, None, 50, 3, [0])
    apart = np.concatenate([np.square(part[:, None] - centroids).sum(axis=2) for part in np.array_split(vectors, 20)])
    assert float(apart.min(axis=1).sum()) <= 1.003 * best


@pytest.mark.parametrize("k", [5, 40])
def test_cores_change_no_bit(k: int, monkeypatch: pytest.MonkeyPatch) -> None:
    vectors = noisy_groups(3000, 24, 60)
    for name, count in {"PRODUCT_ROWS": 50, "SEED_ROWS": 500, "SAMPLE_ROWS": 300}.items():
        monkeypatch.setattr(lloyd, name, count)
    monkeypatch.setattr(rows, "BLOCK_ROWS", 128)
    monkeypatch.setattr(starts, "BLOCK_ROWS", 100)
    found = []
    for cores in (1, 2, 5):
        monkeypatch.setattr(lloyd, "cores", lambda cores=cores: cores)
        with threadpool_limits(cores):
            found.append(lloyd.k_means_of_rows(InMemory(vectors), k, None, 6, 2, [0], Compute(cores)))
    np.testing.assert_array_equal(found[1], found[0])
    np.testing.assert_array_equal(found[2], found[0])


def test_rows_in_a_file_give_what_they_give_in_memory(tmp_path: Path) -> None:
    halves = noisy_groups(9000, 16, 30).astype(np.float16)
    mapped = np.memmap(tmp_path / "vectors", np.float16, "w+", shape=halves.shape)
    mapped[:] = halves
    unit = UnitHalves(halves, [16]).take(np.arange(9000))
    in_file = lloyd.k_means_of_rows(UnitHalves(mapped, [16]), 20, None, 20, 1, [0])
    np.testing.assert_array_equal(in_file, lloyd.k_means(unit, 20, None, 20, 1, [0]))


def test_starts_are_rows_and_none_stands_twice_while_others_are_far() -> None:
    vectors = noisy_groups(2000, 8, 40)
    with ThreadPoolExecutor(2) as threads:
        found = starts.plus_plus(vectors, np.ones(2000), 200, np.random.default_rng(0), threads)
    known = {row.tobytes() for row in vectors}
    assert len({row.tobytes() for row in found}) == 200
    assert all(row.tobytes() in known for row in found)


def test_rows_without_weight_are_no_starts() -> None:
    vectors = noisy_groups(400, 8, 10)
    weights = np.r_[np.zeros(300), np.ones(100)]
    with ThreadPoolExecutor(2) as threads:
        found = starts.plus_plus(vectors, weights, 30, np.random.default_rng(0), threads)
    assert not {row.tobytes() for row in found} & {row.tobytes() for row in vectors[:300]}

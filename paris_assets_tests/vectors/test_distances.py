from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy.spatial.distance import cdist
from threadpoolctl import threadpool_limits

from paris_assets.vectors.distances import means, nearest


def _data(n: int = 700, dimensions: int = 96, k: int = 9, seed: int = 0) -> tuple[np.ndarray, np.ndarray]:
    rng = np.random.default_rng(seed)
    vectors = rng.normal(size=(n, dimensions)).astype(np.float32)
    return vectors, vectors[:k] + np.float32(0.3) * rng.normal(size=(k, dimensions)).astype(np.float32)


def test_agrees_with_scipy() -> None:
    vectors, centroids = _data()
    reference = cdist(vectors.astype(np.float64), centroids.astype(np.float64), "sqeuclidean")
    found = nearest(vectors, centroids)
    np.testing.assert_array_equal(found.labels, reference.argmin(axis=1))
    ordered = np.sort(reference, axis=1)
    np.testing.assert_allclose(found.own, ordered[:, 0], rtol=1e-12)
    np.testing.assert_allclose(found.other, ordered[:, 1], rtol=1e-12)


def test_no_cancellation_far_from_the_origin() -> None:
    """|x|^2 - 2 x.c + |c|^2 in float32 would be wrong by more than the distances themselves."""
    rng = np.random.default_rng(1)
    centroids = (1000 + rng.normal(size=(5, 32)) * 0.01).astype(np.float32)
    vectors = (1000 + rng.normal(size=(200, 32)) * 0.01).astype(np.float32)
    reference = cdist(vectors.astype(np.float64), centroids.astype(np.float64), "sqeuclidean")
    found = nearest(vectors, centroids)
    np.testing.assert_array_equal(found.labels, reference.argmin(axis=1))
    np.testing.assert_allclose(found.own, reference.min(axis=1), rtol=1e-12)
    same = nearest(centroids, centroids)
    np.testing.assert_array_equal(same.own, 0)
    np.testing.assert_array_equal(same.labels, np.arange(5))


@settings(max_examples=25, deadline=None)
@given(st.integers(0, 2**32 - 1), st.integers(1, 60), st.integers(1, 12), st.integers(1, 40))
def test_a_row_depends_on_itself_alone(seed: int, n: int, k: int, dimensions: int) -> None:
    rng = np.random.default_rng(seed)
    # Coarse values make exact ties common.
    vectors = rng.integers(-2, 3, size=(n, dimensions)).astype(np.float32) / 3
    centroids = rng.integers(-2, 3, size=(k, dimensions)).astype(np.float32) / 3
    whole = nearest(vectors, centroids)
    order = rng.permutation(n)
    shuffled = nearest(vectors[order], centroids)
    single = [nearest(vectors[[row]], centroids) for row in range(n)]
    for position, values in enumerate(whole):
        np.testing.assert_array_equal(values[order], shuffled[position])
        np.testing.assert_array_equal(values, np.concatenate([part[position] for part in single]))


def test_blocks_and_threads_change_no_bit(monkeypatch: pytest.MonkeyPatch) -> None:
    vectors, centroids = _data(3000, 384, 40)
    whole = nearest(vectors, centroids)
    monkeypatch.setattr("paris_assets.vectors.distances.BLOCK_ROWS", 173)
    monkeypatch.setattr("paris_assets.vectors.distances.PAIR_BYTES", 1 << 14)
    with threadpool_limits(limits=1):
        again = nearest(vectors, centroids)
    for first, second in zip(whole, again, strict=True):
        np.testing.assert_array_equal(first, second)


def test_prices_and_given_labels() -> None:
    vectors, centroids = _data()
    reference = cdist(vectors.astype(np.float64), centroids.astype(np.float64), "sqeuclidean")
    penalties = np.linspace(0, 40, 9)
    penalised = nearest(vectors, centroids, penalties)
    labels = (reference + penalties).argmin(axis=1)
    assert (labels != reference.argmin(axis=1)).any()
    np.testing.assert_array_equal(penalised.labels, labels)
    given_labels = np.arange(700, dtype=np.int32) % 9
    for found, own in ((penalised, labels), (nearest(vectors, centroids, labels=given_labels), given_labels)):
        rows = np.arange(700)
        np.testing.assert_allclose(found.own, reference[rows, own], rtol=1e-12)
        others = reference.copy()
        others[rows, own] = np.inf
        np.testing.assert_allclose(found.other, others.min(axis=1), rtol=1e-12)


def test_single_centroid_has_no_other_and_bad_input_is_refused() -> None:
    assert np.isnan(nearest(np.ones((2, 3), np.float32), np.zeros((1, 3), np.float32)).other).all()
    with pytest.raises(ValueError, match="must be finite"):
        nearest(np.full((1, 3), np.nan, np.float32), np.zeros((2, 3), np.float32))
    with pytest.raises(ValueError, match=r"must be \(N, D\) and \(K, D\)"):
        nearest(np.ones((1, 3), np.float32), np.zeros((2, 4), np.float32))


def test_means_are_weighted_and_empty_labels_are_nan() -> None:
    vectors = np.array([[0, 0], [2, 4], [10, 10]], np.float32)
    found = means(vectors, np.array([1, 1, 0]), 3, np.array([3.0, 1.0, 5.0]))
    np.testing.assert_array_equal(found, np.array([[10, 10], [0.5, 1], [np.nan, np.nan]], np.float32))

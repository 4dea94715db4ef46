"""Reductions: scikit-learn's PCA, a sign that stays, and rows that depend on nothing beside them."""

from __future__ import annotations

import numpy as np
import pytest
from sklearn.decomposition import PCA
from threadpoolctl import threadpool_limits

from paris_assets.vectors.reduction import PLACES, centring, principal


def _vectors(n: int = 400, width: int = 24) -> np.ndarray:
    rng = np.random.default_rng(3)
    return (rng.normal(size=(n, width)) * np.geomspace(3, 0.1, width) + 5 * rng.normal(size=width)).astype(np.float32)


@pytest.mark.parametrize("scale", [1e-3, 1.0, 1e4])
def test_components_are_scikit_learns(scale: float) -> None:
    vectors = (_vectors() * scale).astype(np.float32)
    reduction, kept = principal(vectors, 6, unit=False)
    reference = PCA(6, svd_solver="full").fit(vectors.astype(np.float64))
    assert reduction.components is not None
    signs = np.sign((reduction.components * reference.components_).sum(axis=1))
    np.testing.assert_allclose(reduction.components, reference.components_ * signs[:, None], atol=2.0**-PLACES)
    assert kept == pytest.approx(reference.explained_variance_ratio_.sum(), rel=1e-6)
    expected = reference.transform(vectors.astype(np.float64)) * signs
    np.testing.assert_allclose(reduction.apply(vectors), expected, atol=1e-3 * scale)


def test_the_largest_coordinate_of_a_direction_is_positive() -> None:
    for sign in (1, -1):
        components = principal(sign * _vectors(), 5, unit=False)[0].components
        assert components is not None
        assert (components[np.arange(5), np.abs(components).argmax(axis=1)] > 0).all()
        np.testing.assert_array_equal(components, principal(_vectors(), 5, unit=False)[0].components)


def test_a_row_depends_on_itself_alone_to_the_bit() -> None:
    vectors = _vectors()
    reduction, _ = principal(vectors, 8, unit=True)
    whole = reduction.apply(vectors)
    for threads in (1, 2):
        with threadpool_limits(threads):
            for part in ([7], [7, 3], range(0, 400, 7)):
                np.testing.assert_array_equal(reduction.apply(vectors[list(part)]), whole[list(part)])
            np.testing.assert_array_equal(principal(vectors, 8, unit=True)[0].components, reduction.components)
    np.testing.assert_allclose(np.linalg.norm(whole, axis=1), 1, atol=1e-6)


def test_directions_without_variance_are_left_out() -> None:
    flat = np.zeros((50, 10), np.float32)
    flat[:, :3] = np.random.default_rng(0).normal(size=(50, 3))
    reduction, kept = principal(flat, 8, unit=False)
    assert (reduction.width, kept) == (3, pytest.approx(1))
    assert principal(_vectors(4), 8, unit=False)[0].width == 3
    alike, kept = principal(np.ones((5, 4), np.float32), 2, unit=True)
    assert (alike.width, kept) == (1, 1)
    assert not alike.apply(np.ones((5, 4), np.float32)).any()


def test_centring_subtracts_the_mean() -> None:
    vectors = _vectors()
    np.testing.assert_allclose(centring(vectors, unit=False).apply(vectors).mean(axis=0), 0, atol=1e-5)
    lengths = np.linalg.norm(centring(vectors, unit=True).apply(vectors), axis=1)
    np.testing.assert_allclose(lengths, 1, atol=1e-6)


def test_vectors_of_another_width_are_refused() -> None:
    with pytest.raises(ValueError, match=r"\(3, 5\) do not fit a reduction of 24 values"):
        centring(_vectors(), unit=True).apply(np.ones((3, 5), np.float32))

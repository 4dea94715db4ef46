from __future__ import annotations

import numpy as np
import torch
from hypothesis import given
from hypothesis import strategies as st

from paris_assets.vectors.cosine import SLACK, cosines, rough_cosines, unit_rows


def some(seed: int, count: int = 50, dims: int = 96) -> np.ndarray:
    return (np.random.default_rng(seed).standard_normal((count, dims)) * 3).astype(np.float16)


def test_known_angles() -> None:
    left = np.array([[1, 0], [1, 0], [1, 0], [1, 1], [0, 0]], np.float16)
    right = np.array([[2, 0], [0, 5], [-3, 0], [1, 0], [1, 0]], np.float16)
    np.testing.assert_allclose(cosines(left, right), [1, 0, -1, np.sqrt(0.5), 0], atol=1e-15)


@given(st.integers(0, 1000))
def test_a_cosine_is_that_of_its_pair_alone(seed: int) -> None:
    left, right = some(seed), some(seed + 1)
    whole = cosines(left, right)
    assert (cosines(right, left) == whole).all()
    assert (
        np.concatenate([cosines(left[row : row + 1], right[row : row + 1]) for row in range(len(left))]) == whole
    ).all()
    assert (cosines(left, left) == 1).all()


def test_rough_ones_are_within_the_slack() -> None:
    vectors = np.concatenate([some(0, 300), np.zeros((1, 96), np.float16)])
    found = rough_cosines(vectors, unit_rows(vectors)).numpy()
    rows, columns = np.divmod(np.arange(found.size), len(vectors))
    assert np.abs(found.ravel() - cosines(vectors[rows], vectors[columns])).max() < SLACK / 10
    assert torch.equal(unit_rows(vectors)[-1], torch.zeros(96))

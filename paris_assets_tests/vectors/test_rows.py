"""Rows of half precision: every value is widened exactly, every part gets length one, whatever is taken together."""

from __future__ import annotations

import numpy as np
import pytest

from paris_assets.vectors.half_precision import GOOD, NOT_FINITE, ZERO, faults, hashes, keys
from paris_assets.vectors.rows import InMemory, Some, UnitHalves


def halves(n: int = 200, dimensions: int = 24) -> np.ndarray:
    rng = np.random.default_rng(0)
    return (rng.normal(size=(n, dimensions)) * 10.0 ** rng.uniform(-6, 3, (n, 1))).astype(np.float16)


def test_every_finite_half_is_widened_exactly() -> None:
    every = np.arange(1 << 16, dtype=np.uint16).view(np.float16)
    every = every[np.isfinite(every) & (every != 0)]
    unit = UnitHalves(every[:, None], [1]).take(np.arange(len(every)))[:, 0]
    np.testing.assert_array_equal(unit, np.sign(every.astype(np.float32)))
    pairs = np.stack([every, np.full_like(every, 2)], axis=1)
    wide = pairs.astype(np.float64)
    expected = wide / np.linalg.norm(wide, axis=1, keepdims=True)
    np.testing.assert_allclose(UnitHalves(pairs, [2]).take(np.arange(len(pairs))), expected, rtol=2e-7)


def test_parts_have_length_one_each() -> None:
    found = UnitHalves(halves(), [8, 24]).take(np.arange(200))
    some = faults(halves().view(np.uint16), np.array([8, 24])) == GOOD
    np.testing.assert_allclose(np.linalg.norm(found[some, :8], axis=1), 1, rtol=1e-6)
    np.testing.assert_allclose(np.linalg.norm(found[some, 8:], axis=1), 1, rtol=1e-6)


def test_a_row_depends_on_itself_alone() -> None:
    rows = UnitHalves(np.abs(halves()) + np.float16(1), [24])
    whole = rows.take(np.arange(200))
    for chosen in (np.array([3]), np.array([1, 5, 6, 199]), np.arange(50, 90)):
        np.testing.assert_array_equal(rows.take(chosen), whole[chosen])
        np.testing.assert_array_equal(Some(rows, np.arange(0, 200, 2)).take(chosen // 2), whole[2 * (chosen // 2)])
        np.testing.assert_array_equal(InMemory(whole).take(chosen), whole[chosen])


@pytest.mark.parametrize(
    ("value", "fault"), [(np.nan, NOT_FINITE), (np.inf, NOT_FINITE), (-np.inf, NOT_FINITE), (65504, GOOD), (6e-8, GOOD)]
)
def test_what_is_no_vector(value: float, fault: int) -> None:
    rows = np.zeros((3, 6), np.float16)
    rows[0], rows[2, :3] = 1, 1
    rows[0, 5] = value
    assert faults(rows.view(np.uint16), np.array([3, 6])).tolist() == [fault, ZERO, ZERO]


def test_keys_are_those_of_the_vectors_in_any_order() -> None:
    rows = halves(500)
    rows[:100] = rows[0]
    hashed = hashes(rows.view(np.uint16), 3)
    order = np.random.default_rng(1).permutation(500)
    assert sorted(keys(hashed)) == sorted(keys(hashed[order])) == sorted(set(keys(hashed).tolist()))
    assert len(np.unique(hashed)) == 401
    assert not set(hashes(rows.view(np.uint16), 4)) & set(hashed)
    assert abs((keys(hashed) >> np.uint64(63)).mean() - 0.5) < 0.1

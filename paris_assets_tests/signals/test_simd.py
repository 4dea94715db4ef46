"""Vectors in compiled functions do what numpy does, with and without the instruction for products of pairs."""

from __future__ import annotations

import numpy as np
import pytest
from numba import njit
from numba.core.errors import TypingError

from paris_assets.signals import simd
from paris_assets.signals.simd import (
    add_pairs,
    colour_pairs,
    joined,
    magnitudes,
    minus,
    neighbour_sums,
    no_words,
    pairs,
    plus,
    quads,
    shorts,
    shorts_of_bytes,
    store_bytes,
    total,
    totals,
    words,
)

RANDOM = np.random.default_rng(0)
SHORTS = RANDOM.integers(-(2**15), 2**15, (8, 16)).astype(np.int16)
BYTES = RANDOM.integers(0, 256, 64, np.uint8)


def product(left: np.ndarray, right: np.ndarray) -> int:
    """The sum of products, wrapped to 32 bits."""
    return int((left.astype(np.int64) * right).sum().astype(np.int32))


@pytest.mark.parametrize("pairs_of_any_cpu", [False, True])
def test_products_of_pairs(monkeypatch: pytest.MonkeyPatch, pairs_of_any_cpu: bool) -> None:
    if pairs_of_any_cpu:
        monkeypatch.setattr(simd, "_native_pairs", simd._any_pairs)

    @njit
    def products(a: np.ndarray, b: np.ndarray, c: np.ndarray, d: np.ndarray) -> tuple[int, ...]:
        first, second = (
            add_pairs(no_words(), shorts(a, 0), shorts(b, 0)),
            add_pairs(no_words(), shorts(c, 0), shorts(d, 0)),
        )
        third, fourth = add_pairs(first, shorts(c, 0), shorts(d, 0)), add_pairs(words(7), shorts(a, 0), shorts(a, 0))
        four = totals(first, second, joined(first, second, 3), joined(third, fourth, 0))
        return (*four, total(third), total(fourth))

    a, b, c, d = SHORTS[:4] // 16
    ab, cd, aa = product(a, b), product(c, d), product(a, a) + 8 * 7
    assert products(a, b, c, d) == (ab, cd, 8 * ab + cd, ab + cd + aa, ab + cd, aa)


def test_sums_and_differences() -> None:
    @njit
    def sums(a: np.ndarray, b: np.ndarray, c: np.ndarray) -> tuple[int, int]:
        ones = pairs(np.int16(1), np.int16(1))
        apart = magnitudes(minus(shorts(a, 0), shorts_of_bytes(c, 5)))
        return total(add_pairs(no_words(), apart, ones)), total(
            add_pairs(no_words(), plus(shorts(a, 0), shorts(b, 0)), pairs(np.int16(3), np.int16(-2)))
        )

    a, b = SHORTS[:2] // 4
    expected = np.abs(a.astype(np.int64) - BYTES[5:21]).sum(), 3 * (a + b)[::2].sum() - 2 * (a + b)[1::2].sum()
    assert sums(a, b, BYTES) == tuple(map(int, expected))


def test_loads_of_quads_and_colours_and_what_is_stored() -> None:
    @njit
    def stored(values: np.ndarray, levels: np.ndarray, out: np.ndarray) -> None:
        weights = pairs(np.int16(5), np.int16(9))
        four = add_pairs(no_words(), quads(values, 3, 0, 9, 12), weights)
        store_bytes(out, 0, neighbour_sums(four, four), neighbour_sums(four, four), 2)
        red_green, green_blue = colour_pairs(levels, 6)
        store_bytes(out, 16, add_pairs(no_words(), red_green, weights), add_pairs(no_words(), green_blue, weights), 4)

    values, out = np.abs(SHORTS[0]) % 16, np.zeros(40, np.uint8)
    stored(values, BYTES, out)
    fours = [(values[i : i + 4] * [5, 9, 5, 9]).sum() >> 2 for i in (3, 0, 9, 12)]
    assert out[:16].tolist() == [int(four) for four in fours * 4]
    red, green, blue = BYTES[6:30].reshape(8, 3).astype(int).T
    assert out[16:24].tolist() == (5 * red + 9 * green >> 4).tolist()
    assert out[24:32].tolist() == (5 * green + 9 * blue >> 4).tolist()
    assert (out[32:] == 0).all()


@pytest.mark.parametrize("array", [np.zeros(64, np.int32), np.zeros((4, 16), np.int16), np.zeros(64, np.int16)[::2]])
def test_what_does_not_lie_side_by_side_is_refused(array: np.ndarray) -> None:
    @njit
    def loaded(values: np.ndarray) -> int:
        return total(add_pairs(no_words(), shorts(values, 0), shorts(values, 0)))

    with pytest.raises(TypingError, match="is no array"):
        loaded(array)

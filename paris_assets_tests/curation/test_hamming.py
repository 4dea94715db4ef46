from __future__ import annotations

import itertools
from collections.abc import Iterable

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from paris_assets.compute import Compute
from paris_assets.curation import hamming
from paris_assets.curation.hamming import Chunk, choose_chunks, close_pairs
from paris_assets_tests.curation.numpy_pairs import Block, every_pair, indexed_pairs

ALL_WITH_ALL = [Chunk(0, 0, 0)]


def naive(hashes: np.ndarray, radius: int) -> set[tuple[int, int, int]]:
    """Pure Python, independent of numpy's bit tricks."""
    values = [int(value) for value in hashes]
    return {
        (i, j, distance)
        for (i, a), (j, b) in itertools.combinations(enumerate(values), 2)
        if (distance := bin(a ^ b).count("1")) <= radius
    }


def found(hashes: np.ndarray, radius: int) -> list[tuple[int, int, int]]:
    return [(int(i), int(j), int(d)) for block in close_pairs(hashes, radius) for i, j, d in zip(*block, strict=True)]


def same(left: Iterable[Block], right: Iterable[Block]) -> bool:
    """Whether two searches find the same pairs, each once."""
    first, second = (
        np.stack([np.concatenate(part).astype(np.int64) for part in zip(*blocks, strict=True)])
        for blocks in (left, right)
    )
    return np.array_equal(first[:, np.lexsort(first)], second[:, np.lexsort(second)])


def family(seed: int, count: int, copies: int, flips: int) -> np.ndarray:
    """Random hashes and copies of them with a few bits flipped."""
    random = np.random.default_rng(seed)
    hashes = random.integers(0, 2**64, count, dtype=np.uint64)
    near = np.repeat(hashes, copies)
    for _ in range(flips):
        near ^= np.uint64(1) << random.integers(0, 64, len(near)).astype(np.uint64)
    return np.unique(np.concatenate([hashes, near]))


@pytest.mark.parametrize("radius", [0, 1, 4, 8, 10, 13, 20])
def test_equals_naive_python(radius: int) -> None:
    hashes = family(radius, 150, 2, 9)
    pairs = found(hashes, radius)
    assert len(pairs) == len(set(pairs))
    assert set(pairs) == naive(hashes, radius)


@pytest.mark.parametrize("radius", [1, 2, 7, 10])
@pytest.mark.parametrize("number", range(3, 12))
def test_every_number_of_chunks_finds_every_pair_once(
    number: int, radius: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(hamming, "choose_chunks", lambda hashes, radius: hamming._cut(number, radius))
    monkeypatch.setattr(hamming, "BLOCK_PAIRS", 7)
    monkeypatch.setattr(hamming, "TASK_ROWS", 50)
    hashes = family(number, 60, 3, radius + 1)
    pairs = found(hashes, radius)
    assert len(pairs) == len(set(pairs))
    assert set(pairs) == naive(hashes, radius)


@settings(max_examples=60, deadline=None)
@given(
    st.lists(st.integers(0, 2**64 - 1) | st.integers(0, 300) | st.integers(0, 40).map(lambda i: 1 << i), max_size=80),
    st.integers(0, 14),
    st.sampled_from([0, 3, 4, 5, 7]),
)
def test_crowded_hashes_equal_naive_python(values: list[int], radius: int, number: int) -> None:
    hashes = np.unique(np.array(values, np.uint64))
    chunks = hamming._cut(number, radius) if number and radius <= 10 else ALL_WITH_ALL
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(hamming, "choose_chunks", lambda hashes, radius: chunks)
        patch.setattr(hamming, "TASK_ROWS", 16)
        pairs = found(hashes, radius)
    assert len(pairs) == len(set(pairs))
    assert set(pairs) == naive(hashes, radius)


def test_large_sets_are_indexed_and_equal_numpy() -> None:
    hashes = family(0, 8_000, 1, 6)
    assert len(choose_chunks(hashes, 8)) > 2
    assert same(close_pairs(hashes, 8), indexed_pairs(hashes, 8, 4))
    few = hashes[::4]
    assert same(close_pairs(few, 10), every_pair(few, 10))


def clumped(count: int, clumps: int) -> np.ndarray:
    """Hashes a few bits from one of some centres: flat pictures, pages of text."""
    random = np.random.default_rng(0)
    hashes = random.integers(0, 2**64, clumps, dtype=np.uint64)[random.integers(0, clumps, count)]
    for _ in range(7):
        hashes ^= np.uint64(1) << random.integers(0, 64, count).astype(np.uint64)
    return np.unique(hashes)


def test_clumps_equal_numpy_in_bounded_blocks_in_an_order_that_cores_do_not_change(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    hashes = clumped(12_000, 30)
    blocks = list(close_pairs(hashes, 8))
    assert sum(len(block[0]) for block in blocks) > 100_000
    assert same(blocks, every_pair(hashes, 8))
    monkeypatch.setattr(hamming, "BLOCK_PAIRS", 1000)
    small = list(close_pairs(hashes, 8, Compute(5)))
    assert max(len(block[0]) for block in small) == 1000
    for part, again in zip(zip(*blocks, strict=True), zip(*small, strict=True), strict=True):
        assert np.array_equal(np.concatenate(part), np.concatenate(again))


def test_chunks_are_chosen_by_the_hashes_not_by_their_number() -> None:
    """Hashes that differ in their lowest half alone share every chunk of the other: all meet all there."""
    random = np.random.default_rng(0)
    low = np.unique(random.integers(0, 2**32, 30_000, dtype=np.uint64))
    spread = np.unique(random.integers(0, 2**64, 30_000, dtype=np.uint64))
    cost = hamming._cost(hamming._cut(3, 8)[2], len(low), low[:-1] ^ low[1:])
    assert cost > 0.9 * len(low) ** 2 / 2
    assert len(choose_chunks(spread, 8)) > 2
    assert choose_chunks(low, 8) != choose_chunks(spread, 8)


@pytest.mark.parametrize(
    "hashes", [np.array([3, 3], np.uint64), np.array([2, 1], np.uint64), np.array([1, 2]), np.zeros((2, 2), np.uint64)]
)
def test_other_input_is_refused(hashes: np.ndarray) -> None:
    with pytest.raises(ValueError, match="strictly ascending"):
        list(close_pairs(hashes, 3))

from __future__ import annotations

import itertools

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from paris_assets.curation import hamming
from paris_assets.curation.hamming import choose_chunks, close_pairs


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


@pytest.mark.parametrize("chunks", range(3, 12))
@pytest.mark.parametrize("radius", [1, 2, 7, 10])
def test_every_number_of_chunks_finds_every_pair_once(
    chunks: int, radius: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(hamming, "choose_chunks", lambda count, radius: chunks)
    monkeypatch.setattr(hamming, "BLOCK_PAIRS", 64)
    hashes = family(chunks, 60, 3, radius + 1)
    pairs = found(hashes, radius)
    assert len(pairs) == len(set(pairs))
    assert set(pairs) == naive(hashes, radius)


@settings(max_examples=60, deadline=None)
@given(
    st.lists(st.integers(0, 2**64 - 1) | st.integers(0, 300) | st.integers(0, 40).map(lambda i: 1 << i), max_size=80),
    st.integers(0, 14),
    st.sampled_from([0, 3, 4, 5, 7]),
)
def test_crowded_hashes_equal_naive_python(values: list[int], radius: int, chunks: int) -> None:
    hashes = np.unique(np.array(values, np.uint64))
    with pytest.MonkeyPatch.context() as patch:
        if chunks == 0 or radius <= 10:
            patch.setattr(hamming, "choose_chunks", lambda count, radius: chunks)
        pairs = found(hashes, radius)
    assert len(pairs) == len(set(pairs))
    assert set(pairs) == naive(hashes, radius)


def test_large_sets_are_indexed_and_equal_brute_force() -> None:
    hashes = family(0, 4000, 1, 6)
    assert choose_chunks(len(hashes), 10) > 0
    blocks = [np.stack(block, axis=1).tolist() for block in hamming._brute_force(hashes, 10)]
    brute = {tuple(pair) for block in blocks for pair in block}
    assert set(found(hashes, 10)) == brute
    assert len(brute) > 3500


def test_blocks_are_bounded(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(hamming, "BLOCK_PAIRS", 1000)
    hashes = np.arange(600, dtype=np.uint64)  # nearly all are close
    sizes = [len(block[0]) for block in close_pairs(hashes, 9)]
    assert max(sizes) <= 1000
    assert sum(sizes) == len(naive(hashes, 9))


@pytest.mark.parametrize(
    "hashes", [np.array([3, 3], np.uint64), np.array([2, 1], np.uint64), np.array([1, 2]), np.zeros((2, 2), np.uint64)]
)
def test_other_input_is_refused(hashes: np.ndarray) -> None:
    with pytest.raises(ValueError, match="strictly ascending"):
        list(close_pairs(hashes, 3))

"""All pairs of 64-bit hashes within a Hamming radius: none missed, without comparing all with all.

Multi-index hashing (Norouzi, Punjani and Fleet 2012, "Fast search in Hamming space with multi-index hashing"): cut each
hash into m chunks; if two hashes differ in at most r bits, some chunk i differs in at most r_i bits whenever the
r_i + 1 add up to r + 1. Per chunk, the hashes are sorted into buckets, and each bucket meets those whose value differs
by one of the few masks of at most r_i bits.
"""

from __future__ import annotations

from collections.abc import Iterator
from itertools import combinations
from math import comb

import numpy as np

BITS = 64
MAX_CHUNK_BITS = 24  # a dense table of 2^24 bucket borders takes 64 MB
BLOCK_PAIRS = 1 << 22

Pairs = tuple[np.ndarray, np.ndarray, np.ndarray]


def close_pairs(hashes: np.ndarray, radius: int) -> Iterator[Pairs]:
    """Every pair of distinct hashes at most `radius` bits apart, once.

    Args:
        hashes: (N,) uint64, strictly ascending. Equal hashes must be collapsed first (`np.unique`): a thousand blank
            images would be half a million pairs.
        radius: bits.

    Yields:
        Blocks of (left, right, distance): positions in `hashes` with left < right (int64), and bits (uint8). The order
        is the same for the same hashes. Memory stays bounded by the block, not by the number of pairs.

    Raises:
        ValueError: `hashes` is not strictly ascending uint64.
    """
    if hashes.dtype != np.uint64 or hashes.ndim != 1 or not (hashes[1:] > hashes[:-1]).all():
        raise ValueError("hashes must be one-dimensional uint64, strictly ascending: pass np.unique(hashes)")
    if radius <= 0 or len(hashes) < 2:
        return
    chunks = choose_chunks(len(hashes), radius)
    if chunks == 0:
        yield from _brute_force(hashes, radius)
    else:
        yield from _multi_index(hashes, radius, chunks)


def choose_chunks(count: int, radius: int) -> int:
    """Number of chunks that is expected to be fastest for `count` uniform hashes; 0 for brute force."""
    # Nanoseconds, measured on one core: per compared pair, per mask, per bucket looked up, per candidate.
    costs = {0: 12 * count * count / 2}
    for chunks in range(-(-BITS // MAX_CHUNK_BITS), 17):
        costs[chunks] = sum(
            masks * (20_000 + count * 20 + count * count / 2 ** (bits + 1) * 16)
            for bits, near in zip(_widths(chunks), _radii(radius, chunks), strict=True)
            if (masks := sum(comb(bits, flips) for flips in range(near + 1)))
        )
    return min(costs, key=costs.__getitem__)


def _widths(chunks: int) -> list[int]:
    """Bits of each chunk, as equal as possible, widest first."""
    return [BITS // chunks + (i < BITS % chunks) for i in range(chunks)]


def _radii(radius: int, chunks: int) -> list[int]:
    """Radius within each chunk, so that the sum of (r_i + 1) is radius + 1; -1: the chunk need not be searched."""
    return [(radius + 1) // chunks + (i < (radius + 1) % chunks) - 1 for i in range(chunks)]


def _brute_force(hashes: np.ndarray, radius: int) -> Iterator[Pairs]:
    rows = max(1, BLOCK_PAIRS // len(hashes))
    for start in range(0, len(hashes), rows):
        distances = np.bitwise_count(hashes[start : start + rows, None] ^ hashes[None, start:])
        left, right = np.nonzero(distances <= radius)
        upper = right > left
        left, right = left[upper], right[upper]
        yield left + start, right + start, distances[left, right]


def _multi_index(hashes: np.ndarray, radius: int, chunks: int) -> Iterator[Pairs]:
    widths, radii = _widths(chunks), _radii(radius, chunks)
    shifts = np.cumsum([0, *widths[:-1]])
    for chunk, (shift, bits, near) in enumerate(zip(shifts, widths, radii, strict=True)):
        values = (hashes >> np.uint64(shift) & np.uint64((1 << bits) - 1)).astype(np.int64)
        order = np.argsort(values, kind="stable")
        borders = np.zeros((1 << bits) + 1, np.int64)
        np.cumsum(np.bincount(values, minlength=1 << bits), out=borders[1:])
        sorted_hashes, sorted_values = hashes[order], values[order]
        for mask in _masks(bits, near):
            for rows, partners in _bucket_pairs(sorted_values, borders, mask):
                difference = sorted_hashes[rows] ^ sorted_hashes[partners]
                distance = np.bitwise_count(difference)
                found = np.flatnonzero(distance <= radius)
                # A pair is reported by the first chunk that can see it.
                for earlier in range(chunk):
                    part = difference[found] >> np.uint64(shifts[earlier]) & np.uint64((1 << widths[earlier]) - 1)
                    found = found[np.bitwise_count(part).astype(np.int64) > radii[earlier]]
                if len(found):
                    ends = np.sort(np.stack([order[rows[found]], order[partners[found]]]), axis=0)
                    yield ends[0], ends[1], distance[found]


def _masks(bits: int, near: int) -> Iterator[int]:
    """Every number of `bits` bits with at most `near` ones."""
    for flips in range(near + 1):
        for places in combinations(range(bits), flips):
            yield sum(1 << place for place in places)


def _bucket_pairs(values: np.ndarray, borders: np.ndarray, mask: int) -> Iterator[tuple[np.ndarray, np.ndarray]]:
    """Position pairs whose chunk values differ by exactly `mask`, each once, in blocks.

    Args:
        values: (N,) int64 chunk values, ascending.
        borders: (2^bits + 1,) first position of each value.
    """
    if mask == 0:
        rows = np.arange(len(values))
        first, last = rows + 1, borders[values + 1]
    else:
        # One side of each bucket pair: the one whose highest masked bit is clear.
        rows = np.flatnonzero(values & (1 << (mask.bit_length() - 1)) == 0)
        other = values[rows] ^ mask
        first, last = borders[other], borders[other + 1]
    met = last > first
    rows, first, counts = rows[met], first[met], (last - first)[met]
    ends = np.cumsum(counts)
    start = 0
    while start < len(rows):
        done = ends[start] - counts[start]
        stop = max(start + 1, int(np.searchsorted(ends, done + BLOCK_PAIRS, side="right")))
        block = counts[start:stop]
        offsets = np.repeat(first[start:stop] - (ends[start:stop] - block - done), block)
        yield np.repeat(rows[start:stop], block), np.arange(len(offsets)) + offsets
        start = stop

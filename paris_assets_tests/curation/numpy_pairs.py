"""All pairs of hashes within a radius in plain numpy: what the compiled search is compared with."""

from __future__ import annotations

from collections.abc import Iterator
from itertools import combinations

import numpy as np

BLOCK_PAIRS = 1 << 22

Block = tuple[np.ndarray, np.ndarray, np.ndarray]


def every_pair(hashes: np.ndarray, radius: int) -> Iterator[Block]:
    """All with all: blocks of positions left < right, and bits."""
    rows = max(1, BLOCK_PAIRS // len(hashes))
    for start in range(0, len(hashes), rows):
        distances = np.bitwise_count(hashes[start : start + rows, None] ^ hashes[None, start:])
        left, right = np.nonzero(distances <= radius)
        upper = right > left
        left, right = left[upper], right[upper]
        yield left + start, right + start, distances[left, right]


def indexed_pairs(hashes: np.ndarray, radius: int, chunks: int) -> Iterator[Block]:
    """By multi-index hashing over so many chunks of near equal width, one numpy call for each mask."""
    widths = [64 // chunks + (i < 64 % chunks) for i in range(chunks)]
    radii = [(radius + 1) // chunks + (i < (radius + 1) % chunks) - 1 for i in range(chunks)]
    shifts = np.cumsum([0, *widths[:-1]])
    for chunk, (shift, bits, near) in enumerate(zip(shifts, widths, radii, strict=True)):
        values = (hashes >> np.uint64(shift) & np.uint64((1 << bits) - 1)).astype(np.int64)
        order = np.argsort(values, kind="stable")
        borders = np.concatenate([[0], np.cumsum(np.bincount(values, minlength=1 << bits))])
        ordered = hashes[order]
        for mask in _masks(bits, near):
            for rows, partners in _bucket_pairs(values[order], borders, mask):
                difference = ordered[rows] ^ ordered[partners]
                distance = np.bitwise_count(difference)
                found = np.flatnonzero(distance <= radius)
                for earlier in range(chunk):  # a pair is reported by the first chunk that can see it
                    part = difference[found] >> np.uint64(shifts[earlier]) & np.uint64((1 << widths[earlier]) - 1)
                    found = found[np.bitwise_count(part).astype(np.int64) > radii[earlier]]
                ends = np.sort(np.stack([order[rows[found]], order[partners[found]]]), axis=0)
                yield ends[0], ends[1], distance[found]


def _masks(bits: int, near: int) -> Iterator[int]:
    for flips in range(near + 1):
        for places in combinations(range(bits), flips):
            yield sum(1 << place for place in places)


def _bucket_pairs(values: np.ndarray, borders: np.ndarray, mask: int) -> Iterator[tuple[np.ndarray, np.ndarray]]:
    """Blocks of positions whose ascending values differ by exactly `mask`, each pair once."""
    if mask == 0:
        rows = np.arange(len(values))
        first, last = rows + 1, borders[values + 1]
    else:
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

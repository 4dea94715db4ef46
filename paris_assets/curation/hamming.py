"""All pairs of 64-bit hashes within a Hamming radius: none missed, without comparing all with all.

Multi-index hashing (Norouzi, Punjani and Fleet 2012, "Fast search in Hamming space with multi-index hashing"): cut each
hash into m chunks; if two hashes differ in at most r bits, some chunk i differs in at most r_i bits whenever the
r_i + 1 add up to r + 1. Per chunk, the hashes are sorted into buckets, and each bucket meets those whose value differs
by one of the few masks of at most r_i bits.

Rows in order of their bucket go to the cores a few thousand at a time, and the masks in order of size: so the buckets
that they meet lie side by side, too, and stay in the cache. Hashes in clumps, such as those of flat pictures, share
chunks more often than others; how many chunks are fastest is told from a sample of the hashes themselves.
"""

from __future__ import annotations

from collections.abc import Iterator
from itertools import combinations
from math import comb
from typing import NamedTuple

import numpy as np

from paris_assets.compiled import compiled, ones
from paris_assets.compute import Compute

BITS = 64
MAX_CHUNK_BITS = 24  # a dense table of 2^24 bucket borders takes 64 MB
MAX_CHUNKS = 16
BLOCK_PAIRS = 1 << 16
TASK_ROWS = 1 << 14
PART_TASKS = 16  # at most: what is sent to another machine should take longer than to send it
FEW, SAMPLE = 4096, 512  # hashes that are compared all with all, and of which pairs are looked at to choose chunks
# Nanoseconds on one core, measured: to sort a hash into its bucket, look up a bucket, and compare two hashes.
SORTED, LOOKED_UP, COMPARED = 10, 14, 1

Pairs = tuple[np.ndarray, np.ndarray, np.ndarray]


class Chunk(NamedTuple):
    """Bits `shift` to `shift + bits` of the hashes, in which two that are close differ by at most `near` bits."""

    shift: int
    bits: int
    near: int


class Buckets(NamedTuple):
    """Hashes (N,) uint64 in order of a chunk's values, their positions (N,) uint32, and where each value starts."""

    hashes: np.ndarray
    order: np.ndarray
    borders: np.ndarray


class Search(NamedTuple):
    """What all rows of one chunk's buckets share: what they meet.

    Attributes:
        masks: see ``_masks``.
        seen: (E, 3) uint64 shift, mask and near of the chunks that are searched already.
        block: most pairs in a block.
    """

    buckets: Buckets
    chunk: Chunk
    masks: np.ndarray
    seen: np.ndarray
    radius: int
    block: int


def close_pairs(hashes: np.ndarray, radius: int, compute: Compute | None = None) -> Iterator[Pairs]:
    """Every pair of distinct hashes at most `radius` bits apart, once.

    Args:
        hashes: (N,) uint64, strictly ascending. Equal hashes must be collapsed first (`np.unique`): a thousand blank
            images would be half a million pairs.
        radius: bits.
        compute: who searches; by default the threads of this process.

    Yields:
        Blocks of (left, right, distance): positions in `hashes` with left < right (uint32), and bits (uint8), at most
        ``BLOCK_PAIRS`` of them. The order is the same for the same hashes, on any number of cores. Memory is some 30
        bytes a hash and the blocks under way, however many pairs there are.

    Raises:
        ValueError: `hashes` is not strictly ascending uint64.
    """
    if hashes.dtype != np.uint64 or hashes.ndim != 1 or not (hashes[1:] > hashes[:-1]).all():
        raise ValueError("hashes must be one-dimensional uint64, strictly ascending: pass np.unique(hashes)")
    if radius <= 0 or len(hashes) < 2:
        return
    chunks = choose_chunks(hashes, radius)
    for at, chunk in enumerate(chunks):
        if chunk.near >= 0:
            yield from _pairs_of_chunk(hashes, radius, chunk, chunks[:at], compute or Compute())


def choose_chunks(hashes: np.ndarray, radius: int) -> list[Chunk]:
    """The chunks that are expected to be fastest for these hashes; a single one without bits: all meet all."""
    whole = [Chunk(0, 0, 0)]
    if len(hashes) <= FEW:
        return whole
    some = hashes[np.random.default_rng(0).integers(0, len(hashes), SAMPLE)]
    left, right = np.triu_indices(SAMPLE, 1)
    differences = (some[left] ^ some[right])[some[left] != some[right]]
    pairs = len(hashes) ** 2 / 2
    costs = {0: pairs * COMPARED}
    for number in range(-(-BITS // MAX_CHUNK_BITS), MAX_CHUNKS + 1):
        costs[number] = sum(_cost(chunk, len(hashes), differences) for chunk in _cut(number, radius) if chunk.near >= 0)
    best = min(costs, key=costs.__getitem__)
    return _cut(best, radius) if best else whole


def _cut(number: int, radius: int) -> list[Chunk]:
    """So many chunks, as equal as possible, whose near + 1 add up to radius + 1; near -1: it need not be searched."""
    bits = [BITS // number + (at < BITS % number) for at in range(number)]
    near = [(radius + 1) // number + (at < (radius + 1) % number) - 1 for at in range(number)]
    return [Chunk(*each) for each in zip(np.cumsum([0, *bits[:-1]]).tolist(), bits, near, strict=True)]


def _cost(chunk: Chunk, hashes: int, differences: np.ndarray) -> float:
    """Nanoseconds, by differences of a sample of pairs; they are at least what uniform hashes take."""
    masks = sum(comb(chunk.bits, flips) for flips in range(chunk.near + 1))
    part = differences >> np.uint64(chunk.shift) & np.uint64((1 << chunk.bits) - 1)
    share = max(masks / 2**chunk.bits, float((np.bitwise_count(part) <= chunk.near).mean()))
    return hashes * SORTED + masks * hashes / 2 * LOOKED_UP + share * hashes**2 / 2 * COMPARED


def _masks(bits: int, near: int) -> np.ndarray:
    """Every number of `bits` bits with at most `near` ones, ascending, uint64."""
    chosen = (places for flips in range(near + 1) for places in combinations(range(bits), flips))
    return np.array(sorted(sum(1 << place for place in places) for places in chosen), np.uint64)


def _pairs_of_chunk(
    hashes: np.ndarray, radius: int, chunk: Chunk, earlier: list[Chunk], compute: Compute
) -> Iterator[Pairs]:
    """The pairs that this chunk can see, and none of the chunks before."""
    seen = np.array([(e.shift, (1 << e.bits) - 1, e.near) for e in earlier if e.near >= 0], np.uint64).reshape(-1, 3)
    buckets, masks = Buckets(*_buckets(hashes, chunk.shift, chunk.bits)), _masks(chunk.bits, chunk.near)
    for array in (*buckets, masks, seen):
        array.flags.writeable = False  # as they are in another process: it is the same code that is compiled
    search = Search(buckets, chunk, masks, seen, radius, BLOCK_PAIRS)
    starts = range(0, len(hashes), TASK_ROWS)
    tasks = [np.array([0, first, 0, first, min(first + TASK_ROWS, len(hashes))]) for first in starts]
    step = min(max(len(tasks) // (4 * compute.cores()), 1), PART_TASKS)
    parts = (tasks[first : first + step] for first in range(0, len(tasks), step))
    for met in compute.map(_met, parts, search):
        for block, state in met:
            if len(block[0]):
                yield block
            while state[0] < len(masks):  # the block was full
                block, state = _meet_some(search, state)
                if len(block[0]):
                    yield block


def _met(search: Search, states: list[np.ndarray]) -> list[tuple[Pairs, np.ndarray]]:
    """The first block of each task, and where to go on."""
    return [_meet_some(search, state) for state in states]


def _meet_some(search: Search, state: np.ndarray) -> tuple[Pairs, np.ndarray]:
    found = np.empty(search.block, np.uint32), np.empty(search.block, np.uint32), np.empty(search.block, np.uint8)
    chunk, state = search.chunk, state.copy()
    pairs = _meet(*search.buckets, chunk.shift, chunk.bits, search.masks, search.seen, search.radius, state, *found)
    return (found[0][:pairs].copy(), found[1][:pairs].copy(), found[2][:pairs].copy()), state


@compiled
def _buckets(hashes: np.ndarray, shift: int, bits: int) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Sort by `bits` bits from `shift` on, keeping the order of equal ones: see ``Buckets``."""
    low, by = np.uint64((1 << bits) - 1), np.uint64(shift)
    borders = np.zeros((1 << bits) + 1, np.uint32)
    for i in range(len(hashes)):
        borders[((hashes[i] >> by) & low) + np.uint64(1)] += np.uint32(1)
    for value in range(1 << bits):
        borders[value + 1] += borders[value]
    places = borders.copy()
    ordered, order = np.empty(len(hashes), np.uint64), np.empty(len(hashes), np.uint32)
    for i in range(len(hashes)):
        value = (hashes[i] >> by) & low
        at = places[value]
        ordered[at], order[at] = hashes[i], i
        places[value] = at + np.uint32(1)
    return ordered, order, borders


@compiled
def _meet(
    hashes: np.ndarray,
    order: np.ndarray,
    borders: np.ndarray,
    shift: int,
    bits: int,
    masks: np.ndarray,
    seen: np.ndarray,
    radius: int,
    state: np.ndarray,
    left: np.ndarray,
    right: np.ndarray,
    distance: np.ndarray,
) -> int:
    """Write the close pairs of some rows of buckets with those of all masks, as many as there is room for.

    Args:
        state: (5,) int64 number of the mask, row and partner to go on from, first row, end of the rows; the first three
            are moved on. Number of masks: nothing is left.

    Returns:
        How many pairs were written.
    """
    low, by, most, written = np.uint64((1 << bits) - 1), np.uint64(shift), np.uint64(radius), 0
    for at in range(state[0], len(masks)):
        mask = masks[at]
        for row in range(state[1], state[4]):
            own = hashes[row]
            value = (own >> by) & low
            other = value ^ mask
            if other < value:  # the pair is met from the other side
                continue
            begin = row + 1 if mask == 0 else np.int64(borders[other])
            for partner in range(max(begin, state[2]), np.int64(borders[other + np.uint64(1)])):
                difference = own ^ hashes[partner]
                apart = ones(difference)
                if apart <= most and not _seen(difference, seen):
                    if written == len(left):
                        state[0], state[1], state[2] = at, row, partner
                        return written
                    left[written] = min(order[row], order[partner])
                    right[written] = max(order[row], order[partner])
                    distance[written] = apart
                    written += 1
            state[2] = 0
        state[1] = state[3]
    state[0] = len(masks)
    return written


@compiled
def _seen(difference: int, chunks: np.ndarray) -> bool:
    """Whether a chunk that was searched before differs by few enough bits: the pair was reported by that."""
    found = False
    for each in range(len(chunks)):
        found |= ones((difference >> chunks[each, 0]) & chunks[each, 1]) <= chunks[each, 2]
    return found

"""Leaders among vectors: by rank, each row that is close to no better leader of its cell or of a near one.

Leaders come out the same however the work is divided. Rows are judged in chunks of ranks, first against the leaders so
far and then among themselves; a chunk with too many close pairs to hold is halved. Whatever crowds there are, no more
is in memory than a few numbers a row, the pairs of a chunk and the blocks that are compared.
"""

from __future__ import annotations

import itertools
import os
from collections.abc import Iterable, Iterator
from concurrent.futures import Executor, ThreadPoolExecutor
from dataclasses import dataclass, field

import numpy as np
from threadpoolctl import threadpool_limits

from paris_assets.compiled import compiled
from paris_assets.vectors.pairs import ClosePairs

FIRST = 1 << 12  # rows of the first chunk; each further one is as long as all before it
MOST = 1 << 20  # close pairs of a chunk, and of a part of it
PARTS = 8  # under way at a time, as each holds pairs
ROWS = 1 << 10  # of a cell, compared with the rows after them


@dataclass
class Cells:
    """Cells of N rows, which lie together by cell and by rank in each.

    Attributes:
        cell: (N,) ascending.
        rank: (N,) places 0 to N - 1, the best first; ascending in each cell.
        near: cells near each one, from both sides.
        ends: where the rows of each cell begin and end.
        by_rank: (N,) positions, the best first.
    """

    cell: np.ndarray
    rank: np.ndarray
    near: list[set[int]]
    ends: np.ndarray = field(init=False)
    by_rank: np.ndarray = field(init=False)

    def __post_init__(self) -> None:
        self.by_rank = np.argsort(self.rank)
        self.ends = np.searchsorted(self.cell, np.arange(len(self.near) + 1))

    def split(self, rows: np.ndarray) -> list[np.ndarray]:
        """Ascending positions -> those of each cell."""
        return np.split(rows, np.searchsorted(rows, self.ends[1:-1]))


def keepers(vectors: np.ndarray, close: ClosePairs, cells: Cells) -> np.ndarray:
    """(N,) position of each row's best leader that is close: its own where it leads.

    Args:
        vectors: (N, D), which may lie in a file; rows of zeros are close to nothing.
        close: close pairs of these.
    """
    first = _first_equals(vectors, cells)
    keeper = np.arange(len(first))
    ordered = cells.by_rank[first[cells.by_rank] == cells.by_rank]
    work = _Work(close, cells, keeper, np.zeros(len(first), bool))
    cores = len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1
    with (
        threadpool_limits(1),  # of the products; torch takes the limit of each thread
        ThreadPoolExecutor(cores, "near copies", initializer=threadpool_limits, initargs=(1,)) as threads,
    ):
        start, size = 0, FIRST
        while start < len(ordered):
            work.judge(ordered[start : start + size], threads)
            start, size = start + size, start + size
    return keeper[first]


@dataclass
class _Work:
    close: ClosePairs
    cells: Cells
    keeper: np.ndarray
    leads: np.ndarray

    def judge(self, ordered: np.ndarray, threads: Executor) -> None:
        """Take up rows that come next by rank, `ordered` by it."""
        new = self.cells.split(np.sort(ordered))
        leaders = self.cells.split(np.flatnonzero(self.leads))
        near = ([leaders[other] for other in {number, *others}] for number, others in enumerate(self.cells.near))
        for rows, best in zip(new, threads.map(self._best_leaders, new, near), strict=True):
            self.keeper[rows] = best
        self._among(ordered[self.keeper[ordered] == ordered], threads)

    def _best_leaders(self, rows: np.ndarray, leaders: list[np.ndarray]) -> np.ndarray:
        """(R,) position of the best leader that is close to each of ascending rows; its own where none is."""
        best = self.cells.rank[rows]
        for pairs in self.close.between(rows, np.concatenate(leaders)):
            np.minimum.at(best, np.searchsorted(rows, pairs[:, 0]), self.cells.rank[pairs[:, 1]])
        return self.cells.by_rank[best]

    def _among(self, ordered: np.ndarray, threads: Executor) -> None:
        pairs = self._pairs(self.cells.split(np.sort(ordered)), threads)
        if pairs is None:
            half = len(ordered) // 2
            self._among(ordered[:half], threads)
            self.judge(ordered[half:], threads)
            return
        rank = self.cells.rank
        better_first = np.where((rank[pairs[:, 0]] < rank[pairs[:, 1]])[:, None], pairs, pairs[:, ::-1])
        by_rank = np.lexsort((rank[better_first[:, 0]], rank[better_first[:, 1]]))
        _settle(better_first[by_rank], self.keeper)
        self.leads[ordered[self.keeper[ordered] == ordered]] = True

    def _pairs(self, new: list[np.ndarray], threads: Executor) -> np.ndarray | None:
        """(P, 2) close pairs of the same cell or near ones, each once; None where they are too many."""
        parts = list(_compared(new, self.cells.near))
        found, count = [], 0
        for start in range(0, len(parts), PARTS):
            for pairs in threads.map(lambda part: self._few(*part), parts[start : start + PARTS]):
                found.append(pairs)
                count += len(pairs)
            if count > MOST:
                return None
        return _joined(found)

    def _few(self, left: np.ndarray, right: np.ndarray) -> np.ndarray:
        """(P, 2) close pairs, no more once they are too many; of positions in both sides, the smaller is first."""
        found, count = [], 0
        for pairs in self.close.between(left, right):
            found.append(pairs[pairs[:, 0] < pairs[:, 1]])
            count += len(found[-1])
            if count > MOST:
                break
        return _joined(found)


def _compared(new: list[np.ndarray], near: list[set[int]]) -> Iterator[tuple[np.ndarray, np.ndarray]]:
    """Rows to compare with each other, positions on the left before those on the right."""
    for number, rows in enumerate(new):
        after = [new[other] for other in sorted(near[number]) if other > number]
        for start in range(0, len(rows), ROWS):
            yield rows[start : start + ROWS], np.concatenate([rows[start:], *after])


def _joined(blocks: Iterable[np.ndarray]) -> np.ndarray:
    return np.concatenate([np.zeros((0, 2), np.int64), *blocks])


@compiled
def _settle(pairs: np.ndarray, keeper: np.ndarray) -> None:
    """Judge rows by pairs of a better and a worse one, ascending by the worse and then by the better."""
    for i in range(len(pairs)):
        better, worse = pairs[i, 0], pairs[i, 1]
        if keeper[worse] == worse and keeper[better] == better:
            keeper[worse] = better


def _first_equals(vectors: np.ndarray, cells: Cells) -> np.ndarray:
    """(N,) position of the best row of the same cell with the very same vector: what holds of it holds of all.

    Different vectors that happen to share a hash stay as they are: they are compared like any others.
    """
    hashes, first = _hashes(vectors), np.arange(len(cells.cell))
    for start, end in itertools.pairwise(cells.ends):
        _, at, same = np.unique(hashes[start:end], return_index=True, return_inverse=True)
        first[start:end] = start + at[same]
    for rows in _blocks(np.flatnonzero(first != np.arange(len(first)))):
        part = np.asarray(vectors[rows])
        equal = part.any(axis=1) & (part == vectors[first[rows]]).all(axis=1)
        first[rows[~equal]] = rows[~equal]
    return first


def _hashes(vectors: np.ndarray) -> np.ndarray:
    """(N,) uint64 of the vectors' bits."""
    hashes, halves = np.empty(len(vectors), np.uint64), vectors.shape[1] * vectors.itemsize // 2
    factors = np.random.default_rng(0).integers(0, 1 << 63, halves, np.uint64) | np.uint64(1)
    for rows in _blocks(np.arange(len(vectors))):
        hashes[rows] = np.ascontiguousarray(vectors[rows]).view(np.uint16).astype(np.uint64) @ factors
    return hashes


def _blocks(rows: np.ndarray) -> list[np.ndarray]:
    return [rows[start : start + ROWS] for start in range(0, len(rows), ROWS)]

"""Where k-means starts: greedy k-means++, several starts at a time."""

from __future__ import annotations

from concurrent.futures import Executor

import numpy as np

from paris_assets.compiled import compiled

BLOCK_ROWS = 8192
DRAWN, AT_ONCE = 32, 4  # rows whose distances one product gives, and starts that are chosen of them at most
EACH = 8  # starts before that for each one chosen at once


class Candidates:
    """Rows that may become starts, and their squared distances (n, T) to all rows, block by block.

    Args:
        threads: each takes blocks; sums over these are added up in their order.
    """

    def __init__(self, vectors: np.ndarray, squares: np.ndarray, drawn: np.ndarray, threads: Executor) -> None:
        self._drawn, self._threads = drawn, threads
        self._blocks = [slice(start, start + BLOCK_ROWS) for start in range(0, len(vectors), BLOCK_ROWS)]
        tried, lengths = vectors[drawn], squares[drawn]

        def apart(block: slice) -> np.ndarray:
            return _squared(vectors[block] @ tried.T, squares[block], lengths)

        self._apart = list(threads.map(apart, self._blocks))

    def best(self, near: np.ndarray, weights: np.ndarray) -> int:
        """The row that lowers the weighted sum of squared distances to the nearest start most; ``near`` becomes these.

        Args:
            near: (n,) float32.
            weights: (n,).
        """

        def lowered(at: int) -> np.ndarray:
            block = self._blocks[at]
            return _lowered(self._apart[at], near[block], weights[block])

        sums = np.sum(list(self._threads.map(lowered, range(len(self._blocks)))), axis=0)
        best = int(sums.argmin())
        for block, apart in zip(self._blocks, self._apart, strict=True):
            np.minimum(near[block], apart[:, best], out=near[block])
        return int(self._drawn[best])


def plus_plus(
    vectors: np.ndarray, weights: np.ndarray, k: int, rng: np.random.Generator, threads: Executor
) -> np.ndarray:
    """(k, D) starts by greedy weighted k-means++ (Arthur & Vassilvitskii 2007).

    Rows are drawn by their squared distance to the starts so far, and the best become starts: one after another, each
    measured with those before it, but drawn at once, so that a product of matrices gives their distances. The rows
    should be many for each start, some 64: of fewer, a row counts too much that is far from all and its own start.
    """
    squares = np.einsum("nd,nd->n", vectors, vectors)
    near, chosen = np.full(len(vectors), np.inf, np.float32), []
    mass = np.cumsum(weights)
    while len(chosen) < k:
        drawn = np.searchsorted(mass, rng.random(DRAWN) * mass[-1], side="right")
        candidates = Candidates(vectors, squares, np.minimum(drawn, len(vectors) - 1), threads)
        for _ in range(min(max(1, len(chosen) // EACH), AT_ONCE, k - len(chosen))):
            chosen.append(candidates.best(near, weights))
            near[chosen[-1]] = 0  # not what rounding leaves of it
        mass = np.cumsum(near * weights)
    return vectors[chosen]


@compiled
def _squared(product: np.ndarray, squares: np.ndarray, lengths: np.ndarray) -> np.ndarray:
    """Inner products (n, T) become squared distances."""
    for i in range(len(product)):
        row = product[i]
        for trial in range(len(row)):
            row[trial] = max(squares[i] + lengths[trial] - np.float32(2) * row[trial], np.float32(0))
    return product


@compiled
def _lowered(apart: np.ndarray, near: np.ndarray, weights: np.ndarray) -> np.ndarray:
    """(T,) weighted sums of squared distances to the nearest start, would each candidate be added."""
    sums = np.zeros(apart.shape[1])
    for i in range(len(apart)):
        row = apart[i]
        for trial in range(len(row)):
            sums[trial] += weights[i] * min(row[trial], near[i])
    return sums

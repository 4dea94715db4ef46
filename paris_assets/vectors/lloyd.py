"""Lloyd's k-means, quickly: started by greedy k-means++ on a sample, and then only for rows whose centroid may change.

Bounds on each row's distances tell which rows keep their centroid whatever a product would say; after a few iterations
that is most of them. Blocks of rows have fixed boundaries and are parts of the work, each with a single-threaded
product; sums take up the rows that changed in their order. So it changes no bit who does them, and no more vectors are
in memory than those of the blocks under way: rows may lie in a file.
"""

from __future__ import annotations

import math
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from typing import Any, NamedTuple

import numpy as np
from threadpoolctl import threadpool_limits

from paris_assets.compute import Compute
from paris_assets.process import cores
from paris_assets.vectors.bounds import SLACK, half_gaps, loosened, move_rows, nearest_two, own_distances
from paris_assets.vectors.rows import Blocks, InMemory, Rows, Some, read_only
from paris_assets.vectors.starts import plus_plus

PRODUCT_ROWS = 1024
CONVERGED = 1e-5  # relative gain of an iteration below which there is nothing left to gain
SEED_ROWS, SAMPLE_ROWS = 32768, 16384  # at least; or 64 and 512 per centroid: fits on fewer carry over less well


class Move(NamedTuple):
    """How centroids came where they are: see ``bounds.loosened``."""

    gone: np.ndarray
    half: np.ndarray
    furthest: np.ndarray


class Step(NamedTuple):
    """Centroids (K, D), their squared lengths, and the move that brought them there; None at the start."""

    centroids: np.ndarray
    lengths: np.ndarray
    move: Move | None


class Known(NamedTuple):
    """What is known of rows.

    Attributes:
        labels: (N,) int32 own centroid; -1 before the first iteration.
        upper: (N,) float32, at least the distance to the own centroid.
        lower: (N,) float32, at most the distance to any other.
    """

    labels: np.ndarray
    upper: np.ndarray
    lower: np.ndarray

    def of(self, rows: slice) -> Known:
        """A block of them."""
        return Known(*(values[rows] for values in self))


class Visited(NamedTuple):
    """A block after an iteration.

    Attributes:
        changed: (n,) positions of the rows in it that have another centroid than before.
        vectors: (n, D) of these; None where they did not come back from another process.
    """

    known: Known
    changed: np.ndarray
    vectors: np.ndarray | None

    def __reduce__(self) -> tuple[Any, ...]:
        return Visited, (self.known, self.changed, None)


@dataclass
class Fit:
    """What is known of each row, and of each centroid's rows.

    Attributes:
        sums, mass: (K, D) weighted sums of each centroid's rows, (K, 2) their weights and number.
        about_zero: weighted sum of squared lengths of the rows seen.
    """

    rows: Rows
    weights: np.ndarray
    known: Known
    sums: np.ndarray
    mass: np.ndarray
    about_zero: float = 0.0

    @classmethod
    def of(cls, rows: Rows, weights: np.ndarray, k: int) -> Fit:
        """Before the first iteration."""
        n, dimensions = rows.shape
        known = Known(np.full(n, -1, np.int32), *np.empty((2, n), np.float32))
        return cls(rows, weights, known, np.zeros((k, dimensions)), np.zeros((k, 2)))

    def take_up(self, block: slice, visited: Visited) -> None:
        """Move rows of a block between the sums of centroids."""
        changed = block.start + visited.changed
        vectors = self.rows.take(changed) if visited.vectors is None else visited.vectors
        weights, old = self.weights[changed], self.known.labels[changed]
        seen = old < 0
        if seen.any():
            squares = np.einsum("nd,nd->n", vectors[seen], vectors[seen], dtype=np.float64)
            self.about_zero += float(weights[seen] @ squares)
        for mine, new in zip(self.known.of(block), visited.known, strict=True):
            mine[:] = new
        move_rows(self.sums, self.mass, read_only(vectors), weights, old, self.known.labels[changed])

    def inertia(self) -> float:
        """Weighted sum of squared distances to the means of the labels."""
        filled = self.mass[:, 1] > 0
        return self.about_zero - float((np.square(self.sums[filled]).sum(axis=1) / self.mass[filled, 0]).sum())

    def means(self, centroids: np.ndarray) -> np.ndarray:
        """(K, D) float32 of the rows of each centroid; one without rows goes to a row that is far from its own."""
        empty = np.flatnonzero(self.mass[:, 1] == 0)
        self.sums[empty], self.mass[empty] = 0, 0  # not what rounding leaves of them
        moved = (self.sums / np.where(self.mass[:, 1] > 0, self.mass[:, 0], 1)[:, None]).astype(np.float32)
        if len(empty):
            furthest = np.argsort(-self.known.upper, kind="stable")[: len(empty)]
            far, order = self.known.upper[furthest] > 0, np.argsort(furthest)
            vectors = self.rows.take(furthest[order])[np.argsort(order)]
            moved[empty] = np.where(far[:, None], vectors, centroids[empty])
        return moved


def k_means(
    vectors: np.ndarray, k: int, weights: np.ndarray | None, iterations: int, restarts: int, seed: list[int]
) -> np.ndarray:
    """(k, D) float32 centroids of (N, D) float32 vectors, contiguous: see ``k_means_of_rows``."""
    return k_means_of_rows(InMemory(vectors), k, weights, iterations, restarts, seed)


def k_means_of_rows(
    rows: Rows | Blocks,
    k: int,
    weights: np.ndarray | None,
    iterations: int,
    restarts: int,
    seed: list[int],
    compute: Compute | None = None,
) -> np.ndarray:
    """(k, D) float32 centroids: the best of several starts, each converged on a sample, the best then on all rows.

    Args:
        rows: N of them, in an order that says nothing of the rows.
        k: at most N.
        weights: (N,) of each row, 1 when None.
        iterations: most of one start.
        restarts: starts.
        seed: of the random numbers; start number i appends i.
        compute: who looks for the nearest centroids; by default the threads of this process.
    """
    blocks = rows if isinstance(rows, Blocks) else Blocks(rows)
    rows, compute = blocks.rows, compute or Compute()
    n = rows.shape[0]
    weights = np.ones(n) if weights is None else weights
    few, some = (_spread(n, max(least, per * k)) for least, per in ((SEED_ROWS, 64), (SAMPLE_ROWS, 512)))
    sample = blocks if len(some) == n else Blocks(Some(rows, some))
    fits = [
        lloyd(sample, _start(rows.take(few), weights[few], k, [*seed, restart]), iterations, weights[some], compute)
        for restart in range(restarts)
    ]
    best = min(fits, key=lambda fit: fit[1])[0]
    return best if sample is blocks else lloyd(blocks, best, iterations, weights, compute)[0]


def _start(vectors: np.ndarray, weights: np.ndarray, k: int, seed: list[int]) -> np.ndarray:
    with threadpool_limits(1), ThreadPoolExecutor(cores(), thread_name_prefix="k-means") as threads:
        return plus_plus(vectors, weights, k, np.random.default_rng(seed), threads)


def _spread(n: int, wanted: int) -> np.ndarray:
    """So many of n rows, evenly spaced, or all of them where that is no more than twice as much work."""
    return np.arange(n) if n <= 2 * wanted else np.linspace(0, n - 1, wanted).astype(np.int64)


def lloyd(
    blocks: Blocks,
    centroids: np.ndarray,
    iterations: int,
    weights: np.ndarray | None = None,
    compute: Compute | None = None,
    enough: float = CONVERGED,
) -> tuple[np.ndarray, float]:
    """Move centroids to the means of their rows until nothing is gained: (K, D) float32, and the inertia.

    Args:
        enough: relative gain of an iteration below which to stop.
    """
    rows, compute = blocks.rows, compute or Compute()
    fit = Fit.of(rows, np.ones(rows.shape[0]) if weights is None else weights, len(centroids))
    before, inertia, step = math.inf, math.inf, Step(centroids, _lengths(centroids), None)
    with threadpool_limits(1):
        for _ in range(iterations):
            parts = ((held, fit.known.of(block)) for block, held in zip(blocks.slices, blocks.held, strict=True))
            for block, visited in zip(blocks.slices, compute.map(_visited, parts, step), strict=True):
                fit.take_up(block, visited)
            full, moved = (fit.mass[:, 1] > 0).all(), fit.means(step.centroids)
            inertia, move = fit.inertia(), _move(step.centroids, moved)
            step = Step(moved, _lengths(moved), move)
            if not move.gone.any() or (full and before - inertia <= enough * inertia):
                break
            before = inertia
    return step.centroids, inertia


def _move(centroids: np.ndarray, moved: np.ndarray) -> Move:
    gone = np.sqrt(np.square(moved.astype(np.float64) - centroids).sum(axis=1)).astype(np.float32) * (1 + SLACK)
    order = np.argsort(-gone, kind="stable")
    return Move(gone, half_gaps(moved), order[[0, min(1, len(order) - 1)]])


def _lengths(centroids: np.ndarray) -> np.ndarray:
    return np.einsum("kd,kd->k", centroids, centroids)


def _visited(step: Step, part: tuple[Rows, Known]) -> Visited:
    """Give the rows of a block their nearest centroid."""
    block, known = part[0], Known(*map(np.array, part[1]))
    centroids, lengths = read_only(step.centroids), read_only(step.lengths)
    rows, vectors = _unsure(block, known, centroids, step.move)
    old = known.labels[rows]
    for start in range(0, len(rows), PRODUCT_ROWS):
        some, at = vectors[start : start + PRODUCT_ROWS], rows[start : start + PRODUCT_ROWS]
        squares = np.einsum("nd,nd->n", some, some)
        nearest_two(some @ centroids.T, lengths, squares, at, *known)
    moved = known.labels[rows] != old
    return Visited(known, rows[moved], vectors if moved.all() else vectors[moved])


def _unsure(block: Rows, known: Known, centroids: np.ndarray, move: Move | None) -> tuple[np.ndarray, np.ndarray]:
    """Rows of a block whose centroid the bounds leave open, and their vectors."""
    if move is None:
        rows = np.arange(block.shape[0])
        return rows, block.take(rows)
    gone, half, furthest = map(read_only, move)
    rows = loosened(*known, gone, half, furthest)
    vectors, labels = block.take(rows), known.labels[rows]
    own = own_distances(vectors, centroids, labels)
    known.upper[rows] = own
    unsure = own * (1 + SLACK) >= np.maximum(known.lower[rows], half[labels])
    return (rows, vectors) if unsure.all() else (rows[unsure], vectors[unsure])

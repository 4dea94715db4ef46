"""Lloyd's k-means, quickly: started by greedy k-means++ on a sample, and then only for rows whose centroid may change.

Bounds on each row's distances (Hamerly 2010) tell which rows keep their centroid whatever a product would say; after a
few iterations that is most of them. Blocks of rows have a fixed size and go to as many threads as there are cores, each
with a single-threaded product, and sums run over the rows in order: the number of cores changes no bit.
"""

from __future__ import annotations

import math
import os
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field
from typing import TypeVar

import numpy as np
from threadpoolctl import threadpool_limits

from paris_assets.compiled import compiled

Result = TypeVar("Result")

BLOCK_ROWS = 2048
CONVERGED = 1e-5  # relative gain of an iteration below which there is nothing left to gain
SEED_ROWS, SAMPLE_ROWS = 8192, 16384  # at least; or 16 and 64 per centroid
SLACK = np.float32(1e-5)  # relative error of a distance in float32


@dataclass
class Rows:
    """Vectors to cluster, and what is known of each.

    Attributes:
        vectors: (N, D) float32, contiguous.
        weights: (N,) float64.
        squares: (N,) float32 squared lengths.
        labels: (N,) int32 own centroid.
        upper: (N,) float32, at least the distance to the own centroid.
        lower: (N,) float32, at most the distance to any other.
    """

    vectors: np.ndarray
    weights: np.ndarray
    squares: np.ndarray = field(init=False)
    labels: np.ndarray = field(init=False)
    upper: np.ndarray = field(init=False)
    lower: np.ndarray = field(init=False)

    def __post_init__(self) -> None:
        self.squares = np.einsum("nd,nd->n", self.vectors, self.vectors)
        self.labels = np.zeros(len(self.vectors), np.int32)
        self.upper, self.lower = np.empty((2, len(self.vectors)), np.float32)

    def inertia_about_zero(self) -> float:
        """Weighted sum of squared lengths."""
        return float(self.weights @ self.squares.astype(np.float64))


def k_means(
    vectors: np.ndarray, k: int, weights: np.ndarray | None, iterations: int, restarts: int, seed: list[int]
) -> np.ndarray:
    """(k, D) float32 centroids: the best of several starts, each converged on a sample, the best then on all rows.

    Args:
        vectors: (N, D) float32, contiguous, in an order that says nothing of the rows.
        k: at most N.
        weights: (N,) of each row, 1 when None.
        iterations: most of one start.
        restarts: starts.
        seed: of the random numbers; start number i appends i.
    """
    weights = np.ones(len(vectors)) if weights is None else weights
    few, some = (_spread(len(vectors), max(least, per * k)) for least, per in ((SEED_ROWS, 16), (SAMPLE_ROWS, 64)))
    sample = Rows(np.ascontiguousarray(vectors[some]), weights[some])
    best, least = None, math.inf
    for restart in range(restarts):
        starts = plus_plus(vectors[few], weights[few], k, np.random.default_rng([*seed, restart]))
        centroids, inertia = lloyd(sample, starts, iterations)
        if best is None or inertia < least:
            best, least = centroids, inertia
    assert best is not None
    return best if len(some) == len(vectors) else lloyd(Rows(vectors, weights), best, iterations)[0]


def _spread(n: int, wanted: int) -> np.ndarray:
    """At most so many of n rows, evenly spaced."""
    return np.arange(n) if n <= wanted else np.linspace(0, n - 1, wanted).astype(np.int64)


def plus_plus(vectors: np.ndarray, weights: np.ndarray, k: int, rng: np.random.Generator) -> np.ndarray:
    """(k, D) starts by greedy weighted k-means++ (Arthur & Vassilvitskii 2007).

    Each is that of 4 + 2 ln k rows, drawn by their squared distance to the starts so far, which lowers the sum most.
    """
    squares = np.einsum("nd,nd->n", vectors, vectors)
    chosen: list[int] = []
    near = np.full(len(vectors), np.inf, np.float32)
    mass = np.cumsum(weights)
    trials = 2 * (2 + int(math.log(k)))  # twice those of scikit-learn: a start costs little on a sample
    with threadpool_limits(1):
        for _ in range(k):
            drawn = np.searchsorted(mass, rng.random(trials) * mass[-1], side="right")
            drawn = np.minimum(drawn, len(vectors) - 1)
            apart = squares[:, None] + squares[drawn] - 2 * (vectors @ vectors[drawn].T)
            apart = np.minimum(near[:, None], np.maximum(apart, 0))
            best = int((weights @ apart).argmin())
            chosen.append(int(drawn[best]))
            near = apart[:, best].copy()
            near[chosen] = 0  # not what rounding leaves of it
            mass = np.cumsum(near * weights)
    return vectors[chosen]


def lloyd(rows: Rows, centroids: np.ndarray, iterations: int) -> tuple[np.ndarray, float]:
    """Move centroids to the means of their rows until nothing is gained: (K, D) float32, and the inertia."""
    about_zero, before, inertia = rows.inertia_about_zero(), math.inf, math.inf
    unsure = np.arange(len(rows.vectors))
    with threadpool_limits(1), ThreadPoolExecutor(_cores(), thread_name_prefix="k-means") as pool:
        for _ in range(iterations):
            _each_block(pool, unsure, lambda part, at=centroids: _assign(rows, part, at))
            sums, mass = _totals(rows.vectors, rows.labels, rows.weights, len(centroids))
            moved = _means(rows, centroids, sums, mass)
            gone = np.sqrt(np.square(moved.astype(np.float64) - centroids).sum(axis=1)).astype(np.float32)
            filled = mass > 0
            inertia = about_zero - float((np.square(sums[filled]).sum(axis=1) / mass[filled]).sum())
            centroids = moved
            if not gone.any() or (filled.all() and before - inertia <= CONVERGED * inertia):
                break
            before = inertia
            half = _half_gaps(centroids)
            loose = _loosened(rows.labels, rows.upper, rows.lower, gone * (1 + SLACK), half)
            parts = _each_block(pool, loose, lambda part, at=centroids, gap=half: _still_unsure(rows, part, at, gap))
            unsure = np.concatenate([np.empty(0, np.int64), *parts])
    return centroids, inertia


def _cores() -> int:
    return len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1


def _each_block(pool: ThreadPoolExecutor, rows: np.ndarray, work: Callable[[np.ndarray], Result]) -> list[Result]:
    return list(pool.map(work, [rows[start : start + BLOCK_ROWS] for start in range(0, len(rows), BLOCK_ROWS)]))


def _assign(rows: Rows, part: np.ndarray, centroids: np.ndarray) -> None:
    """Give some rows their nearest centroid and exact bounds."""
    product = rows.vectors[part] @ centroids.T
    lengths = np.einsum("kd,kd->k", centroids, centroids)
    _nearest_two(product, lengths, rows.squares, part, rows.labels, rows.upper, rows.lower)


def _still_unsure(rows: Rows, part: np.ndarray, centroids: np.ndarray, half: np.ndarray) -> np.ndarray:
    """Of some rows those for which the distance to the own centroid itself decides nothing."""
    own = _own_distances(rows.vectors, part, centroids, rows.labels)
    rows.upper[part] = own
    return part[own * (1 + SLACK) >= np.maximum(rows.lower[part], half[rows.labels[part]])]


def _means(rows: Rows, centroids: np.ndarray, sums: np.ndarray, mass: np.ndarray) -> np.ndarray:
    """Means of the rows of each centroid; one without rows goes to a row that is far from its own."""
    moved = (sums / np.where(mass > 0, mass, 1)[:, None]).astype(np.float32)
    empty = np.flatnonzero(mass == 0)
    if len(empty):
        every = np.arange(len(rows.vectors))
        own = _own_distances(rows.vectors, every, centroids, rows.labels)
        furthest = np.argsort(-own, kind="stable")[: len(empty)]
        far = own[furthest] > 0
        moved[empty] = np.where(far[:, None], rows.vectors[furthest], centroids[empty])
    return moved


def _half_gaps(centroids: np.ndarray) -> np.ndarray:
    """(K,) half the distance of each centroid to the nearest other: a row that is nearer to its own keeps it."""
    lengths = np.einsum("kd,kd->k", centroids, centroids, dtype=np.float64)
    squared = lengths[:, None] + lengths - 2 * (centroids @ centroids.T).astype(np.float64)
    np.fill_diagonal(squared, np.inf)
    return (np.sqrt(np.maximum(squared.min(axis=1), 0)) / 2).astype(np.float32) * (1 - SLACK)


@compiled
def _nearest_two(
    product: np.ndarray,
    lengths: np.ndarray,
    squares: np.ndarray,
    part: np.ndarray,
    labels: np.ndarray,
    upper: np.ndarray,
    lower: np.ndarray,
) -> None:
    for i in range(len(part)):
        row, best, second, at = product[i], np.float32(np.inf), np.float32(np.inf), 0
        for centroid in range(len(row)):
            value = lengths[centroid] - np.float32(2) * row[centroid]
            if value < second:
                if value < best:
                    second, best, at = best, value, centroid
                else:
                    second = value
        labels[part[i]] = at
        upper[part[i]] = math.sqrt(max(best + squares[part[i]], 0.0))
        lower[part[i]] = math.sqrt(max(second + squares[part[i]], 0.0))


@compiled
def _own_distances(vectors: np.ndarray, part: np.ndarray, centroids: np.ndarray, labels: np.ndarray) -> np.ndarray:
    found = np.empty(len(part), np.float32)
    for i in range(len(part)):
        vector, centroid, total = vectors[part[i]], centroids[labels[part[i]]], 0.0
        for d in range(len(vector)):
            apart = vector[d] - centroid[d]
            total += apart * apart
        found[i] = math.sqrt(total)
    return found


@compiled
def _totals(vectors: np.ndarray, labels: np.ndarray, weights: np.ndarray, k: int) -> tuple[np.ndarray, np.ndarray]:
    sums, mass = np.zeros((k, vectors.shape[1])), np.zeros(k)
    for i in range(len(labels)):
        total, vector, weight = sums[labels[i]], vectors[i], weights[i]
        for d in range(len(vector)):
            total[d] += weight * vector[d]
        mass[labels[i]] += weight
    return sums, mass


@compiled
def _loosened(
    labels: np.ndarray, upper: np.ndarray, lower: np.ndarray, gone: np.ndarray, half: np.ndarray
) -> np.ndarray:
    """Widen the bounds by how far centroids went; rows that these no longer keep."""
    furthest = np.argmax(gone)
    most, second = gone[furthest], np.float32(0)
    for centroid in range(len(gone)):
        if centroid != furthest:
            second = max(second, gone[centroid])
    found, count = np.empty(len(labels), np.int64), 0
    for i in range(len(labels)):
        upper[i] += gone[labels[i]]
        lower[i] -= second if labels[i] == furthest else most
        if upper[i] * (1 + SLACK) >= max(lower[i], half[labels[i]]):
            found[count] = i
            count += 1
    return found[:count]

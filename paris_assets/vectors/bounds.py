"""Kernels of k-means: distances to centroids, and bounds on them that tell which rows keep theirs (Hamerly 2010)."""

from __future__ import annotations

import math

import numpy as np

from paris_assets.compiled import compiled, compiled_sums

SLACK = np.float32(1e-5)  # relative error of a distance in float32


def half_gaps(centroids: np.ndarray) -> np.ndarray:
    """(K,) half the distance of each centroid to the nearest other: a row that is nearer to its own keeps it."""
    lengths = np.einsum("kd,kd->k", centroids, centroids, dtype=np.float64)
    squared = lengths[:, None] + lengths - 2 * (centroids @ centroids.T).astype(np.float64)
    np.fill_diagonal(squared, np.inf)
    return (np.sqrt(np.maximum(squared.min(axis=1), 0)) / 2).astype(np.float32) * (1 - SLACK)


@compiled
def nearest_two(
    product: np.ndarray,
    lengths: np.ndarray,
    squares: np.ndarray,
    rows: np.ndarray,
    labels: np.ndarray,
    upper: np.ndarray,
    lower: np.ndarray,
) -> None:
    """Give (n,) rows their nearest centroid, the distance to it and that to the next, by (n, K) inner products."""
    for i in range(len(rows)):
        row, best, second, at = product[i], np.float32(np.inf), np.float32(np.inf), 0
        for centroid in range(len(row)):
            value = lengths[centroid] - np.float32(2) * row[centroid]
            if value < second:
                if value < best:
                    second, best, at = best, value, centroid
                else:
                    second = value
        labels[rows[i]] = at
        upper[rows[i]] = math.sqrt(max(best + squares[i], 0.0))
        lower[rows[i]] = math.sqrt(max(second + squares[i], 0.0))


@compiled_sums
def own_distances(vectors: np.ndarray, centroids: np.ndarray, labels: np.ndarray) -> np.ndarray:
    """(n,) float32 distance of each vector to the centroid of its label."""
    found = np.empty(len(vectors), np.float32)
    for i in range(len(vectors)):
        vector, centroid, total = vectors[i], centroids[labels[i]], np.float32(0)
        for d in range(len(vector)):
            apart = vector[d] - centroid[d]
            total += apart * apart
        found[i] = math.sqrt(total)
    return found


@compiled
def loosened(
    labels: np.ndarray, upper: np.ndarray, lower: np.ndarray, gone: np.ndarray, half: np.ndarray, furthest: np.ndarray
) -> np.ndarray:
    """Widen the bounds of rows by how far centroids went: positions of those that they no longer keep.

    Args:
        gone: (K,) how far each centroid went.
        half: ``half_gaps``.
        furthest: (2,) the two that went furthest.
    """
    found, count = np.empty(len(labels), np.int64), 0
    for i in range(len(labels)):
        upper[i] += gone[labels[i]]
        lower[i] -= gone[furthest[1]] if labels[i] == furthest[0] else gone[furthest[0]]
        if upper[i] * (1 + SLACK) >= max(lower[i], half[labels[i]]):
            found[count] = i
            count += 1
    return found[:count]


@compiled
def move_rows(
    sums: np.ndarray, mass: np.ndarray, vectors: np.ndarray, weights: np.ndarray, old: np.ndarray, new: np.ndarray
) -> None:
    """Take rows from the (K, D) float64 sums of their old labels, where not below 0, and add them to those of the new.

    Args:
        mass: (K, 2) float64 weights and counts of rows.
    """
    for i in range(len(new)):
        vector, weight = vectors[i], weights[i]
        if old[i] >= 0:
            total = sums[old[i]]
            for d in range(len(vector)):
                total[d] -= weight * vector[d]
            mass[old[i], 0] -= weight
            mass[old[i], 1] -= 1
        total = sums[new[i]]
        for d in range(len(vector)):
            total[d] += weight * vector[d]
        mass[new[i], 0] += weight
        mass[new[i], 1] += 1

"""Nearest centroids, exact and independent of batching, order and threads.

A float32 matrix product only proposes candidates, with its worst-case rounding error allowed for; distances that decide
are then summed coordinate by coordinate in float64, row by row. So there is no cancellation for points close to their
centroid, and every bit of a row's result depends on that row and the centroids alone.
"""

from __future__ import annotations

from collections.abc import Iterable
from typing import NamedTuple

import numpy as np
from threadpoolctl import threadpool_limits

from paris_assets.compiled import compiled_sums
from paris_assets.compute import Compute
from paris_assets.vectors.rows import BLOCK_ROWS, Blocks, Rows, read_only

PAIR_BYTES = 32 << 20
HALF_ULP = float(np.finfo(np.float32).eps) / 2


class Centroids(NamedTuple):
    """(K, D) float32 centroids, and what is added to squared distances when the own one is chosen, (K,) float64."""

    vectors: np.ndarray
    cost: np.ndarray

    @classmethod
    def of(cls, vectors: np.ndarray, penalties: np.ndarray | None) -> Centroids:
        """With or without penalties."""
        return cls(vectors, np.zeros(len(vectors)) if penalties is None else np.asarray(penalties, dtype=np.float64))


class Nearest(NamedTuple):
    """Own centroid and squared Euclidean distances to it and to the nearest other one."""

    labels: np.ndarray  # (N,) int32
    own: np.ndarray  # (N,) float64
    other: np.ndarray  # (N,) float64; NaN with a single centroid


def nearest(
    vectors: np.ndarray,
    centroids: np.ndarray,
    penalties: np.ndarray | None = None,
    labels: np.ndarray | None = None,
) -> Nearest:
    """For each vector its centroid and the nearest other centroid.

    Args:
        vectors: (N, D) float32.
        centroids: (K, D) float32.
        penalties: (K,) float64 added to the squared distances when the own centroid is chosen (not to those returned).
        labels: (N,) own centroids when they are already decided.

    Raises:
        ValueError: shapes that do not fit, or vectors that are not finite.
    """
    if vectors.ndim != 2 or vectors.shape[1] != centroids.shape[1]:
        raise ValueError(f"vectors {vectors.shape} and centroids {centroids.shape} must be (N, D) and (K, D)")
    shared = Centroids.of(centroids, penalties)
    slices = [slice(start, start + BLOCK_ROWS) for start in range(0, len(vectors), BLOCK_ROWS)]
    blocks = (_nearest_block(vectors[rows], shared, None if labels is None else labels[rows]) for rows in slices)
    return _whole(len(vectors), slices, blocks)


def nearest_of_blocks(
    blocks: Blocks,
    centroids: np.ndarray,
    penalties: np.ndarray | None = None,
    labels: np.ndarray | None = None,
    *,
    compute: Compute,
) -> Nearest:
    """As ``nearest``, the blocks being parts of the work: the same values, whoever does them."""
    parts = (
        (held, None if labels is None else labels[rows]) for rows, held in zip(blocks.slices, blocks.held, strict=True)
    )
    with threadpool_limits(1):  # each part on one core
        found = compute.map(_nearest_part, parts, Centroids.of(centroids, penalties))
        return _whole(blocks.rows.shape[0], blocks.slices, found)


def _whole(count: int, slices: list[slice], blocks: Iterable[Nearest]) -> Nearest:
    result = Nearest(np.empty(count, np.int32), np.empty(count), np.empty(count))
    for rows, block in zip(slices, blocks, strict=True):
        for whole, part in zip(result, block, strict=True):
            whole[rows] = part
    return result


def _nearest_part(centroids: Centroids, part: tuple[Rows, np.ndarray | None]) -> Nearest:
    block, labels = part
    return _nearest_block(block.take(np.arange(block.shape[0])), centroids, labels)


def _nearest_block(vectors: np.ndarray, shared: Centroids, labels: np.ndarray | None) -> Nearest:
    centroids, cost = shared
    lengths, centroid_lengths = (np.einsum("nd,nd->n", rows, rows, dtype=np.float64) for rows in (vectors, centroids))
    slack = _slack(lengths, centroid_lengths, vectors.shape[1])
    if not np.isfinite(slack).all():
        raise ValueError("vectors must be finite")
    product = vectors @ centroids.T
    if labels is None and not cost.any():
        return _nearest_two(vectors, centroids, product, centroid_lengths, slack)
    about, slack = lengths[:, None] - 2 * product.astype(np.float64) + centroid_lengths, slack[:, None]
    penalised = about + cost
    candidates = penalised <= penalised.min(axis=1, keepdims=True) + slack
    if len(centroids) > 1:
        candidates |= about <= np.partition(about, 1, axis=1)[:, 1:2] + slack
    every = np.arange(len(vectors))
    if labels is not None:
        candidates[every, labels] = True
    exact = _exact(vectors, centroids, candidates)
    own = (exact + cost).argmin(axis=1) if labels is None else labels
    distance = exact[every, own]
    exact[every, own] = np.inf
    other = exact.min(axis=1)
    return Nearest(own.astype(np.int32), distance, np.where(np.isfinite(other), other, np.nan))


def _slack(lengths: np.ndarray, centroid_lengths: np.ndarray, dimensions: int) -> np.ndarray:
    """(n,) twice the most that squared distances by a float32 product may be wrong, by squared lengths (n,), (K,)."""
    reach = np.sqrt(lengths * centroid_lengths.max())
    # |fl(x.c) - x.c| <= D u |x||c| for any order of summation (Higham, 3.1); two such products are compared.
    return 4 * (dimensions + 2) * HALF_ULP * reach + 1e-12 * (lengths + centroid_lengths.max())


def _nearest_two(
    vectors: np.ndarray, centroids: np.ndarray, product: np.ndarray, centroid_lengths: np.ndarray, slack: np.ndarray
) -> Nearest:
    result = Nearest(np.zeros(len(vectors), np.int32), np.empty(len(vectors)), np.empty(len(vectors)))
    _find_two(read_only(vectors), read_only(centroids), product, centroid_lengths, slack, *result)
    return result


@compiled_sums
def _find_two(
    vectors: np.ndarray,
    centroids: np.ndarray,
    product: np.ndarray,
    centroid_lengths: np.ndarray,
    slack: np.ndarray,
    labels: np.ndarray,
    own: np.ndarray,
    other: np.ndarray,
) -> None:
    """Exact distances to the centroids that may be the nearest two by their products (n, K)."""
    for i in range(len(vectors)):
        vector, row, best, second = vectors[i], product[i], np.inf, np.inf
        for k in range(len(row)):
            about = centroid_lengths[k] - 2 * np.float64(row[k])
            if about < second:
                best, second = min(best, about), max(best, about)
        most, own[i], other[i] = second + slack[i], np.inf, np.inf
        for k in range(len(row)):
            if centroid_lengths[k] - 2 * np.float64(row[k]) <= most:
                centroid, total = centroids[k], 0.0
                for d in range(len(vector)):
                    apart = np.float64(vector[d]) - np.float64(centroid[d])
                    total += apart * apart
                if total < own[i]:
                    labels[i], own[i], other[i] = k, total, own[i]
                elif total < other[i]:
                    other[i] = total
        if len(row) == 1:
            other[i] = np.nan


def _exact(vectors: np.ndarray, centroids: np.ndarray, wanted: np.ndarray) -> np.ndarray:
    """(n, K) float64 squared distances where ``wanted``, infinity elsewhere."""
    exact = np.full(wanted.shape, np.inf)
    rows, columns = np.nonzero(wanted)
    step = max(1, PAIR_BYTES // (8 * vectors.shape[1]))
    for start in range(0, len(rows), step):
        row, column = rows[start : start + step], columns[start : start + step]
        difference = vectors[row].astype(np.float64)
        difference -= centroids[column]
        exact[row, column] = np.square(difference, out=difference).sum(axis=1)
    return exact


def means(vectors: np.ndarray, labels: np.ndarray, k: int, weights: np.ndarray | None = None) -> np.ndarray:
    """(k, D) float32 means of the rows of each label, summed in float64 in row order; NaN for an empty label.

    Args:
        vectors: (N, D) float32.
        labels: (N,) int.
        weights: (N,) of each row, 1 when None.
    """
    order = np.argsort(labels, kind="stable")
    bounds = np.searchsorted(labels[order], np.arange(k + 1))
    result = np.full((k, vectors.shape[1]), np.nan)
    for label in range(k):
        members = order[bounds[label] : bounds[label + 1]]
        total, mass = np.zeros(vectors.shape[1]), 0.0
        for start in range(0, len(members), BLOCK_ROWS):
            part = members[start : start + BLOCK_ROWS]
            weight = np.ones(len(part)) if weights is None else weights[part].astype(np.float64)
            total += (vectors[part] * weight[:, None]).sum(axis=0)
            mass += float(weight.sum())
        if mass:
            result[label] = total / mass
    return result.astype(np.float32)

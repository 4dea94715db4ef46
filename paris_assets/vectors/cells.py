"""Who may be near whom among millions of vectors, without comparing all with all: cells around centroids of k-means.

As an inverted file with several probes (Jegou, Douze and Schmid 2011) does, each vector meets those of the cell that it
lies in and of the next nearest cells, so that pairs on either side of a border are met, too. What is lost are pairs
that lie further apart than that; the fewer, the more cells a vector meets.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import NamedTuple

import numpy as np
from threadpoolctl import threadpool_limits

from paris_assets.compute import Compute
from paris_assets.vectors.half_precision import GOOD, faults
from paris_assets.vectors.lloyd import k_means_of_rows
from paris_assets.vectors.pairs import DIRECTIONS
from paris_assets.vectors.rows import Some, UnitHalves

ALL_MEET = 1 << 15
"""Vectors of which all pairs are met: cells would save little."""
FITTED = 256  # vectors for each centroid that it is fitted on
ITERATIONS = 10
BLOCK = 1 << 12

Sides = tuple[np.ndarray, np.ndarray]


class Cells(NamedTuple):
    """(K, D) float32 centroids, half their squared lengths (K,), and how many are told of each vector."""

    vectors: np.ndarray
    half: np.ndarray
    count: int


def neighbourhoods(
    vectors: np.ndarray, probes: int, cells: int | None = None, compute: Compute | None = None
) -> Iterator[Sides]:
    """Positions (left, right) for each cell: who has it among the nearest `probes`, and who lies in it; ascending.

    A pair is met at most four times. Equal vectors in the same order give the same cells on any number of cores.

    Args:
        vectors: (N, D) float16, not normalised, which may lie in a file; rows of zeros are near to nothing.
        probes: at least 1.
        cells: by default a single one of few vectors; else so many that placing vectors costs what comparing them does.
        compute: who fits cells and places vectors; by default the threads of this process.
    """
    there, nearest, _ = placed(vectors, probes, probes, cells, compute)
    if not len(there):
        return
    for at, left in zip(*_by_value(nearest.ravel()), strict=True):
        members = left // nearest.shape[1]
        yield there[members], there[members[nearest[members, 0] == at]]


def placed(
    vectors: np.ndarray, count: int, probes: int, cells: int | None = None, compute: Compute | None = None
) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """(M,) positions of the vectors that can be near any, (M, count) int32 cells nearest to each, (K, D) centroids.

    Args:
        count: of cells told, the nearest of all first; where there are fewer, all.
        probes: cells that a vector will be compared with; for the rest see `neighbourhoods`.
    """
    there = np.flatnonzero(_faults(vectors) == GOOD)
    if cells is None:
        few = len(there) <= ALL_MEET
        cells = 1 if few else round((probes * len(there) * DIRECTIONS / vectors.shape[1]) ** 0.5)
    if cells == 1:
        return there, np.zeros((len(there), 1), np.int32), np.zeros((1, vectors.shape[1]), np.float32)
    rows, compute = Some(UnitHalves(vectors, [vectors.shape[1]]), there), compute or Compute()
    sample = np.linspace(0, len(there) - 1, min(len(there), FITTED * cells)).astype(np.int64)
    centroids = k_means_of_rows(Some(rows, sample), cells, None, ITERATIONS, 1, [0], compute)
    return there, _nearest(vectors, there, centroids, min(count, cells), compute), centroids


def _faults(vectors: np.ndarray) -> np.ndarray:
    ends = np.array([vectors.shape[1]])
    blocks = (vectors[start : start + BLOCK].view(np.uint16) for start in range(0, len(vectors), BLOCK))
    return np.concatenate([np.zeros(0, np.uint8), *(faults(np.asarray(block), ends) for block in blocks)])


def _nearest(vectors: np.ndarray, there: np.ndarray, centroids: np.ndarray, count: int, compute: Compute) -> np.ndarray:
    """(M, count) int32 nearest centroids of the vectors at M positions, the nearest of all first."""
    shared = Cells(centroids, np.einsum("kd,kd->k", centroids, centroids) / 2, count)
    starts = range(0, len(there), BLOCK)
    blocks = (np.array(vectors[there[start : start + BLOCK]]) for start in starts)
    found = np.empty((len(there), count), np.int32)
    with threadpool_limits(1):
        for start, near in zip(starts, compute.map(_placed_block, blocks, shared), strict=True):
            found[start : start + BLOCK] = near
    return found


def _placed_block(cells: Cells, block: np.ndarray) -> np.ndarray:
    rows, count = UnitHalves(block, [block.shape[1]]), cells.count
    apart = cells.half - rows.take(np.arange(len(block))) @ cells.vectors.T
    near = np.argpartition(apart, count - 1, axis=1)[:, :count] if count < apart.shape[1] else np.argsort(apart)
    order = np.argsort(np.take_along_axis(apart, near, axis=1), axis=1, kind="stable")
    return np.take_along_axis(near, order, axis=1).astype(np.int32)


def _by_value(values: np.ndarray) -> tuple[np.ndarray, list[np.ndarray]]:
    """The values that there are, and the ascending positions of each."""
    order = np.argsort(values, kind="stable")
    known, starts = np.unique(values[order], return_index=True)
    return known, np.split(order, starts[1:])

"""Who may be near whom among millions of vectors, without comparing all with all: cells around centroids of k-means.

As an inverted file with several probes (Jegou, Douze and Schmid 2011) does, each vector meets those of the cell that it
lies in and of the next nearest cells, so that pairs on either side of a border are met, too. What is lost are pairs
that lie further apart than that; the fewer, the more cells a vector meets.
"""

from __future__ import annotations

from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor

import numpy as np
from threadpoolctl import threadpool_limits

from paris_assets.compiled import cores
from paris_assets.vectors.half_precision import GOOD, faults
from paris_assets.vectors.lloyd import k_means_of_rows
from paris_assets.vectors.pairs import DIRECTIONS
from paris_assets.vectors.rows import Rows, Some, UnitHalves

ALL_MEET = 1 << 15
"""Vectors of which all pairs are met: cells would save little."""
FITTED = 256  # vectors for each centroid that it is fitted on
ITERATIONS = 10
BLOCK = 1 << 12

Sides = tuple[np.ndarray, np.ndarray]


def neighbourhoods(vectors: np.ndarray, probes: int, cells: int | None = None) -> Iterator[Sides]:
    """Positions (left, right) for each cell: who has it among the nearest `probes`, and who lies in it; ascending.

    A pair is met at most four times. Equal vectors in the same order give the same cells on any number of cores.

    Args:
        vectors: (N, D) float16, not normalised, which may lie in a file; rows of zeros are near to nothing.
        probes: at least 1.
        cells: by default a single one of few vectors; else so many that placing vectors costs what comparing them does.
    """
    there, nearest, _ = placed(vectors, probes, probes, cells)
    if not len(there):
        return
    for at, left in zip(*_by_value(nearest.ravel()), strict=True):
        members = left // nearest.shape[1]
        yield there[members], there[members[nearest[members, 0] == at]]


def placed(
    vectors: np.ndarray, count: int, probes: int, cells: int | None = None
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
    rows = Some(UnitHalves(vectors, [vectors.shape[1]]), there)
    sample = np.linspace(0, len(there) - 1, min(len(there), FITTED * cells)).astype(np.int64)
    centroids = k_means_of_rows(Some(rows, sample), cells, None, ITERATIONS, 1, [0])
    return there, _nearest(rows, centroids, min(count, cells)), centroids


def _faults(vectors: np.ndarray) -> np.ndarray:
    ends = np.array([vectors.shape[1]])
    blocks = (vectors[start : start + BLOCK].view(np.uint16) for start in range(0, len(vectors), BLOCK))
    return np.concatenate([np.zeros(0, np.uint8), *(faults(np.asarray(block), ends) for block in blocks)])


def _nearest(rows: Rows, centroids: np.ndarray, count: int) -> np.ndarray:
    """(N, count) int32 nearest centroids, the nearest of all first."""
    found, half = np.empty((rows.shape[0], count), np.int32), np.einsum("kd,kd->k", centroids, centroids) / 2

    def place(start: int) -> None:
        block = np.arange(start, min(start + BLOCK, rows.shape[0]))
        apart = half - rows.take(block) @ centroids.T
        near = np.argpartition(apart, count - 1, axis=1)[:, :count] if count < len(centroids) else np.argsort(apart)
        order = np.argsort(np.take_along_axis(apart, near, axis=1), axis=1, kind="stable")
        found[block] = np.take_along_axis(near, order, axis=1)

    with threadpool_limits(1), ThreadPoolExecutor(cores(), thread_name_prefix="cells") as threads:
        list(threads.map(place, range(0, rows.shape[0], BLOCK)))
    return found


def _by_value(values: np.ndarray) -> tuple[np.ndarray, list[np.ndarray]]:
    """The values that there are, and the ascending positions of each."""
    order = np.argsort(values, kind="stable")
    known, starts = np.unique(values[order], return_index=True)
    return known, np.split(order, starts[1:])

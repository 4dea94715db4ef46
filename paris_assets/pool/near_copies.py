"""One row of each group of near copies in vector space.

SemDeDup (Abbas et al.) drops a row that is close to any other of its cluster, so that along a chain of small changes
all but one go. Here a row goes only if it is close to a row that stays. Rows are met by rank, the best first: a row
stays unless one that stays already, of its cell or of a near one, is close to it; the best of these is its keeper.

Cells are those of the vectors compared, never concepts: where these are of captions, copies of a picture lie anywhere.
"""

from __future__ import annotations

from pathlib import Path

import numpy as np
import polars as pl

from paris_assets.pool.leaders import Cells, keepers
from paris_assets.pool.outcome import Outcome, View
from paris_assets.pool.pool_table import UnusablePool
from paris_assets.settings.selectors import Deduplicate
from paris_assets.vectors.cells import BLOCK, placed
from paris_assets.vectors.pairs import ClosePairs


def deduplicated(step: Deduplicate, view: View) -> Outcome:
    """Keepers of the rows that are left; the value of a copy is its cosine with its keeper.

    Raises:
        UnusablePool: the pool lacks these vectors.
    """
    order = _ranked(step, view)
    slots = np.full(len(view.table), -1)
    slots[view.rows[order]] = np.arange(len(order))
    by_rank, present = _laid_out(step, view, slots, len(order))
    cell, near = _cells(by_rank[: len(order)], step.neighbours)
    ranked = np.argsort(cell, kind="stable")  # by rank still, inside each cell
    order, present = order[ranked], present[ranked]
    vectors = _scratch(view, f"{step.said}-vectors", by_rank.shape)
    for start in range(0, len(ranked), BLOCK):
        vectors[start : start + BLOCK] = by_rank[ranked[start : start + BLOCK]]
    larger = float(np.nextafter(step.cosine, 1))
    close = ClosePairs(vectors, larger, Path(view.scratch) / f"{step.said}-bounds")
    keeper = keepers(vectors, close, Cells(cell[ranked], ranked, near))
    copies = np.flatnonzero(keeper != np.arange(len(order)))
    value, kept, missing = (
        np.full(len(view.rows), np.nan),
        np.zeros(len(view.rows), bool),
        np.ones(len(view.rows), bool),
    )
    value[order[copies]] = close.cosines(np.stack([keeper[copies], copies], axis=1))
    kept[order] = (keeper == np.arange(len(order))) & present
    missing[order] = ~present
    return Outcome(kept, missing, value, facts={"cosine": step.cosine, "copies": len(copies)})


def _cells(vectors: np.ndarray, count: int) -> tuple[np.ndarray, list[set[int]]]:
    """(N,) int32 cell of each vector, and the cells near each one."""
    there, nearest, centroids = placed(vectors, 1, 1 + count)
    cell = np.zeros(len(vectors), np.int32)
    cell[there] = nearest[:, 0]
    return cell, neighbours(centroids, count)


def neighbours(centroids: np.ndarray, count: int) -> list[set[int]]:
    """Cells that are among the `count` nearest of each, or that it is among the nearest of."""
    found: list[set[int]] = [set() for _ in centroids]
    wide = centroids.astype(np.float64)
    for number, centroid in enumerate(wide):
        distances = np.square(wide - centroid).sum(axis=1)
        distances[number] = np.inf
        for other in np.lexsort((np.arange(len(wide)), distances))[: min(count, len(wide) - 1)]:
            found[number].add(int(other))
            found[int(other)].add(number)
    return found


def _ranked(step: Deduplicate, view: View) -> np.ndarray:
    """Positions in `view.rows`, the best first, ties by uid."""
    score = view.numbers("distance" if step.keep in ("near", "far") else step.keep)
    worst_first = np.nan_to_num(score if step.keep == "near" else -score, nan=np.inf)
    table = view.table
    return np.lexsort((table.source_row[view.rows], table.low[view.rows], table.high[view.rows], worst_first))


def _laid_out(step: Deduplicate, view: View, slots: np.ndarray, count: int) -> tuple[np.ndarray, np.ndarray]:
    """Vectors of the rows in a scratch file, (count, D) float16 by slot, zeros and False for rows without."""
    tables = view.known.pool_vectors
    kind = None if tables is None else tables.frame().collect_schema().get(step.features)
    if tables is None or not isinstance(kind, pl.Array):
        raise UnusablePool(
            f"the step {step.said} needs vectors of {step.features}, which the pool lacks: set pool.vectors"
        )
    vectors, present = _scratch(view, f"{step.said}-by-rank", (count, kind.size)), np.zeros(count, bool)
    for shard in tables.keys:
        frame = tables[shard].select("source_row", vector=step.features).drop_nulls().collect()
        slot = slots[view.table.positions(frame["source_row"].to_numpy())]
        here = slot >= 0
        vectors[slot[here]] = frame["vector"].to_numpy()[here]
        present[slot[here]] = True
    return vectors, present


def _scratch(view: View, name: str, shape: tuple[int, ...]) -> np.ndarray:
    """An array in a file, of at least one row."""
    return np.memmap(Path(view.scratch) / name, np.float16, "w+", shape=(max(shape[0], 1), *shape[1:]))

"""Pruning by the distance to a concept's centroid (Sorscher et al., Beyond neural scaling laws)."""

from __future__ import annotations

import numpy as np

from paris_assets.pool.allocation import floors, water_filled
from paris_assets.pool.drawn import share_of
from paris_assets.pool.outcome import Outcome, View
from paris_assets.pool.pool_table import UnusablePool
from paris_assets.settings.selectors import Prune

MANY_ROWS = 10_000
"""Rows of a concept from which on it is not scarce."""


def pruned(step: Prune, view: View) -> Outcome:
    """The share of the rows that are left which lie nearest to their centroids, or furthest from them.

    Raises:
        UnusablePool: see ``preference``.
    """
    concept, distance = view.concepts(), view.numbers("distance")
    known = np.flatnonzero((concept >= 0) & ~np.isnan(distance))
    sizes = np.bincount(concept[known])
    total = min(share_of(len(view.rows), step.fraction), len(known))
    far, reason = preference(step, len(view.table), total, len(known) / max(int((sizes > 0).sum()), 1))
    by_rank = np.full(len(view.table), np.nan)
    by_rank[view.rows] = -distance if far else distance
    places = np.empty(len(view.table), np.int64)
    ranked = view.table.order(view.rows[known], by_rank)
    places[ranked] = np.arange(len(ranked))
    rank = np.full(len(view.rows), -1)
    rank[known] = places[view.rows[known]]
    kept = np.zeros(len(view.rows), bool)
    kept[known[_allotted(step, view, concept[known], rank[known], sizes, total)]] = True
    facts = {"prefer": "far" if far else "near", "because": reason, "counted": len(view.rows), "kept": total}
    return Outcome(kept, rank < 0, distance, rank, facts)


def preference(step: Prune, pool: int, kept: int, rows_per_concept: float) -> tuple[bool, str]:
    """Whether the furthest rows are preferred, and why: hard examples help where data is plenty (Sorscher et al.).

    Raises:
        UnusablePool: far is asked for where rows are scarce, and not forced.
    """
    passes = (step.samples_seen or pool) / max(kept, 1)
    plenty = passes <= 1 and rows_per_concept >= MANY_ROWS
    reason = (
        f"each row kept is seen {passes:.2f} times and concepts have {rows_per_concept:.0f} rows on average: rows are "
        f"{'plenty' if plenty else 'scarce'} (plenty: at most once, and {MANY_ROWS:,} rows)"
    )
    if step.prefer == "far" and not plenty and not step.force:
        raise UnusablePool(f"the step {step.said} prefers far, but {reason}: prefer near or auto, or set force")
    return step.prefer == "far" or (step.prefer == "auto" and plenty), reason


def _allotted(
    step: Prune, view: View, concept: np.ndarray, rank: np.ndarray, sizes: np.ndarray, total: int
) -> np.ndarray:
    """(total,) positions of the rows that stay, of (M,) with concept and distinct rank."""
    least = floors(sizes, total, step.floor)
    order = np.lexsort((rank, concept))
    within = np.empty(len(rank), np.int64)
    within[order] = np.arange(len(rank)) - (np.cumsum(sizes) - sizes)[concept[order]]
    if step.allocation == "ranking":
        first = within < least[concept]
        return np.lexsort((rank, ~first))[:total]
    return np.flatnonzero(within < water_filled(_weights(step, view, concept, sizes), least, sizes, total)[concept])


def _weights(step: Prune, view: View, concept: np.ndarray, sizes: np.ndarray) -> np.ndarray:
    """(K,) weight of each concept; density is that of Abbas et al.: distance of its centroid to the nearest other
    times mean distance of its rows to it."""
    if step.allocation == "even":
        return np.ones(len(sizes))
    if step.allocation == "size":
        return np.maximum(sizes, 1).astype(np.float64)
    assert view.known.concept_model is not None
    frame = view.known.concept_model.sort("concept").select("centroid").collect()
    centroids = frame["centroid"].to_numpy().astype(np.float64)[: len(sizes)]
    squares = np.square(centroids).sum(axis=1)
    between = np.maximum(squares[:, None] + squares - 2 * centroids @ centroids.T, 0)
    np.fill_diagonal(between, np.inf)
    apart = np.sqrt(between.min(axis=1)) if len(sizes) > 1 else np.ones(1)
    known = (view_concept := view.concepts()) >= 0
    sums = np.bincount(view_concept[known], np.nan_to_num(view.numbers("distance"))[known], len(sizes))
    return np.maximum(apart * sums / np.maximum(sizes, 1), 1e-12)

"""What the probe trains on: the selection, subsets, random rows of the size of each, all, the best shares."""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass

import numpy as np
import polars as pl

from paris_assets.settings.section import ProfileError

ALL, SELECTION, RANKED = "all rows", "selection", "ranked"  # no subset can have the first for a name


def controls_among(columns: Iterable[str]) -> list[str]:
    """Columns of `pool_scores` that are random subsets of the selection's size."""
    return [name for name in columns if re.fullmatch(r"random-\d+", name)]


@dataclass(frozen=True)
class Trial:
    """A set of rows to train on.

    Attributes:
        name: of the subset; of a control, the name of its draw.
        control_of: the subset whose size a random one has.
        fraction: share of the ranked rows, of the pruning curve.
        holds: (n,) bool.
        order: (n,) place of each row in a random order, for draws of the probe's own: of a run's rows to train on it
            takes as many of the first as the subset has there.
    """

    name: str
    holds: np.ndarray
    control_of: str | None = None
    fraction: float | None = None
    order: np.ndarray | None = None

    def rows(self, train: np.ndarray, count: int | None = None) -> np.ndarray:
        """Positions of its rows among those of a run, (n,) bool.

        Args:
            count: of the subset that it is a draw beside.
        """
        if self.order is None or count is None:
            return np.flatnonzero(self.holds & train)
        there = np.flatnonzero(train)
        return np.sort(there[np.argsort(self.order[there], kind="stable")[:count]])


def trials_of(pool: pl.DataFrame, fractions: Sequence[float], seed: int) -> list[Trial]:
    """Every set of rows that is compared.

    Args:
        pool: rows of `pool_scores`, in any order that depends on the rows alone.
        fractions: of the pruning curve.

    Raises:
        ProfileError: the selection leaves rows out, and no random subset of its size stands beside it.
    """
    controls = controls_among(pool.columns)
    named = [name for name, kind in pool.schema.items() if kind == pl.Boolean and name not in ("selected", *controls)]
    selected = pool["selected"].to_numpy()
    if not controls and not selected.all():
        raise ProfileError("pool_scores has no random-0, random-1, ...: make it again, with pool.controls at least 1")
    whole = Trial(ALL, np.ones(pool.height, bool))
    drawn = [Trial(name, pool[name].to_numpy(), SELECTION) for name in controls if not selected.all()]
    subsets = [Trial(name, pool[name].to_numpy()) for name in named]
    beside = [control for one in subsets for control in _controls(one, max(len(controls), 1), seed)]
    return [whole, Trial(SELECTION, selected), *drawn, *subsets, *beside, *_curve(pool, fractions, seed)]


def _controls(subset: Trial, count: int, seed: int) -> Iterator[Trial]:
    """Random rows of a subset's size; none for a subset of all rows, which is its own control."""
    total, size = len(subset.holds), int(subset.holds.sum())
    for number in range(count if size < total else 0):
        order = np.random.default_rng([seed, 3, number]).permutation(total)  # smaller draws lie within larger ones
        yield Trial(f"random-{number}", order < size, subset.name, subset.fraction, order)


def _curve(pool: pl.DataFrame, fractions: Sequence[float], seed: int) -> Iterator[Trial]:
    """The best shares of the rows that have a rank, and random rows of the same number; nothing without ranks."""
    ranks = pool["rank"].fill_null(-1).to_numpy()
    ranked = np.flatnonzero(ranks >= 0)
    order = ranked[np.argsort(ranks[ranked], kind="stable")]
    for fraction in sorted(fractions) if len(order) else ():
        size = int(round(fraction * len(order), 6))  # 0.29 of 100 rows is 29
        holds = np.zeros(pool.height, bool)
        holds[order[:size]] = True
        yield Trial(RANKED, holds, None, fraction)
        yield from _controls(Trial(RANKED, holds, None, fraction), 1, seed)

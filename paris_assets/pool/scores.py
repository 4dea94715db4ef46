"""Every row of a pool against the steps of the selection and of each subset."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from itertools import count
from pathlib import Path
from typing import Any

import numpy as np
import polars as pl

from paris_assets.pool.drawn import control_purpose, random_rows
from paris_assets.pool.known import Known, require_values
from paris_assets.pool.outcome import Outcome, View
from paris_assets.pool.pool_table import PoolTable, read_pool
from paris_assets.pool.schema import POOL_SCORES
from paris_assets.pool.steps import columns_needed, judge
from paris_assets.settings.pool import Pool
from paris_assets.settings.selectors import Steps
from paris_assets.storage.output import Output

REPEATED = "repeated_row"
"""Reason of a row whose url and text are those of an earlier one, where the source gives no uids."""
MISSING = "_missing"
"""Behind the name of a step: the row lacks what the step needs."""
CHUNK = 1 << 17


@dataclass
class Chosen:
    """What a list of steps came to, (N,) each: `reason` is a position in `reasons`, -1 where the row is kept."""

    reason: np.ndarray
    value: np.ndarray
    rank: np.ndarray
    reasons: list[str] = field(default_factory=list)
    facts: list[dict[str, Any]] = field(default_factory=list)

    @property
    def kept(self) -> np.ndarray:
        """(N,) bool."""
        return self.reason < 0

    def counts(self) -> dict[str, int]:
        """Reason -> rows dropped."""
        numbers = np.bincount(self.reason[self.reason >= 0], minlength=len(self.reasons))
        return {name: int(count) for name, count in zip(self.reasons, numbers, strict=True) if count}


def scored(known: Known, pool: Pool, seed: int) -> Output:
    """`pool_scores`, shard by shard; memory holds numbers of all rows, about 100 bytes a row.

    Raises (as its rows are consumed):
        UnusablePool: uids, columns or bounds that cannot be used; before any step is taken, where that can be known.
    """
    output = Output(rows_of_models=False)
    output.rows = _scored(known, pool, seed, output)
    return output


def _scored(known: Known, pool: Pool, seed: int, output: Output) -> Iterator[pl.DataFrame]:
    everything = [*pool.select, *(step for steps in pool.subsets.values() for step in steps)]
    require_values(known, {column: step.said for step in everything for column in columns_needed(step)})
    table = read_pool(known.source_rows)
    selection = chosen(table, known, pool.select, seed, output.scratch)
    flags: dict[str, np.ndarray] = {}
    facts: dict[str, Any] = {"selection": _fact(selection)}
    for name, steps in pool.subsets.items():
        subset = chosen(table, known, steps, seed, output.scratch)
        flags[name], facts[name] = subset.kept, _fact(subset)
    flags |= controls(table, int(selection.kept.sum()), pool.controls, seed)
    output.rows_in, output.rejects = len(table), selection.counts()
    output.facts = {"shards": table.shards, "pool": len(table), "subsets": facts}
    yield from _rows(table, selection, flags)


def chosen(table: PoolTable, known: Known, steps: Sequence[Steps], seed: int, scratch: Path) -> Chosen:
    """What the steps, one after the other, leave of the pool; rank and value are of the last step that has them."""
    count = len(table)
    found = Chosen(np.where(table.repeated, 0, -1), np.full(count, np.nan), np.full(count, -1), [REPEATED])
    for step in steps:
        rows = np.flatnonzero(found.kept)
        outcome = judge(step, View(table, known, rows, seed, scratch))
        _apply(found, step, rows, outcome)
    return found


def controls(table: PoolTable, count: int, number: int, seed: int) -> dict[str, np.ndarray]:
    """`random-0`, ... -> (N,) bool: `count` rows of the pool, drawn by uid and seed."""
    rows, flags = np.flatnonzero(~table.repeated), {}
    for control in range(number):
        flags[f"random-{control}"] = np.zeros(len(table), bool)
        drawn = random_rows(rows, table.high, table.low, count, seed, control_purpose(control))
        flags[f"random-{control}"][drawn] = True
    return flags


def _apply(found: Chosen, step: Steps, rows: np.ndarray, outcome: Outcome) -> None:
    missing = np.zeros(len(rows), bool) if outcome.missing is None else outcome.missing & ~outcome.kept
    name = _distinct(step.said, found.reasons)
    found.reasons += [name, name + MISSING]
    found.reason[rows[~outcome.kept & ~missing]] = len(found.reasons) - 2
    found.reason[rows[missing]] = len(found.reasons) - 1
    found.value[rows[~outcome.kept]] = np.nan
    if outcome.value is not None:
        found.value[rows] = outcome.value
    if outcome.rank is not None:
        found.rank[rows] = outcome.rank
    counts = {"rows": len(rows), "kept": int(outcome.kept.sum()), "missing": int(missing.sum())}
    found.facts.append({"step": name, "rule": step.rule, **counts, **outcome.facts})


def _distinct(name: str, taken: list[str]) -> str:
    """The name, or the first of it with a number that is no reason yet."""
    names = (name if number == 1 else f"{name}-{number}" for number in count(1))
    return next(each for each in names if not {each, each + MISSING}.intersection(taken))


def _fact(found: Chosen) -> dict[str, Any]:
    return {"rows": int(found.kept.sum()), "steps": found.facts, "dropped": found.counts()}


def _rows(table: PoolTable, selection: Chosen, flags: dict[str, np.ndarray]) -> Iterator[pl.DataFrame]:
    names = pl.Series(selection.reasons, dtype=pl.String)
    for start in range(0, len(table), CHUNK):
        rows = slice(start, start + CHUNK)
        reason = pl.Series(selection.reason[rows])
        columns = {
            "shard": pl.Series(table.shards).gather(table.shard[rows]),
            "source_row": table.source_row[rows],
            "uid": table.uids(rows),
            "selected": selection.kept[rows],
            "reason": names.gather(reason.set(reason < 0, None)),
            "value": pl.Series(selection.value[rows]).fill_nan(None),
            "rank": pl.Series(selection.rank[rows]).replace(-1, None),
        }
        flagged = {name: flag[rows] for name, flag in flags.items()}
        yield pl.DataFrame(columns, schema=POOL_SCORES.fixed()).with_columns(
            **{k: pl.Series(v) for k, v in flagged.items()}
        )

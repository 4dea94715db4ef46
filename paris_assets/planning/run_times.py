"""The table of how long partitions took, in the Dagster home of a root: written by runs, read by forecasts."""

from __future__ import annotations

from collections.abc import Iterable
from pathlib import Path
from typing import NamedTuple

import polars as pl

TABLE = "run_times.parquet"
SCHEMA = {
    "asset": pl.String,
    "shard": pl.String,
    "records": pl.Int64,
    "start": pl.Float64,
    "end": pl.Float64,
    "operators": pl.String,
    "computed_on": pl.String,
}
Span = tuple[float, float]
CPU = "cpu"


class Unit(NamedTuple):
    """What one worker computed a partition with, and how many of it were its own: cores, or GPUs."""

    name: str
    count: int

    def __str__(self) -> str:
        return f"{self.count} x {self.name}"


def unit_of(computed_on: str) -> Unit:
    """What a unit in words says: `2 x cpu`, two cores, or `1 x NVIDIA A40`."""
    count, _, name = computed_on.partition(" x ")
    return Unit(name, int(count))


def known_times(home: Path) -> pl.DataFrame:
    """A row per partition that was made, with columns of ``SCHEMA``; none where there is no table of this form.

    Args:
        home: the Dagster home of a root.
    """
    try:
        found = pl.read_parquet(home / TABLE)
    except (OSError, pl.exceptions.PolarsError):  # none yet, or damaged: times are counted anew
        return pl.DataFrame(schema=SCHEMA)
    return found if found.schema == pl.Schema(SCHEMA) else pl.DataFrame(schema=SCHEMA)


def covered(spans: Iterable[Span]) -> float:
    """Seconds that spans of time cover together; where they overlap, once."""
    total, until = 0.0, float("-inf")
    for start, end in sorted(spans):
        total += max(0.0, end - max(start, until))
        until = max(until, end)
    return total

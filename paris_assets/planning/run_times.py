"""The table of how long partitions took, in the Dagster home of a root: written by runs, read by forecasts."""

from __future__ import annotations

from collections.abc import Iterable
from pathlib import Path
from typing import NamedTuple

import polars as pl

from paris_assets.config import Profile
from paris_assets.models.resolve import profile_models
from paris_assets.process import cores

TABLE = "run_times.parquet"
SCHEMA = {
    "asset": pl.String,
    "shard": pl.String,
    "records": pl.Int64,
    "start": pl.Float64,
    "end": pl.Float64,
    "operators": pl.String,
    "hardware": pl.String,
}
Span = tuple[float, float]
CPU, WITH = "cpu", " with "


class Unit(NamedTuple):
    """What computes, and how many of it there are."""

    name: str
    count: int


def units_of(hardware: str) -> list[Unit]:
    """What ``hardware_here`` said: the GPU, where there is one, and the cores."""
    parts = (part.partition(" x ") for part in hardware.split(WITH))
    return [Unit(name, int(count)) for count, _, name in parts]


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


def hardware_here(profile: Profile) -> str:
    """What a run computes with on this machine: `2 x cpu`, its cores, or `1 x NVIDIA A40 with 8 x cpu`.

    Args:
        profile: of the run, whose networks have their devices.
    """
    if any(model.device.startswith("cuda") for model in profile_models(profile).values()):
        from torch import cuda

        if cuda.is_available():
            return f"{cuda.device_count()} x {cuda.get_device_name(0)}{WITH}{cores()} x {CPU}"
    return f"{cores()} x {CPU}"

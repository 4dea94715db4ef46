"""How the values of a shard are distributed, in a few numbers, and how far that is from other shards."""

from __future__ import annotations

import math
from collections.abc import Callable, Iterable, Iterator, Sequence
from typing import Any, NamedTuple

import numpy as np
import polars as pl

from paris_assets.storage.output import Output, Rows

ATOMS = 32
DIGITS = 6
CHANCE = 1.95
"""Kolmogorov and Smirnov's coefficient of two samples: by chance one pair in 1,000 differs by more than this times the
root of 1/n + 1/m."""
NO_MEASURES = ("undecodable", "phash", "dhash")
SKETCH = "sketch"
"""Fact of a record: column -> ``sketch`` of its values."""


class Shift(NamedTuple):
    """How far a column is from what it was.

    Attributes:
        distance: largest difference between shares of images at or below a value, or without one; 0-1.
        chance: what shards of these sizes differ by where their images are of one kind.
    """

    distance: float
    chance: float


def sketched(rows: Rows, output: Output) -> Rows:
    """The same rows, which leave a sketch of each column of numbers among the facts."""
    if isinstance(rows, Callable):
        return lambda previous: _noted(rows(previous), output)
    return _noted(rows, output)


def _noted(frames: Iterable[Any], output: Output) -> Iterator[pl.DataFrame]:
    parts: list[pl.DataFrame] = []
    for frame in frames:
        parts.append(frame.select(pl.col(_measures(frame.schema)).cast(pl.Float64)))
        yield frame
    output.facts[SKETCH] = {column.name: sketch(column) for column in pl.concat(parts)}


def _measures(schema: pl.Schema) -> list[str]:
    numbers = [name for name, kind in schema.items() if kind.is_numeric() or kind == pl.Boolean]
    return [name for name in numbers if name not in NO_MEASURES]


def sketch(values: pl.Series) -> list[float]:
    """How many values are unknown, how many are known, and of these the quantiles 1/64, 3/64, ... 63/64.

    A quantile is a value that is there, to six digits.
    """
    known = np.sort(values.cast(pl.Float64).fill_nan(None).drop_nulls().to_numpy())
    counts = [float(len(values) - len(known)), float(len(known))]
    if not len(known):
        return counts
    at = np.quantile(known, (np.arange(ATOMS) + 0.5) / ATOMS, method="inverted_cdf")
    return [*counts, *(float(f"{value:.{DIGITS}g}") for value in at)]


def shift(now: Sequence[float], before: Sequence[Sequence[float]]) -> Shift | None:
    """Kolmogorov and Smirnov's distance of one shard's column from that of others together; None without images.

    Each quantile stands for 1/32 of a shard's known values, so the distance is right to 1/32.
    """
    others = [one for one in before if _images(one)]
    images = sum(map(_images, others))
    if not _images(now) or not images:
        return None
    unknown = abs(now[0] / _images(now) - sum(one[0] for one in others) / images)
    at = np.unique(np.concatenate([np.asarray(one[2:]) for one in (now, *others)]))
    together = sum(_images(one) * _below(one, at) for one in others) / images
    apart = np.abs(_below(now, at) - together).max(initial=0.0)
    return Shift(float(max(unknown, apart)), CHANCE * math.sqrt(1 / _images(now) + 1 / images))


def _images(one: Sequence[float]) -> float:
    return one[0] + one[1]


def _below(one: Sequence[float], at: np.ndarray) -> np.ndarray:
    """Share of a shard's images with a value at or below each of ``at``."""
    return np.searchsorted(np.asarray(one[2:]), at, side="right") / ATOMS * (one[1] / _images(one))

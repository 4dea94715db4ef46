"""Histograms of what rules look at, with the share on each side of every bound."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from paris_assets.curation.bounds import Bound

BINS = 48


@dataclass(frozen=True)
class Histogram:
    """The values of one column.

    Attributes:
        counts: (BINS,) values in each bin; those beyond the ends are in the first and the last.
        low, high: ends of the bins.
        known, unknown: values, and images without one.
        smallest, largest: of all values; None when there are none.
        outside: per bound the number of values that fail it.
    """

    column: str
    counts: list[int]
    low: float
    high: float
    known: int
    unknown: int
    smallest: float | None
    largest: float | None
    outside: list[int]

    def position(self, value: float) -> float | None:
        """Where a value lies between the ends, 0 to 1; None beyond them."""
        place = (value - self.low) / (self.high - self.low)
        return place if 0 <= place <= 1 else None


def histogram(column: str, values: np.ndarray, bounds: Sequence[Bound]) -> Histogram:
    """The histogram of a column.

    The ends are the values at the 0.5th and 99.5th percentile (of few values, all), or further out where a bound is
    near: a few far values do not hide the others.

    Args:
        values: (n,) float64, NaN where unknown.
        bounds: of this column.
    """
    known = values[np.isfinite(values)]
    outside = [int((known < b.value).sum() if b.side == "min" else (known > b.value).sum()) for b in bounds]
    if not len(known):
        return Histogram(column, [0] * BINS, 0.0, 1.0, 0, len(values), None, None, outside)
    low = float(np.percentile(known, 0.5, method="lower"))
    high = float(np.percentile(known, 99.5, method="higher"))
    reach = max(high - low, 1e-9)
    near = [bound.value for bound in bounds if low - reach <= bound.value <= high + reach]
    low, high = min([low, *near]), max([high, *near])
    if high - low < 1e-9:
        low, high = low - 0.5, high + 0.5
    counts, _ = np.histogram(known.clip(low, high), BINS, (low, high))
    ends = float(known.min()), float(known.max())
    return Histogram(column, counts.tolist(), low, high, len(known), len(values) - len(known), *ends, outside)

"""Whether a column of arrays is finite and of sane scale, read in bounded batches."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass

import numpy as np
import polars as pl

BATCH_ROWS = 4096


@dataclass(frozen=True)
class Scale:
    """Figures over all rows of an array column; null rows are among ``not_finite``."""

    rows: int
    not_finite: int
    mean: float
    std: float
    largest_norm: float
    smallest_norm: float
    spread: float


def scale(table: pl.LazyFrame, column: str) -> Scale:
    """Rows null or not finite; mean and deviation of the others; extreme L2 norms; mean deviation by dimension."""
    frames = table.select(column).collect_batches(chunk_size=BATCH_ROWS, maintain_order=True)
    return scale_of((frame.height, frame[column].drop_nulls().to_numpy()) for frame in frames)


def scale_of(batches: Iterable[tuple[int, np.ndarray]]) -> Scale:
    """``scale`` of batches: their rows, and the arrays (n, ...) of those rows that have one."""
    rows = bad = count = 0
    total = squares = np.float64(0)
    norms: list[float] = []
    sums = sums2 = np.zeros(1)
    for height, present in batches:
        values = present.reshape(len(present), -1).astype(np.float64)
        values = values[np.isfinite(values).all(1)]
        rows, bad = rows + height, bad + height - len(values)
        if not len(values):
            continue
        count, total, squares = count + values.size, total + values.sum(), squares + (values**2).sum()
        lengths = np.sqrt((values**2).sum(1))
        norms += [float(lengths.max()), float(lengths.min())]
        sums, sums2 = sums + values.sum(0), sums2 + (values**2).sum(0)
    good = max(rows - bad, 1)
    mean = float(total / max(count, 1))
    spread = float(np.sqrt(np.maximum(sums2 / good - (sums / good) ** 2, 0)).mean())
    std = float(np.sqrt(max(squares / max(count, 1) - mean**2, 0)))
    return Scale(rows, bad, mean, std, max(norms, default=0.0), min(norms, default=0.0), spread)

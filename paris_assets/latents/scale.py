"""Whether latents are finite and of sane scale, whatever their shapes, read in bounded batches."""

from __future__ import annotations

from typing import NamedTuple

import numpy as np
import polars as pl

from paris_assets.storage.ragged import array_columns, arrays_of

BATCH_ROWS = 512


class Scale(NamedTuple):
    """Figures of the latents that are there; mean and deviation over the values of those that are finite."""

    rows: int
    not_finite: int
    mean: float
    std: float


def scale(table: pl.LazyFrame, column: str) -> Scale:
    """Figures of one size of `latents`; rows without it are not counted."""
    rows = bad = count = 0
    total = squares = 0.0
    there = table.filter(pl.col(column).is_not_null()).select(array_columns(column, table.collect_schema()))
    for frame in there.collect_batches(chunk_size=BATCH_ROWS, maintain_order=True):
        for array in arrays_of(frame, column):
            values = np.asarray(array, np.float64)
            rows += 1
            if not np.isfinite(values).all():
                bad += 1
                continue
            count, total, squares = count + values.size, total + values.sum(), squares + (values**2).sum()
    mean = float(total / max(count, 1))
    return Scale(rows, bad, mean, float(np.sqrt(max(squares / max(count, 1) - mean**2, 0))))

"""Latents of a few images, reduced to what a small probe can be taught from."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import polars as pl

from paris_assets.storage.parquet import group_rows
from paris_assets.storage.ragged import array_columns, arrays_of
from paris_assets.storage.shards import Shards

GRID = 8
"""Latents are averaged over a grid of so many fields by so many: 256 values of four channels."""


def pooled_latents(latents: Shards, image_ids: Sequence[str], column: str) -> tuple[np.ndarray, np.ndarray]:
    """Rows (m,) of the images that have a latent, ascending, and (m, channels * GRID * GRID) float32: its means over
    a grid. One row group is read at a time, and none without such an image.

    Args:
        latents: the table `latents`.
        image_ids: (n) sorted.
        column: of the size that the router is trained on.
    """
    places = {name: row for row, name in enumerate(image_ids)}
    names = pl.Series(list(image_ids), dtype=pl.String)
    found = dict[int, np.ndarray]()
    for shard in latents.keys:
        table = latents[shard]
        schema = table.collect_schema()
        columns, held = array_columns(column, schema), table.select("image_id").collect()["image_id"]
        size = group_rows(schema.to_frame().to_arrow(compat_level=pl.CompatLevel.oldest()).schema)
        for block in np.unique(np.flatnonzero(held.is_in(names.implode())) // size).tolist():
            rows = table.select("image_id", *columns).slice(block * size, size).collect()
            rows = rows.filter(pl.col("image_id").is_in(names.implode()))
            arrays = zip(rows["image_id"], arrays_of(rows, column), strict=True)
            found.update((places[name], pooled(latent)) for name, latent in arrays if latent is not None)
    at = sorted(found)
    return np.array(at, dtype=np.int64), np.stack([found[row] for row in at]) if at else np.empty((0, 0))


def pooled(latent: np.ndarray) -> np.ndarray:
    """(channels, h, w) of any size -> (channels * GRID * GRID,) float32, means over a grid of nearly equal fields."""
    wide = latent.astype(np.float32)
    for axis in (1, 2):
        size = wide.shape[axis]
        fields = min(GRID, size)
        starts = np.arange(fields) * size // fields
        sums = np.add.reduceat(wide, starts, axis=axis)
        counts = np.diff([*starts, size]).astype(np.float32)
        wide = sums / np.expand_dims(counts, tuple({0, 1, 2} - {axis}))
    return wide.ravel()

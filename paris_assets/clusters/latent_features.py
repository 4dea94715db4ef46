"""Latents of a few images, reduced to what a small probe can be taught from."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import polars as pl

from paris_assets.storage.ragged import array_columns, arrays_of
from paris_assets.storage.shards import Shards

GRID = 8
"""Latents are averaged over a grid of so many fields by so many: 256 values of four channels."""


def pooled_latents(latents: Shards, image_ids: Sequence[str], column: str) -> tuple[np.ndarray, np.ndarray]:
    """Rows (m,) of the images that have a latent, ascending, and (m, channels * GRID * GRID) float32: its means over
    a grid. One shard is read at a time, and of it no more than these images.

    Args:
        latents: the table `latents`.
        image_ids: (n) sorted.
        column: of the size that the router is trained on.
    """
    places = {name: row for row, name in enumerate(image_ids)}
    wanted = pl.LazyFrame({"image_id": list(image_ids)}, schema={"image_id": pl.String})
    found = dict[int, np.ndarray]()
    for shard in latents.keys:
        table = latents[shard]
        columns = array_columns(column, table.collect_schema())
        held = table.select("image_id", *columns).join(wanted, on="image_id", how="semi").collect()
        arrays = zip(held["image_id"], arrays_of(held, column), strict=True)
        found.update((places[name], pooled(latent)) for name, latent in arrays if latent is not None)
    rows = sorted(found)
    return np.array(rows, dtype=np.int64), np.stack([found[row] for row in rows]) if rows else np.empty((0, 0))


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

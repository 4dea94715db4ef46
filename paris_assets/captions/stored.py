"""Text embeddings as they are stored, padded or as true tokens, read back to be judged."""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np
import polars as pl

from paris_assets.vectors.true_tokens import masked_mean, unpacked

BATCH_ROWS = 512


def torn(table: pl.LazyFrame) -> int:
    """Rows whose bytes are not the float16 values of as many tokens as they say, of the width that most rows have; none
    where arrays are stored."""
    if table.collect_schema()["embedding"] != pl.Binary:
        return 0
    width = (pl.col("embedding").bin.size() / (2 * pl.col("tokens"))).alias("width")
    widths = table.select(width).collect()["width"]
    usual = widths.drop_nulls().mode().min()
    return len(widths) - int(((widths == usual) & (widths % 1 == 0) & (widths > 0)).sum())


def finite_rows(table: pl.LazyFrame) -> Iterator[np.ndarray]:
    """Of every batch (n,) whether all stored states of a row, of which none is ``torn``, are finite."""
    yield from (np.array([np.isfinite(row).all() for row in rows]) for rows, _ in _states(table))


def mean_states(table: pl.LazyFrame) -> Iterator[tuple[int, np.ndarray]]:
    """Rows of every batch, and of each, of which none is ``torn``, the mean of its true tokens: (n, dim) float32."""
    for rows, tokens in _states(table):
        means = masked_mean([row[:count] for row, count in zip(rows, tokens, strict=True)])
        yield len(means), means


def _states(table: pl.LazyFrame) -> Iterator[tuple[list[np.ndarray], pl.Series]]:
    columns = table.select("embedding", "tokens")
    for frame in columns.collect_batches(chunk_size=BATCH_ROWS, maintain_order=True):
        if frame.height:
            states, tokens = frame["embedding"], frame["tokens"]
            yield unpacked(states, tokens) if states.dtype == pl.Binary else list(states.to_numpy()), tokens

"""Text embeddings of the captions."""

from __future__ import annotations

from collections.abc import Iterator
from typing import NamedTuple

import numpy as np
import polars as pl

from paris_assets.captions.schema import TEXT_EMBEDDINGS
from paris_assets.config import Text
from paris_assets.models.batches import BatchStats, float16, naming
from paris_assets.models.protocols import TextEncoder
from paris_assets.models.texts import lengths, run_texts
from paris_assets.models.threads import side_by_side
from paris_assets.settings.captions import TRUE_TOKENS
from paris_assets.vectors.true_tokens import masked_mean, packed

# Rows are encoded by length and then sorted again, so many at a time.
WINDOW_BYTES, WINDOW_BATCHES = 256 << 20, 64


class Batch(NamedTuple):
    """Captions of one length, and whether they are the last of their window."""

    rows: pl.DataFrame
    positions: int
    last: bool


def encode(
    rows: pl.DataFrame, encoder: TextEncoder, settings: Text, stats: BatchStats | None = None
) -> Iterator[pl.DataFrame]:
    """Encode captions, each at a length that depends on nothing but itself and the settings.

    Args:
        rows: image_id and caption, sorted by image_id; an empty one is encoded as the empty prompt.
        encoder: the network.
        settings: ``tokens``: longer captions are cut; ``stored``; ``pooled``.
        stats: counts and out-of-memory halvings are added here.

    Yields:
        columns of `text_embeddings`, sorted by image_id; at least one frame, which may be empty.

    Raises:
        BrokenInvariant: values that are not finite in float16; names the image.
        PaddingSeen: true tokens are asked of an encoder that sees padding.
    """
    stats = stats or BatchStats()
    yield pl.DataFrame(schema=_columns(encoder, settings))

    def run(batch: Batch) -> tuple[pl.DataFrame, bool]:
        return _encoded(batch, encoder, settings, stats), batch.last

    parts: list[pl.DataFrame] = []
    for part, last in side_by_side([encoder], run, _batches(rows, encoder, settings)):
        parts.append(part)
        if last:
            yield pl.concat(parts).sort("image_id")
            parts.clear()


def _columns(encoder: TextEncoder, settings: Text) -> pl.Schema:
    shape = None if settings.stored == TRUE_TOKENS else (settings.tokens, encoder.dim)
    width = encoder.dim if settings.pooled == "masked_mean" else encoder.pooled_dim
    without = ("pooled",) if width is None else ()
    return TEXT_EMBEDDINGS.polars(without, embedding=shape, pooled=(width or 0,))


def _batches(rows: pl.DataFrame, encoder: TextEncoder, settings: Text) -> Iterator[Batch]:
    """Batches of one length each, window after window; in a window the short ones first."""
    found = lengths(encoder, rows["caption"].to_list(), settings)
    truncated = None if found.tokens is None else np.maximum(found.tokens - settings.tokens, 0)
    known = rows.select("image_id", "caption").with_columns(
        positions=pl.Series(found.positions, dtype=pl.Int64),
        truncated=pl.lit(None, pl.Int32) if truncated is None else pl.Series(truncated, dtype=pl.Int32),
    )
    for window in _windows(known, encoder):
        of_length = window.partition_by("positions", maintain_order=True)
        parts = [part for group in of_length for part in group.iter_slices(encoder.batch_size)]
        parts.sort(key=lambda part: part["positions"][0])
        for number, part in enumerate(parts):
            yield Batch(part.drop("positions"), part["positions"][0], number == len(parts) - 1)


def _windows(rows: pl.DataFrame, encoder: TextEncoder) -> Iterator[pl.DataFrame]:
    """Rows in their order, whole batches at a time: as many as their states take a bounded amount of memory for."""
    ends = (rows["positions"] * encoder.dim * 2).cum_sum().to_numpy()
    start = 0
    while start < rows.height:
        within = int(np.searchsorted(ends, WINDOW_BYTES + (ends[start - 1] if start else 0), "right")) - start
        batches = min(max(1, within // encoder.batch_size), WINDOW_BATCHES)
        yield rows[start : start + batches * encoder.batch_size]
        start += batches * encoder.batch_size


def _encoded(batch: Batch, encoder: TextEncoder, settings: Text, stats: BatchStats) -> pl.DataFrame:
    ids, texts = batch.rows["image_id"].to_list(), batch.rows["caption"].to_list()
    with naming(ids):
        states, pooled, tokens = run_texts(encoder, texts, batch.positions, ids, settings, stats)
    if settings.pooled == "masked_mean":
        pooled = float16(masked_mean([row[:n] for row, n in zip(states, tokens, strict=True)]), ids, encoder.name)
    columns = {
        "embedding": packed(states) if settings.stored == TRUE_TOKENS else pl.Series(states),
        **({} if pooled is None else {"pooled": pl.Series(pooled)}),
        "tokens": pl.Series(tokens),
    }
    return batch.rows.with_columns(**columns).select("image_id", "caption", *columns, "truncated")

"""Text embeddings of a shard, where earlier rows of the same encoder may be kept."""

from __future__ import annotations

from collections.abc import Iterator

import polars as pl

from paris_assets.captions.text import encode
from paris_assets.config import Text
from paris_assets.models.batches import BatchStats
from paris_assets.models.registry import Models
from paris_assets.storage.output import Output
from paris_assets.storage.reuse import reuse_rows


def encoded(captions: pl.LazyFrame, settings: Text, models: Models) -> Output:
    """Rows of `text_embeddings` for the shard's `captions`."""
    wanted = captions.select("image_id", "caption").sort("image_id").collect()
    output, stats = Output(rows_in=wanted.height), BatchStats()

    def compute(missing: pl.DataFrame) -> Iterator[pl.DataFrame]:
        encoder = models.load(settings.encoder)
        yield from encode(missing, encoder, settings.tokens, stats)
        output.facts["models"] = {"text.encoder": encoder.identity()}
        output.note_halved(stats.halved)

    output.rows = lambda previous: reuse_rows(wanted, previous, compute, ("image_id", "caption"))
    return output

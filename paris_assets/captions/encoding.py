"""Text embeddings of a shard, where earlier rows of the same encoder may be kept."""

from __future__ import annotations

from collections.abc import Iterable, Iterator

import polars as pl

from paris_assets.captions.text import encode
from paris_assets.config import Text
from paris_assets.models.batches import BatchStats
from paris_assets.models.registry import Models
from paris_assets.storage.output import Output
from paris_assets.storage.reuse import reuse_rows
from paris_assets.texts.lengths import length_facts


def encoded(captions: pl.LazyFrame, settings: Text, models: Models) -> Output:
    """Rows of `text_embeddings` for the shard's `captions`; the facts say what was cut, and what would be elsewhere."""
    wanted = captions.select("image_id", "caption").sort("image_id").collect()
    output, stats = Output(rows_in=wanted.height), BatchStats()

    def compute(missing: pl.DataFrame) -> Iterator[pl.DataFrame]:
        encoder = models.load(settings.encoder)
        yield from encode(missing, encoder, settings, stats)
        output.facts["models"] = {"text.encoder": encoder.identity()}
        output.note_halved(stats.halved)

    def rows(previous: pl.LazyFrame | None) -> Iterator[pl.DataFrame]:
        yield from _counted(reuse_rows(wanted, previous, compute, ("image_id", "caption")), output)

    output.rows = rows
    return output


def _counted(chunks: Iterable[pl.DataFrame], output: Output) -> Iterator[pl.DataFrame]:
    """The chunks as they are; then facts on the lengths of their captions."""
    found = []
    for chunk in chunks:
        found.append(chunk.select("tokens", "truncated"))
        yield chunk
    output.facts |= length_facts(*pl.concat(found).get_columns())

"""Captions that stand too often in the whole set: filled-in templates, one text on every page of a shop.

They are counted over all shards, whatever their order; as texts only those whose hash comes too often.
"""

from __future__ import annotations

from collections.abc import Iterator

import polars as pl

from paris_assets.captions.schema import REPEATED_CAPTIONS
from paris_assets.storage.output import Output
from paris_assets.storage.shards import Shards
from paris_assets.texts.words import template

NOT_COUNTED = ("tags", "ocr")  # they repeat by nature


def repeated(caption_kinds: Shards, most: int) -> Output:
    """Rows of `repeated_captions`, for exactly these shards: the valid captions of templates of which one kind has more
    than ``most`` in the whole set."""
    output = Output(rows_in=caption_kinds.frame().select(pl.len()).collect().item())
    output.facts = {"shards": list(caption_kinds.keys)}

    def rows() -> Iterator[pl.DataFrame]:
        often = templates(caption_kinds, most)
        yield REPEATED_CAPTIONS.frame()
        for shard in caption_kinds.keys:
            found = counted(caption_kinds[shard]).join(often.lazy(), on=["kind", "template"])
            table = found.with_columns(shard=pl.lit(shard)).select(REPEATED_CAPTIONS.select()).collect()
            yield table.sort("image_id", "kind")

    output.rows = rows()
    return output


def templates(caption_kinds: Shards, most: int) -> pl.DataFrame:
    """``kind``, ``template`` and ``repeats`` of those that stand there more often than ``most``.

    Hashes of 64 bits are counted first; only templates whose hash comes often enough are counted as texts.
    """
    captions = counted(caption_kinds.frame()).with_columns(hash=pl.col("template").hash())
    hashes = captions.group_by("kind", "hash").len().filter(pl.col("len") > most)
    perhaps = hashes.select("kind", "hash").collect(engine="streaming").lazy()
    texts = captions.join(perhaps, on=["kind", "hash"], how="semi").group_by("kind", "template")
    counts = texts.agg(repeats=pl.len().cast(pl.Int64)).filter(pl.col("repeats") > most)
    return counts.collect(engine="streaming").sort("kind", "template")


def counted(captions: pl.LazyFrame) -> pl.LazyFrame:
    """``image_id``, ``kind`` and ``template`` of rows of `caption_kinds` that are valid so far and may repeat."""
    considered = captions.filter(pl.col("reason").is_null() & ~pl.col("kind").is_in(NOT_COUNTED))
    return considered.select("image_id", "kind", template=template(pl.col("caption")))

"""Captions of a shard, where earlier rows of the same captioner may be kept."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator

import polars as pl

from paris_assets.captions.choice import SOURCE_TEXT, caption, without_caption
from paris_assets.config import Captions
from paris_assets.images.reader import ShardImages
from paris_assets.models.batches import BatchStats
from paris_assets.models.registry import Models
from paris_assets.storage.output import Output, Samples
from paris_assets.storage.reuse import reuse_rows


def captioned(curated: pl.LazyFrame, images: ShardImages, settings: Captions, models: Models) -> Output:
    """Rows of `captions` for the shard's `curated_images`."""
    wanted = curated.select("image_id", "text", source_text="text").sort("image_id").collect()
    output, stats = Output(rows_in=wanted.height, samples=Samples(first_captions, images.one)), BatchStats()

    def compute(missing: pl.DataFrame) -> Iterator[pl.DataFrame]:
        ids = pl.Series("image_id", without_caption(missing, settings.min_words), pl.String)
        captioner = models.load(settings.captioner) if len(ids) else None
        yield from caption(missing, images.read(ids), captioner, settings, stats=stats)
        if captioner is not None:
            output.facts["models"] = {"captions.captioner": captioner.identity()}
        output.note_halved(stats.halved)

    def counted(previous: pl.LazyFrame | None) -> Iterator[pl.DataFrame]:
        writers = Counter[str]()
        for chunk in reuse_rows(wanted, previous, compute, ("image_id", "source_text")):
            writers.update(dict(chunk["captioner"].value_counts().iter_rows()))
            yield chunk
        output.rows_of_models = bool(writers.keys() - {SOURCE_TEXT})
        output.facts |= {f"captions by {name}": count for name, count in sorted(writers.items())}

    output.rows = counted
    return output


def first_captions(captions: pl.LazyFrame) -> pl.DataFrame:
    """``image_id`` and ``words`` of nine images: their captions, and who wrote them where it is not the source."""
    others = pl.when(pl.col("captioner") == SOURCE_TEXT).then(pl.lit("")).otherwise(pl.lit(" (") + "captioner" + ")")
    return captions.select("image_id", words=pl.col("caption") + others).head(9).collect()

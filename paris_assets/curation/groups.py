"""Duplicate groups over all shards."""

from __future__ import annotations

from collections.abc import Iterator, Sequence

import polars as pl

from paris_assets.config import Duplicates
from paris_assets.curation.curated import add_alternative_texts, kept_occurrences
from paris_assets.curation.duplicates import find_duplicates
from paris_assets.storage.output import Output
from paris_assets.storage.shards import Shards


def grouped(
    source_rows: Shards,
    raw_images: Shards,
    image_signals: Shards,
    filtered_images: Shards,
    picture_embeddings: Shards | None,
    settings: Duplicates,
) -> Output:
    """Rows of `duplicate_groups` for the images that pass the rules; the output covers exactly these shards.

    Groups as they stand are kept where the source has only grown, unless ``settings.growth`` is ``rerank``. Once a
    setting or an image of a shard that they cover has changed they are decided afresh, as in a fresh run.
    """
    output, shards = Output(), list(raw_images.keys)

    def occurrences(shard: str) -> pl.LazyFrame:
        aesthetic = source_rows[shard].select("source_row", "aesthetic")
        kept = kept_occurrences(raw_images[shard], filtered_images[shard], image_signals[shard], aesthetic)
        return kept.with_columns(pl.lit(shard).alias("shard"))

    def find(standing: pl.LazyFrame | None) -> Iterator[pl.DataFrame]:
        keeps = standing is not None and settings.growth == "keep_published"
        published = standing.collect() if standing is not None and keeps else None
        images = pl.concat([occurrences(shard) for shard in shards])
        vectors = _vectors(picture_embeddings, shards, settings)
        groups = find_duplicates(images, settings, published, vectors, output.scratch)
        further = source_rows.frame().select("source_row", text="alt_texts").explode("text")
        texts = pl.concat([raw_images.frame().select("source_row", "text"), further])
        groups = add_alternative_texts(groups, texts, published)
        dropped = groups.filter(~pl.col("keeper"))
        output.rows_in = groups.height
        output.rejects = dict(dropped.group_by("method").len().sort("method").rows())
        output.facts = {
            "shards": shards,
            "groups_with_copies": int(dropped["group_id"].n_unique()),
            "keepers": int(groups["keeper"].sum()),
        }
        yield groups

    output.rows = find
    return output


def _vectors(embeddings: Shards | None, shards: Sequence[str], settings: Duplicates) -> Iterator[pl.DataFrame]:
    """`image_id` and `vector` of each shard in turn, where vectors are compared."""
    if embeddings is not None and settings.vectors is not None:
        for shard in shards:
            rows = embeddings[shard].select("image_id", vector=settings.vectors.encoder)
            yield rows.drop_nulls("vector").collect()

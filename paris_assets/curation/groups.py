"""Duplicate groups over all shards."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator, Sequence
from typing import NamedTuple

import polars as pl

from paris_assets.compute import Compute
from paris_assets.config import CopyDuplicates, Duplicates
from paris_assets.curation.curated import alternative_texts, kept_occurrences, with_alternative_texts
from paris_assets.curation.duplicates import find_duplicates
from paris_assets.curation.near_vectors import Vectors
from paris_assets.curation.same_picture import contrasts
from paris_assets.curation.schema import COPY_EMBEDDING
from paris_assets.storage.output import Output
from paris_assets.storage.parquet import GROUP_ROWS
from paris_assets.storage.shards import Shards


class Tables(NamedTuple):
    """What duplicate search reads of one shard first."""

    shard: str
    source_rows: pl.LazyFrame
    raw_images: pl.LazyFrame
    image_signals: pl.LazyFrame
    filtered_images: pl.LazyFrame


def grouped(
    source_rows: Shards,
    raw_images: Shards,
    image_signals: Shards,
    filtered_images: Shards,
    picture_embeddings: Shards | None,
    copy_embeddings: Shards | None,
    settings: Duplicates,
    compute: Compute | None = None,
) -> Output:
    """Rows of `duplicate_groups` for the images that pass the rules; the output covers exactly these shards.

    Groups as they stand are kept where the source has only grown, unless ``settings.growth`` is ``rerank``. Once a
    setting or an image of a shard that they cover has changed they are decided afresh, as in a fresh run.

    Args:
        compute: who does the work; by default the threads of this process.
    """
    output, shards, compute = Output(), list(raw_images.keys), compute or Compute()
    read = (source_rows, raw_images, image_signals, filtered_images)

    def find(standing: pl.LazyFrame | None) -> Iterator[pl.DataFrame]:
        keeps = standing is not None and settings.growth == "keep_published"
        published = standing.collect() if standing is not None and keeps else None
        # A plan over all shards takes longer to make, and one of them has work for all cores.
        tables = (Tables(shard, *(table[shard] for table in read)) for shard in shards)
        images = [pl.concat(compute.map(_occurrences, tables, None, threads=1))]
        if published is not None:
            published = _still_there(published, images[0])
        vectors = _compared(picture_embeddings, copy_embeddings, image_signals, shards, settings)
        thumbnails, scratch = [image_signals[shard] for shard in shards], output.scratch
        # Handed on: of so many rows one table at a time.
        decided = find_duplicates(images.pop(), settings, published, vectors, scratch, thumbnails, compute)
        further = source_rows.frame().select("source_row", text="alt_texts").explode("text")
        texts = pl.concat([raw_images.frame().select("source_row", "text"), further])
        texts_of_copies, rejects = alternative_texts(decided.further(), texts), Counter[str]()
        for rows in decided.slices(GROUP_ROWS):
            told = with_alternative_texts(rows, texts_of_copies)
            told = told if published is None else _as_published(told, published)
            rejects.update(told.filter(~pl.col("keeper"))["method"].to_list())
            yield told
        output.rows_in, output.rejects = len(decided), dict(sorted(rejects.items()))
        output.facts = {
            "shards": shards,
            "groups_with_copies": decided.groups_with_copies,
            "keepers": decided.kept,
        }

    output.rows = find
    return output


def _occurrences(_: None, tables: Tables) -> pl.DataFrame:
    aesthetic = tables.source_rows.select("source_row", "aesthetic")
    kept = kept_occurrences(tables.raw_images, tables.filtered_images, tables.image_signals, aesthetic)
    return kept.with_columns(pl.lit(tables.shard).alias("shard")).collect()


def _still_there(published: pl.DataFrame, images: pl.DataFrame) -> pl.DataFrame:
    """Published rows of images that were not taken down, in groups whose keeper was not either."""
    there = images.select("image_id", "shard", "source_row")
    rows = published.join(there, on=["image_id", "shard", "source_row"], how="semi", maintain_order="left")
    return rows.filter(pl.col("keeper").any().over("group_id"))


def _as_published(rows: pl.DataFrame, published: pl.DataFrame) -> pl.DataFrame:
    """Rows sorted by source_row, in which those that were published are as they were: a later copy adds no text."""
    known = published.filter(pl.col("source_row").is_between(rows["source_row"].min(), rows["source_row"].max()))
    return pl.concat([known, rows.join(known, on="source_row", how="anti")]).sort("source_row")


def _compared(
    picture_embeddings: Shards | None,
    copy_embeddings: Shards | None,
    image_signals: Shards,
    shards: Sequence[str],
    settings: Duplicates,
) -> Vectors | None:
    """The vectors that are compared: those of an encoder of `picture_embeddings`, or those of `copy_embeddings`."""
    if picture_embeddings is not None and settings.vectors is not None:
        column = settings.vectors.encoder
        tables = (picture_embeddings[shard].select("image_id", vector=column) for shard in shards)
        return Vectors((table.drop_nulls("vector").collect() for table in tables), settings.vectors.cosine)
    if copy_embeddings is None:
        return None
    copies = settings.copies
    tables = (
        without_blank(copy_embeddings[shard].select("image_id", vector="embedding"), image_signals[shard], copies)
        for shard in shards
    )
    return Vectors(tables, copies.cosine, COPY_EMBEDDING, copies.probes)


def without_blank(vectors: pl.LazyFrame, signals: pl.LazyFrame, settings: CopyDuplicates) -> pl.DataFrame:
    """Rows of `vectors` that are there, of images that show anything: the vector of a blank one is like that of any
    other blank one, and near to those of many that show little."""
    images = signals.select("image_id", "thumbnail").drop_nulls().collect()
    blank = images.filter(contrasts(images["thumbnail"].to_numpy()) < settings.min_contrast).select("image_id")
    return vectors.drop_nulls("vector").join(blank.lazy(), on="image_id", how="anti").collect()

"""The images that remain: keepers of their duplicate groups."""

from __future__ import annotations

import polars as pl

from paris_assets.curation.schema import CURATED_IMAGES
from paris_assets.errors import BrokenInvariant


class RepeatedImage(BrokenInvariant):
    """An image_id is curated twice."""


def kept_occurrences(
    ledger: pl.LazyFrame, verdicts: pl.LazyFrame, signals: pl.LazyFrame, aesthetic: pl.LazyFrame
) -> pl.LazyFrame:
    """Every occurrence of a kept image of one shard, with what duplicate search and ranking need.

    Args:
        ledger: raw_images of the shard.
        verdicts: filtered_images of the shard.
        signals: image_signals of the shard.
        aesthetic: source_row and aesthetic of the shard's source rows.
    """
    kept = verdicts.filter("kept").select("image_id")
    return (
        ledger.filter(pl.col("status") == "ok")
        .select("image_id", "source_row", "width", "height")
        .join(kept, on="image_id", how="semi")
        .join(signals.select("image_id", "phash"), on="image_id")
        .join(aesthetic, on="source_row", how="left")
    )


def alternative_texts(further: pl.DataFrame, texts: pl.LazyFrame) -> pl.DataFrame:
    """``alt_texts`` by `image_id`: the distinct texts of further occurrences of the same bytes.

    Args:
        further: image_id and source_row of these.
        texts: source_row and text of all shards; a row may have several.
    """
    return (
        texts.join(further.lazy(), on="source_row")
        .filter(pl.col("text").is_not_null() & (pl.col("text") != ""))
        .group_by("image_id")
        .agg(pl.col("text").unique().sort().alias("alt_texts"))
        .collect()
    )


def with_alternative_texts(groups: pl.DataFrame, texts: pl.DataFrame) -> pl.DataFrame:
    """Rows of `duplicate_groups` with the ``alternative_texts`` of keepers, in their order."""
    beside = groups.select("image_id", "keeper").join(texts, on="image_id", how="left", maintain_order="left")
    alternatives = pl.when("keeper").then(pl.col("alt_texts")).fill_null(pl.lit([], pl.List(pl.String)))
    return groups.with_columns(beside.select(alternatives.alias("alt_texts")).to_series())  # no other column twice


def curate(
    shard: str,
    groups: pl.LazyFrame,
    ledger: pl.LazyFrame,
    sources: pl.LazyFrame,
    verdicts: pl.LazyFrame | None = None,
    factors: pl.DataFrame | None = None,
) -> pl.DataFrame:
    """Curated rows of one shard, sorted by image_id.

    Args:
        groups: the shard's rows of `duplicate_groups`.
        ledger: raw_images of the shard.
        sources: source_rows of the shard (source scores and further texts).
        verdicts: filtered_images of the shard, under a profile with tiers.
        factors: image_id and boost of the images that lists name, under a profile with such lists.

    Raises:
        RepeatedImage: an image_id would be curated twice.
    """
    keepers = groups.filter("keeper").select("image_id", "source_row", "group_id", "alt_texts")
    own = pl.col("alt_texts").fill_null([]).alias("own_texts")
    scores = sources.select("source_row", own, "aesthetic", "similarity", "punsafe", "pwatermark")
    others = pl.col("own_texts").list.set_union("alt_texts")
    rows = (
        keepers.join(ledger.select("source_row", "uid", "url", "text", "width", "height"), on="source_row")
        .join(scores, on="source_row", how="left")
        .with_columns(others.list.set_difference(pl.concat_list("text")).alias("alt_texts"))
        .sort("image_id")
        .collect()
    )
    if rows["image_id"].n_unique() != rows.height:
        repeated = rows.filter(rows["image_id"].is_duplicated())["image_id"][0]
        raise RepeatedImage(f"shard {shard}: image {repeated} would be curated twice")
    absent = []
    for column, known in (("tier", None if verdicts is None else verdicts.collect()), ("boost", factors)):
        if known is None:
            absent.append(column)
        else:
            said = known.select("image_id", column)
            rows = rows.join(said, on="image_id", how="left", maintain_order="left")
    rows = rows if factors is None else rows.with_columns(pl.col("boost").fill_null(1.0))
    return rows.select(CURATED_IMAGES.select(without=absent))

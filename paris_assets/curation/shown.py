"""Which images the pages of this stage's tables show, and what they say of each."""

from __future__ import annotations

import polars as pl

IMAGES = 9


def sample_verdicts(filtered: pl.LazyFrame) -> pl.DataFrame:
    """``image_id`` and ``words`` of rejected images, one for each reason first, and then of kept ones."""
    rank = pl.int_range(pl.len()).over("reason") + pl.when("kept").then(pl.lit(1 << 20)).otherwise(0)
    said = pl.when("kept").then(pl.lit("kept")).otherwise(pl.format("{}: {}", "reason", _number("value")))
    return filtered.sort(rank, "image_id").select("image_id", words=said).head(IMAGES).collect()


def sample_copies(groups: pl.LazyFrame) -> pl.DataFrame:
    """``image_id`` and ``words`` of copies that are not the same bytes, each behind the image that is kept for it."""
    copies = groups.filter(~pl.col("keeper") & (pl.col("method") != "exact")).unique("group_id", keep="first")
    said = pl.format("copy: pHash {} bits away", "distance")
    if "cosine" in groups.collect_schema():
        by_vectors = pl.format("copy: cosine of vectors {}", pl.col("cosine").round(3))
        said = pl.when(pl.col("method") == "phash").then(said).otherwise(by_vectors)
    pairs = copies.sort("group_id").head(IMAGES // 2).select("group_id", copy="image_id", words=said)
    keepers = groups.filter("keeper").select("group_id", "image_id")
    both = pairs.join(keepers, on="group_id", how="inner", maintain_order="left").collect()
    kept = both.select("image_id", words=pl.lit("kept"), pair=pl.int_range(pl.len()), place=0)
    dropped = both.select(image_id="copy", words="words", pair=pl.int_range(pl.len()), place=1)
    return pl.concat([kept, dropped]).sort("pair", "place").select("image_id", "words")


def sample_curated(curated: pl.LazyFrame) -> pl.DataFrame:
    """``image_id`` and ``words`` of nine images: the text of their source."""
    return curated.select("image_id", words=pl.col("text").fill_null("no text")).head(IMAGES).collect()


def _number(column: str) -> pl.Expr:
    return pl.col(column).round(3).cast(pl.String).fill_null("no value")

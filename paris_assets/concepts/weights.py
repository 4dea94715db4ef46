"""The rarity of what an image shows as its sampling weight."""

from __future__ import annotations

import polars as pl

from paris_assets.concepts.hierarchy import narrower, narrowest, shown
from paris_assets.concepts.schema import SAMPLING_WEIGHTS
from paris_assets.config import Concepts

DIGITS = 6


def weighted(tags: pl.LazyFrame, model: pl.DataFrame, settings: Concepts) -> pl.DataFrame:
    """Rows of `sampling_weights` of a shard, sorted by image_id.

    The weight of an image is the mean over its narrowest concepts of (median df / smoothed df) ** alpha, held within
    ``min_weight`` and ``max_weight``; 1 where it has none. Of equal df all weights are 1.

    Args:
        tags: columns of `concepts`.
        model: columns of `concept_counts`.
    """
    factor = (median_df(model) / pl.col("smoothed_df")) ** settings.alpha
    pairs = shown(tags, settings.parents)
    of_images = (
        narrowest(pairs, model, narrower(model, pairs.select("concept").unique()))
        .join(model.select("concept", factor=factor), on="concept")
        .group_by("image_id")
        # Sorted, so that the sum depends on no order of rows.
        .agg(weight=pl.col("factor").sort().mean(), concepts=pl.col("concept").sort())
    )
    bounded = pl.col("weight").round_sig_figs(DIGITS).clip(settings.min_weight, settings.max_weight)
    rows = tags.select("image_id").sort("image_id").collect()
    return (
        rows.join(of_images, on="image_id", how="left", maintain_order="left")
        .with_columns(bounded.fill_null(1.0), pl.col("concepts").fill_null([]))
        .select(SAMPLING_WEIGHTS.select())
    )


def median_df(model: pl.DataFrame) -> int:
    """The df that half of all concepts of images do not exceed, each concept counted once for each image that uses it.

    Over distinct concepts the median would be near the smallest df that counts, as most words are rare (Zipf), and
    too many images would have the least weight. 0 without any concept.

    Args:
        model: ``df`` and ``images``.
    """
    rows = model.filter(pl.col("images") > 0).sort("df")
    passed = rows["images"].cum_sum()
    half = rows.filter(2 * passed >= (passed.last() or 0))
    return int(half["df"].first() or 0)  # type: ignore[arg-type]

"""How images spread over sizes and buckets, and what is cropped away of them."""

from __future__ import annotations

from typing import Any

import polars as pl

from paris_assets.config import Latents


def spread(table: pl.LazyFrame, settings: Latents) -> dict[int, dict[str, Any]]:
    """Resolution -> figures of the images that have a latent of it.

    Args:
        table: `latents` of all shards, with the columns ``settings.placed`` of several sizes or of buckets.

    Returns:
        of each size ``images``, ``upscaled`` and ``cropped_share``, the mean share of the resized image that is cut
        away; of one in buckets also ``ratio_error``, the mean, ``buckets``, the images of each that has any, and
        ``in_small_buckets``, images of those that fill no training batch.
    """
    return {resolution: _of_size(table, settings, resolution) for resolution in sorted(settings.resolutions)}


def _of_size(table: pl.LazyFrame, settings: Latents, resolution: int) -> dict[str, Any]:
    def value(name: str) -> pl.Expr:
        return pl.col(settings.column(name, resolution))

    there = table.filter(value("target_width").is_not_null())
    kept = value("target_width") * value("target_height") / (value("resized_width") * value("resized_height"))
    means = there.select(
        images=pl.len(), upscaled=value("upscaled").sum(), cropped_share=1 - kept.mean(), **_ratio_error(settings)
    )
    figures = means.collect().row(0, named=True)
    figures["cropped_share"] = round(figures["cropped_share"] or 0.0, 4)
    ratio_error = figures.pop("ratio_error", None)
    if settings.buckets is None or resolution not in settings.bucketed:
        return figures
    counts = there.group_by("bucket").len().sort("bucket").collect()
    small = counts.filter(pl.col("len") < settings.report_batch)
    return {
        **figures,
        "ratio_error": round(ratio_error or 0.0, 4),
        "buckets": dict(counts.iter_rows()),
        "in_small_buckets": int(small["len"].sum()),
    }


def _ratio_error(settings: Latents) -> dict[str, pl.Expr]:
    return {"ratio_error": pl.col("ratio_error").mean()} if settings.buckets else {}

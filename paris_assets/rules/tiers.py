"""Tiers: the highest level of quality that an image reaches, and what keeps it from the next."""

from __future__ import annotations

from collections.abc import Sequence

import polars as pl

from paris_assets.config import Tier
from paris_assets.rules.verdicts import judge


def tiers_of(images: pl.LazyFrame, tiers: Sequence[Tier]) -> pl.DataFrame:
    """The tier of each image.

    Args:
        images: `image_id` and every column that a rule names, of images that reach the first tier.
        tiers: the loosest first; each also asks what those before it ask.

    Returns:
        `image_id`, `tier` (name of the highest one reached) and `stopped_by` (first failing rule of the next one; null
        at the highest), sorted by image_id.
    """
    reached = images.select("image_id").collect().with_columns(
        tier=pl.lit(tiers[0].name), stopped_by=pl.lit(None, pl.String)
    )  # fmt: skip
    for tier in tiers[1:]:
        verdict = judge(images, tier.rules).select("image_id", "kept", "reason")
        climbs = pl.col("stopped_by").is_null()
        passes = climbs & pl.col("kept")
        reached = reached.join(verdict, on="image_id").select(
            "image_id",
            tier=pl.when(passes).then(pl.lit(tier.name)).otherwise("tier"),
            stopped_by=pl.when(climbs).then("reason").otherwise("stopped_by"),
        )
    return reached.sort("image_id")

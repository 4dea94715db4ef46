"""Judgement on signals."""

import polars as pl

from paris_assets.dag.checks import CheckOutcome, shard_check
from paris_assets.dag.joins import same_images


def ids_joined(shard: str, raw_images: pl.LazyFrame, image_signals: pl.LazyFrame) -> CheckOutcome:
    """Every fetched image has exactly one row of signals."""
    fetched = raw_images.filter(pl.col("status") == "ok").select("image_id").unique()
    return same_images("image_signals", shard, image_signals, fetched)


signal_ids_check = shard_check("image_signals")(ids_joined)

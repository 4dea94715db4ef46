"""Judgement on signals."""

from __future__ import annotations

import polars as pl

from paris_assets.dag.checks import Judgement, shard_check
from paris_assets.dag.joins import same_images
from paris_assets.dag.store import Store


def ids_joined(store: Store, shard: str) -> Judgement:
    """Every fetched image has exactly one row of signals."""
    fetched = store.scan("raw_images", [shard]).filter(pl.col("status") == "ok").select("image_id").unique()
    return same_images(store, "image_signals", shard, fetched)


signal_ids_check = shard_check("image_signals")(ids_joined)

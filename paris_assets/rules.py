"""Rules on files and signals."""

from __future__ import annotations

import polars as pl

from paris_assets.config import Curation
from paris_assets.curation.rules import judge


def measured_images(ledger: pl.LazyFrame, signals: pl.LazyFrame) -> pl.LazyFrame:
    """Fetched images of a shard with file size and signals, one row per distinct image, sorted by image_id."""
    files = ledger.filter(pl.col("status") == "ok").select("image_id", "source_row", "size_bytes", "width", "height")
    first = files.sort("source_row").unique("image_id", keep="first", maintain_order=True)
    return first.join(signals, on="image_id").sort("image_id")


def passing_signals(ledger: pl.LazyFrame, signals: pl.LazyFrame, settings: Curation) -> pl.Series:
    """image_ids that pass the rules on file and signals: those worth scoring by models."""
    verdict = judge(measured_images(ledger, signals), settings.signal_rules)
    return verdict.filter("kept")["image_id"]

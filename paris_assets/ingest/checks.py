"""Judgement on what was fetched."""

from __future__ import annotations

import polars as pl

from paris_assets.storage.asset_check import Judgement, shard_check
from paris_assets.storage.store import Store


def ledger_complete(store: Store, shard: str) -> Judgement:
    """Every source row has exactly one ledger row, and every row that failed says why."""
    rows = store.read("source_rows", shard)["source_row"]
    ledger = store.scan("raw_images", [shard]).select("source_row", "status", "reason", "image_id").collect()
    missing = len(set(rows) - set(ledger["source_row"]))
    repeated = ledger.height - ledger["source_row"].n_unique()
    ok = pl.col("status") == "ok"
    unexplained = ledger.filter(~ok & pl.col("reason").is_null() | ok & pl.col("image_id").is_null()).height
    figures: dict[str, float | int | str] = {"missing": missing, "repeated": repeated, "unexplained": unexplained}
    said = f"{missing} source rows without a ledger row, {repeated} repeated, {unexplained} without reason or image_id"
    return Judgement(not (missing or repeated or unexplained), said, figures)


def fetched(store: Store, shard: str) -> Judgement:
    """The share of source rows that arrived is within its bound."""
    ledger = store.scan("raw_images", [shard]).select("status", "reason").collect()
    share = float((ledger["status"] == "ok").mean() or 0.0)  # type: ignore[arg-type]
    least = store.profile.checks.min_fetched
    reasons = dict(ledger.drop_nulls("reason")["reason"].value_counts().sort("reason").iter_rows())
    said = f"{share:.1%} of {ledger.height} rows fetched (at least {least:.0%}); failures: {reasons or 'none'}"
    return Judgement(ledger.height == 0 or share >= least, said, {"fetched": share, "bound": least})


ledger_complete_check = shard_check("raw_images")(ledger_complete)
fetched_check = shard_check("raw_images")(fetched)

"""Whether two tables of a shard speak of the same images."""

from __future__ import annotations

import polars as pl

from paris_assets.storage.asset_check import Judgement
from paris_assets.storage.store import Store


def same_images(store: Store, asset: str, shard: str, expected: pl.LazyFrame) -> Judgement:
    """image_ids of a partition are unique and are those expected, no more and no fewer."""
    ids = store.scan(asset, [shard]).select("image_id").collect()["image_id"]
    wanted = set(expected.select("image_id").collect()["image_id"])
    repeated, missing, unknown = len(ids) - ids.n_unique(), len(wanted - set(ids)), len(set(ids) - wanted)
    said = f"{len(ids)} rows: {repeated} ids repeated, {missing} missing, {unknown} unknown to the tables before"
    figures: dict[str, float | int | str] = {"repeated": repeated, "missing": missing, "unknown": unknown}
    return Judgement(not (repeated or missing or unknown), said, figures)

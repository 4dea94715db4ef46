"""Verdicts, duplicates and the curated set."""

from __future__ import annotations

import dagster as dg
import polars as pl

from paris_assets.storage.output import Output
from paris_assets.storage.store import Store
from paris_assets.storage.table_asset import all_asset, shard_asset

VERDICT = {
    "image_id": ("String", "image"),
    "kept": ("Boolean", "whether every rule is met"),
    "reason": ("String", "first failing rule; null when kept"),
    "value": ("Float64", "what that rule saw"),
    "reasons": ("List(String)", "all failing rules"),
}
GROUPS = {
    "image_id": ("String", "image"),
    "shard": ("String", "shard of this occurrence"),
    "source_row": ("Int64", "source row of this occurrence"),
    "group_id": ("String", "smallest image_id of the group when it was first decided"),
    "keeper": ("Boolean", "the one occurrence that stays"),
    "distance": ("UInt8", "pHash distance to the keeper, bits"),
    "method": ("String", "exact or phash; null for the keeper"),
    "alt_texts": ("List(String)", "on keepers: texts of dropped exact copies"),
}
CURATED = {
    "image_id": ("String", "image, unique over the whole set"),
    "source_row": ("Int64", "source row it stands for"),
    "url": ("String", "where it came from"),
    "text": ("String", "text of the source"),
    "alt_texts": ("List(String)", "other texts of exact copies"),
    "width": ("Int32", "pixels, as fetched after EXIF orientation"),
    "height": ("Int32", "pixels"),
    "group_id": ("String", "duplicate group"),
    "aesthetic": ("Float64", "source score; null when unknown"),
}


@shard_asset(group="curation", kinds={"polars"}, settings=["curation"], columns=VERDICT)
def filtered_images(
    context: dg.AssetExecutionContext,
    store: dg.ResourceParam[Store],
    source_rows: pl.LazyFrame,
    raw_images: pl.LazyFrame,
    image_signals: pl.LazyFrame,
    content_scores: pl.LazyFrame,
) -> Output:
    """Keeps images that meet every rule of the profile. A rejected image has its first failing rule and value."""
    from paris_assets.curation.verdicts import verdicts

    rows = verdicts(source_rows, raw_images, image_signals, content_scores, store.profile.curation)
    rejected = rows.filter(~pl.col("kept")).group_by("reason").len().sort("reason").rows()
    return Output(rows=[rows], rows_in=rows.height, rejects=dict(rejected), facts={"kept": int(rows["kept"].sum())})


@all_asset(group="curation", kinds={"polars", "numpy"}, settings=["duplicates"], columns=GROUPS, pool="fit")
def duplicate_groups(
    context: dg.AssetExecutionContext,
    store: dg.ResourceParam[Store],
    source_rows: pl.LazyFrame,
    raw_images: pl.LazyFrame,
    image_signals: pl.LazyFrame,
    filtered_images: pl.LazyFrame,
) -> Output:
    """Groups copies of the same picture over all shards. One keeper per group stays, by a stated ranking."""
    from paris_assets.curation.tables import duplicate_groups as group_table

    return group_table(store)


@shard_asset(group="curation", kinds={"polars"}, settings=[], columns=CURATED)
def curated_images(
    context: dg.AssetExecutionContext,
    store: dg.ResourceParam[Store],
    source_rows: pl.LazyFrame,
    raw_images: pl.LazyFrame,
    duplicate_groups: pl.LazyFrame,
) -> Output:
    """The images that remain after rules and duplicates: every later stage works on these."""
    from paris_assets.curation.curated import curate

    record = store.record("duplicate_groups")
    covered = record.facts["shards"] if record else []
    shard = context.partition_key
    groups = duplicate_groups.filter(pl.col("shard") == shard)
    rows = curate(shard, groups, covered, raw_images, source_rows)
    members = groups.select(pl.len()).collect().item()
    return Output(rows=[rows], rows_in=members, rejects={"duplicate": members - rows.height})

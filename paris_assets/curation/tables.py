"""Duplicate groups over all shards of a store."""

from __future__ import annotations

import polars as pl

from paris_assets.curation.curated import add_alternative_texts, kept_occurrences
from paris_assets.curation.duplicates import find_duplicates
from paris_assets.storage.fingerprint import lineage_fingerprint
from paris_assets.storage.output import Output
from paris_assets.storage.store import Store


def duplicate_groups(store: Store) -> Output:
    """Find the groups of all shards that have been filtered; the output covers exactly those."""
    shards = store.present("source_rows", "raw_images", "image_signals", "filtered_images")
    occurrences = pl.concat([_occurrences(store, shard) for shard in shards])
    lineage = lineage_fingerprint(store.graph["duplicate_groups"], store.graph, store.profile)
    published = _published(store, lineage)
    groups = find_duplicates(occurrences, store.profile.duplicates, published)
    if published is not None:
        groups = keep_group_ids(groups, published)
    groups = add_alternative_texts(groups, store.scan("raw_images", shards).select("source_row", "text"))
    dropped = groups.filter(~pl.col("keeper"))
    return Output(
        rows=[groups],
        rows_in=groups.height,
        rejects=dict(dropped.group_by("method").len().sort("method").rows()),
        facts={
            "shards": shards,
            "lineage": lineage,
            "groups_with_copies": int(dropped["group_id"].n_unique()),
            "keepers": int(groups["keeper"].sum()),
        },
        slice_by="shard",
    )


def keep_group_ids(groups: pl.DataFrame, published: pl.DataFrame) -> pl.DataFrame:
    """A group whose keeper was published keeps its id, so a copy that arrives later changes no published row.

    Args:
        groups: columns of `duplicate_groups`.
        published: image_id and group_id of the keepers as they were.
    """
    before = groups.filter("keeper").join(published.select("image_id", known="group_id"), on="image_id")
    known = groups.join(before.select("group_id", "known"), on="group_id", how="left")
    return known.with_columns(group_id=pl.coalesce("known", "group_id")).drop("known")


def _occurrences(store: Store, shard: str) -> pl.LazyFrame:
    ledger, verdicts, signals = (
        store.scan(name, [shard]) for name in ("raw_images", "filtered_images", "image_signals")
    )
    aesthetic = store.scan("source_rows", [shard]).select("source_row", "aesthetic")
    return kept_occurrences(ledger, verdicts, signals, aesthetic).with_columns(pl.lit(shard).alias("shard"))


def _published(store: Store, lineage: str) -> pl.DataFrame | None:
    """Keepers of the groups as they stand; settings that changed since void them."""
    record = store.record("duplicate_groups")
    growing = store.profile.duplicates.growth == "keep_published"
    if record is None or not growing or record.facts.get("lineage") != lineage:
        return None
    return (
        store.scan("duplicate_groups", ["all"])
        .filter("keeper")
        .select("image_id", "shard", "source_row", "group_id")
        .collect()
    )

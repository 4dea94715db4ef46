"""Duplicate groups over all shards of a store."""

from __future__ import annotations

import polars as pl

from paris_assets.curation.curated import add_alternative_texts, kept_occurrences
from paris_assets.curation.duplicates import find_duplicates
from paris_assets.dag.fingerprint import fingerprint
from paris_assets.dag.records import ALL
from paris_assets.dag.store import Store
from paris_assets.storage.output import Output


def duplicate_groups(store: Store) -> Output:
    """Find the groups of all shards that have been filtered; the output covers exactly those."""
    shards = store.present("source_rows", "raw_images", "image_signals", "filtered_images")
    occurrences = pl.concat([_occurrences(store, shard) for shard in shards])
    settled = settled_groups(store)
    groups = find_duplicates(occurrences, store.profile.duplicates, settled)
    groups = add_alternative_texts(groups, store.scan("raw_images", shards).select("source_row", "text"), settled)
    dropped = groups.filter(~pl.col("keeper"))
    return Output(
        rows=[groups],
        rows_in=groups.height,
        rejects=dict(dropped.group_by("method").len().sort("method").rows()),
        facts={
            "shards": shards,
            "made_from": _made_from(store, shards),
            "groups_with_copies": int(dropped["group_id"].n_unique()),
            "keepers": int(groups["keeper"].sum()),
        },
        slice_by="shard",
    )


def settled_groups(store: Store) -> pl.DataFrame | None:
    """The groups as they stand, when a growing source must not change them: nothing else may have changed.

    They are void, and decided afresh, once a setting or an image of a shard that they cover has changed: the result is
    then that of a fresh run.
    """
    record = store.record("duplicate_groups")
    if record is None or store.profile.duplicates.growth == "rerank":
        return None
    if record.facts.get("made_from") != _made_from(store, record.facts["shards"]):
        return None
    return store.read("duplicate_groups")


def _made_from(store: Store, shards: list[str]) -> str | None:
    """Hash of the settings and of the tables of these shards that groups depend on."""
    node = store.graph["duplicate_groups"]
    return fingerprint(node, store.graph, store.own_fingerprint, ALL, shards, store.record)


def _occurrences(store: Store, shard: str) -> pl.LazyFrame:
    ledger, verdicts, signals = (
        store.scan(name, [shard]) for name in ("raw_images", "filtered_images", "image_signals")
    )
    aesthetic = store.scan("source_rows", [shard]).select("source_row", "aesthetic")
    return kept_occurrences(ledger, verdicts, signals, aesthetic).with_columns(pl.lit(shard).alias("shard"))

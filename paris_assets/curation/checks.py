"""Judgement on what was kept."""

from __future__ import annotations

import polars as pl

from paris_assets.storage.asset_check import Judgement, all_check, shard_check
from paris_assets.storage.joins import same_images
from paris_assets.storage.store import Store


def ids_joined(store: Store, shard: str) -> Judgement:
    """Every measured image has exactly one verdict."""
    return same_images(store, "filtered_images", shard, store.scan("image_signals", [shard]))


def retention(store: Store, shard: str) -> Judgement:
    """The share of images that pass the rules is within its bounds."""
    verdicts = store.read("filtered_images", shard)
    share = float(verdicts["kept"].mean() or 0.0)  # type: ignore[arg-type]
    low, high = store.profile.checks.min_kept, store.profile.checks.max_kept
    reasons = dict(verdicts.drop_nulls("reason")["reason"].value_counts().sort("reason").iter_rows())
    said = f"{share:.1%} of {verdicts.height} images pass ({low:.0%} to {high:.0%}); rejected: {reasons or 'none'}"
    figures: dict[str, float | int | str] = {"kept": share, "least": low, "most": high}
    return Judgement(verdicts.height == 0 or low <= share <= high, said, figures)


def duplicate_rate(store: Store, shard: str) -> Judgement:
    """The share of images that are dropped as copies is within its bound."""
    groups = store.scan("duplicate_groups", [shard]).select("keeper", "method").collect()
    share = 1 - float(groups["keeper"].mean() or 0.0) if groups.height else 0.0  # type: ignore[arg-type]
    most = store.profile.checks.max_duplicates
    methods = dict(groups.drop_nulls("method")["method"].value_counts().sort("method").iter_rows())
    said = f"{share:.1%} of {groups.height} occurrences are copies (at most {most:.0%}): {methods or 'none'}"
    return Judgement(share <= most, said, {"duplicates": share, "bound": most})


def one_keeper_per_group(store: Store, shard: str) -> Judgement:
    """Every group has exactly one keeper, and no image is kept twice."""
    groups = store.scan("duplicate_groups", [shard]).select("group_id", "keeper", "image_id").collect()
    keepers = groups.group_by("group_id").agg(pl.col("keeper").sum())
    wrong = keepers.filter(pl.col("keeper") != 1).height
    kept = groups.filter("keeper")["image_id"]
    twice = len(kept) - kept.n_unique()
    said = f"{keepers.height} groups: {wrong} without exactly one keeper, {twice} images kept twice"
    return Judgement(not (wrong or twice), said, {"wrong_groups": wrong, "kept_twice": twice})


def ids_unique(store: Store, shard: str) -> Judgement:
    """Curated images are exactly the shard's keepers."""
    groups = store.scan("duplicate_groups", ["all"]).filter((pl.col("shard") == shard) & pl.col("keeper"))
    return same_images(store, "curated_images", shard, groups)


verdict_ids_check = shard_check("filtered_images")(ids_joined)
retention_check = shard_check("filtered_images")(retention)
duplicate_rate_check = all_check("duplicate_groups")(duplicate_rate)
keepers_check = all_check("duplicate_groups")(one_keeper_per_group)
curated_ids_check = shard_check("curated_images")(ids_unique)

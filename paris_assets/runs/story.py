"""`paris inspect`: one image's story, from its source row to its expert shard."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import polars as pl
from rich.console import Console

from paris_assets.runs.plan import order
from paris_assets.storage.store import Store


def print_story(store: Store, wanted: str) -> int:
    """Print every table row about an image; 0 when there is one, 1 when nothing is known of it."""
    console = Console(highlight=False, soft_wrap=True, markup=False)
    occurrences = find_occurrences(store, wanted)
    if occurrences.is_empty():
        console.print(
            f"nothing known of {wanted!r} under {store.root.url}: give an image_id or a URL of the source list"
        )
        return 1
    for occurrence in occurrences.iter_rows(named=True):
        console.print(occurrence["url"] or occurrence["image_id"], style="bold")
        for asset, row in story(store, occurrence):
            console.print(f"  {asset}", style="bold cyan")
            for name, value in row.items():
                console.print(f"    {name}: {value}")
        console.print(f"  => {verdict(store, occurrence)}")
    return 0


def find_occurrences(store: Store, wanted: str) -> pl.DataFrame:
    """Ledger rows of an image_id (or its prefix of at least 6 digits) or a URL, with their shard."""
    found = []
    for shard in store.shards():
        if store.record("raw_images", shard):
            ledger = store.scan("raw_images", [shard])
            by_id = pl.col("image_id").str.starts_with(wanted) if len(wanted) >= 6 else pl.col("image_id") == wanted
            rows = ledger.filter(by_id.fill_null(False) | (pl.col("url") == wanted).fill_null(False)).collect()
            found.append(rows.with_columns(pl.lit(shard).alias("shard")))
    return pl.concat(found) if found else pl.DataFrame()


def story(store: Store, occurrence: dict[str, Any]) -> Iterator[tuple[str, dict[str, Any]]]:
    """(asset, row) for every table that knows the occurrence, in the order data flows."""
    for asset in order(store.graph):
        shard = occurrence["shard"] if store.graph[asset].partitioned else "all"
        if store.record(asset, shard) is None:
            continue
        table = store.scan(asset, [shard])
        columns = table.collect_schema()
        if "source_row" in columns and asset in ("source_rows", "raw_images", "duplicate_groups", "curated_images"):
            key, value = "source_row", occurrence["source_row"]
        elif "image_id" in columns and occurrence["image_id"]:
            key, value = "image_id", occurrence["image_id"]
        else:
            continue
        shown = [name for name, kind in columns.items() if not isinstance(kind, pl.Array) and kind != pl.Binary]
        rows = table.filter(pl.col(key) == value).select(shown).collect()
        for row in rows.to_dicts():
            yield asset, row


def verdict(store: Store, occurrence: dict[str, Any]) -> str:
    """One sentence: where the image ended, and which image was kept instead."""
    if occurrence["status"] != "ok":
        return f"not fetched: {occurrence['reason']}"
    rows = dict(story(store, occurrence))
    filtered = rows.get("filtered_images")
    if filtered and not filtered["kept"]:
        return f"rejected by rule {filtered['reason']} (saw {filtered['value']})"
    group = rows.get("duplicate_groups")
    if group and not group["keeper"]:
        keepers = store.read("duplicate_groups").filter(pl.col("keeper") & (pl.col("group_id") == group["group_id"]))
        keeper = keepers.row(0, named=True)
        return (
            f"dropped as a copy ({group['method']}, distance {group['distance']}) of {keeper['image_id']}, "
            f"source row {keeper['source_row']} in shard {keeper['shard']}"
        )
    selection = rows.get("training_selection")
    if selection and not selection["selected"]:
        return f"not selected for training: {selection['reason']}"
    if "router_arrays" in rows:
        cluster = rows["router_arrays"]["cluster"]
        return f"published in cluster {cluster}: {', '.join(_tars(store, occurrence['shard'], cluster))}"
    return "has no latent, so it is not published" if "latents" not in rows and selection else "not yet published"


def _tars(store: Store, shard: str, cluster: int) -> list[str]:
    return store.read("expert_shards", shard).filter(pl.col("cluster") == cluster)["path"].to_list()

"""`paris inspect`: one image's history, from its source row to its expert shard."""

from __future__ import annotations

import json
import re
from collections.abc import Iterator
from typing import Any

import numpy as np
import polars as pl
from rich.console import Console

from paris_assets.dag.graph import order
from paris_assets.dag.records import ALL
from paris_assets.dag.tables import Tables
from paris_assets.experts.manifest import MANIFEST
from paris_assets.experts.published_settings import changed_sections
from paris_assets.runs.outcome import outcome_of

POOL = ("pool_vectors", "caption_figures", "concept_assignments", "pool_scores", "pool_selection")
BY_ROW = ("source_rows", *POOL, "raw_images", "duplicate_groups", "curated_images")
ID = re.compile(r"[0-9a-f]{6,32}")
UID = re.compile(r"[0-9a-f]{32}")
ROW = re.compile(r"row:(\d+)")


def print_history(tables: Tables, wanted: str) -> int:
    """Print every table row about an image, and how it ended; 0 when there is one, 1 when nothing is known of it.

    Args:
        tables: those of the root.
        wanted: an image_id or its first digits (at least 6), a uid of the source, a URL of it, ``row:`` and a source
            row, or the name or path of a file in a folder or tar.
    """
    console = Console(highlight=False, soft_wrap=True, markup=False)
    occurrences = find_occurrences(tables, wanted)
    taken_down = [entry.when for entry in tables.catalog.takedowns().entries if wanted in entry.image_ids]
    if taken_down:
        console.print(f"image {wanted} was taken down, asked at {taken_down[0]}: nothing else is kept of it")
        return 1
    if occurrences.is_empty():
        console.print(
            f"nothing known of {wanted!r} under {tables.catalog.location.url}: give an image_id (or its first 6 digits "
            "at least), a uid or URL of the source list, a file of a folder or tar, or row:N for its row N"
        )
        return 1
    unfinished = changed_since(tables)
    if unfinished:
        console.print(
            f"note: {', '.join(unfinished)} changed since the last manifest, and that change is not finished: some of "
            f"these rows are newer than what is published; `paris run --root {tables.catalog.location.url}` finishes it"
        )
    if occurrences.height > 1:
        images = occurrences["image_id"].n_unique()
        console.print(f"{occurrences.height} source rows, {images} different images")
    for occurrence in occurrences.iter_rows(named=True):
        name = occurrence["url"] or occurrence["image_id"] or "no address"
        console.print(f"{name} (source row {occurrence['source_row']}, shard {occurrence['shard']})", style="bold")
        rows = list(table_rows(tables, occurrence))
        for asset, row in rows:
            console.print(f"  {asset}", style="bold cyan")
            for column, value in row.items():
                console.print(f"    {column}: {value}")
        for line in outcome_of(tables, occurrence, dict(rows)):
            console.print(f"  => {line}")
    return 0


def changed_since(tables: Tables) -> list[str]:
    """Sections of the settings that are others than those of what is published; empty where nothing is."""
    root = tables.catalog.location
    if root.size(MANIFEST) is None:
        return []
    return changed_sections(tables.catalog.profile, json.loads(root.read(MANIFEST))["settings"])


def find_occurrences(tables: Tables, wanted: str) -> pl.DataFrame:
    """Ledger rows that are meant, with their shard, sorted by source row; of shards without ledger the source rows."""
    registry = tables.catalog.registry()
    if registry is None:
        return pl.DataFrame()
    row = ROW.fullmatch(wanted)
    if row:
        number = int(row[1])
        first, rows = pl.col("source_row"), pl.col("rows")
        shards = registry.filter((first <= number) & (number < first + rows))["shard"].to_list()
        meant = pl.col("source_row") == number
    else:
        shards = registry["shard"].to_list()
        named = [*_rows_of_file(tables, shards, wanted), *_rows_of_uid(tables, wanted)]
        meant = (pl.col("url") == wanted) | (pl.col("uid") == wanted) | pl.col("source_row").is_in(named)
        if ID.fullmatch(wanted):
            meant = meant | pl.col("image_id").str.starts_with(wanted)
    return rows_meant(tables, shards, meant)


def rows_meant(tables: Tables, shards: list[str], meant: pl.Expr) -> pl.DataFrame:
    """Ledger rows of some shards, with their shard, sorted by source row; of shards without ledger the source rows.

    Args:
        meant: of `source_row`, `uid`, `url`, `text`, `image_id` and `status`.
    """
    registry = tables.catalog.registry()
    assert registry is not None
    fetched = [shard for shard in shards if tables.catalog.record("raw_images", shard)]
    waiting = [shard for shard in shards if shard not in set(fetched) and tables.catalog.record("source_rows", shard)]
    found = []
    # One scan over all ledgers: with a thousand shards, one by one takes minutes.
    if fetched:
        found.append(tables.scan("raw_images", fetched).filter(meant).collect())
    if waiting:
        unknown = tables.scan("source_rows", waiting).select("source_row", "uid", "url", "text")
        unknown = unknown.with_columns(image_id=pl.lit(None, pl.String), status=pl.lit("waiting"))
        found.append(unknown.filter(meant).collect())
    if not found:
        return pl.DataFrame()
    starts = registry.select("source_row", "shard").sort("source_row")
    rows_found = pl.concat(found, how="diagonal_relaxed").sort("source_row")
    return rows_found.join_asof(starts, on="source_row", strategy="backward")


def _rows_of_file(tables: Tables, shards: list[str], wanted: str) -> list[int]:
    """Source rows whose image lies in a file of this name, or at a path that ends so, or that this path ends with."""
    known = [shard for shard in shards if tables.catalog.record("source_rows", shard)]
    if not known or not wanted or "://" in wanted or ID.fullmatch(wanted):
        return []
    locator, name = pl.col("locator"), wanted.removeprefix("./")
    ends = pl.any_horizontal(locator == name, *(locator.str.ends_with(f"{sign}{name}") for sign in "/:"))
    below = pl.lit(f"/{name}").str.ends_with(pl.format("/{}", locator))
    return tables.scan("source_rows", known).filter(ends | below).collect()["source_row"].to_list()


def _rows_of_uid(tables: Tables, wanted: str) -> list[int]:
    """Source rows to which the pool gave this uid, as the source has none for them."""
    if not UID.fullmatch(wanted) or tables.catalog.record("pool_scores", ALL) is None:
        return []
    same = tables.scan("pool_scores", [ALL]).filter(pl.col("uid") == wanted)
    return same.select("source_row").collect()["source_row"].to_list()


def table_rows(tables: Tables, occurrence: dict[str, Any]) -> Iterator[tuple[str, dict[str, Any]]]:
    """(asset, row) for every table that knows the occurrence, in the order data flows; arrays are summed up."""
    for asset in order(tables.catalog.graph):
        shard = occurrence["shard"] if tables.catalog.graph[asset].partitioned else ALL
        if tables.catalog.record(asset, shard) is None:
            continue
        table = tables.scan(asset, [shard])
        columns = table.collect_schema()
        if "source_row" in columns and asset in BY_ROW:
            meant = pl.col("source_row") == occurrence["source_row"]
        elif "image_id" in columns and occurrence["image_id"]:
            meant = pl.col("image_id") == occurrence["image_id"]
        else:
            continue
        shown = [name for name, kind in columns.items() if kind != pl.Binary]
        rows = table.filter(meant).select(shown).collect()
        arrays = [name for name, kind in columns.items() if isinstance(kind, pl.Array)]
        for number, row in enumerate(rows.drop(arrays).to_dicts()):
            summed = {
                name: describe(rows[name].to_numpy()[number]) for name in arrays if rows[name][number] is not None
            }
            yield asset, row | summed
            if asset == "duplicate_groups" and not row["keeper"]:
                return  # what follows is of the image kept instead, even where the bytes are the same


def describe(values: np.ndarray) -> str:
    """Shape, type and, of floats, norm, mean and deviation."""
    text = f"{' x '.join(map(str, values.shape))} {values.dtype}"
    if values.dtype.kind != "f":
        return text
    wide = values.astype(np.float64)
    return f"{text}, norm {np.linalg.norm(wide):.4g}, mean {wide.mean():.4g}, deviation {wide.std():.4g}"

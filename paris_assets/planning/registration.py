"""Bind a root to its source and profile, and register the source's shards."""

from __future__ import annotations

import io
import time
from pathlib import Path

import polars as pl
from rich.console import Console

from paris_assets.config import Profile
from paris_assets.dag.catalog import REGISTRY, Catalog
from paris_assets.planning.profile_file import PROFILE_FILE, stored_profile
from paris_assets.profiles import dump_profile
from paris_assets.storage.checksum import seal
from paris_assets.storage.location import Location

PROBE_ROWS = 100
SETTLE_S = 60.0


class SourceChanged(ValueError):
    """The root belongs to another source."""


def check_binding(root: Location, profile: Profile) -> None:
    """Whether the profile may be used on this root.

    Raises:
        SourceChanged: shards of another source, or of another size, are registered; names both.
    """
    stored = stored_profile(root)
    if stored is None or root.size(REGISTRY) is None:
        return
    if _place(stored.source.path) != _place(profile.source.path):
        raise SourceChanged(
            f"{root.url} holds results of {stored.source.path}, not of {profile.source.path}: "
            "give another --root, or delete this one"
        )
    if stored.source.rows_per_shard != profile.source.rows_per_shard:
        raise SourceChanged(
            f"{root.url} was registered with {stored.source.rows_per_shard} rows per shard, not "
            f"{profile.source.rows_per_shard}: shards are fixed at registration; give another --root"
        )


def register(catalog: Catalog) -> pl.DataFrame:
    """The registry of the source's shards, new ones included; nothing is written. Known shards never change.

    Raises:
        SourceError: the source cannot be read, or not with these `source.columns`.
    """
    from paris_assets.ingest import sources

    source, stored = catalog.profile.source, stored_profile(catalog.location)
    registry = sources.register(source, catalog.registry())
    if stored is not None and stored.source.columns != source.columns:
        first = registry.row(0, named=True)
        sources.read_rows(source, {**first, "rows": min(first["rows"], PROBE_ROWS)})
    return registry


def half_written(catalog: Catalog, registry: pl.DataFrame) -> list[str]:
    """New files of the source that were changed a moment ago, and whose end nothing marks, as it does in parquet.

    One that is registered while it is still written is another file from then on, and every later look is refused.
    """
    from paris_assets.ingest.places import locate

    place = locate(catalog.profile.source.path)
    new = registry["file"][len(catalog.shards()) :].unique(maintain_order=True)
    open_ended = [file for file in new if file and not file.endswith(".parquet")]
    changed = {file: place.fs.info(f"{place.base}/{file}").get("mtime") for file in open_ended}
    return [file for file, at in changed.items() if isinstance(at, float) and abs(time.time() - at) < SETTLE_S]


def bind(catalog: Catalog, registry: pl.DataFrame, console: Console) -> None:
    """Write the resolved profile and the registry to the root, and clear what a killed run left."""
    root, known = catalog.location, catalog.shards()
    root.remove_abandoned_scratch()
    if stored_profile(root) != catalog.profile:
        root.put_bytes(dump_profile(catalog.profile).encode(), PROFILE_FILE)
    catalog.refresh()
    if registry.height == len(known):
        return
    buffer = io.BytesIO()
    registry.write_parquet(buffer)
    seal(buffer)
    root.put_bytes(buffer.getvalue(), REGISTRY)
    catalog.changed(REGISTRY)
    rows, source = registry["rows"].sum(), catalog.profile.source.path
    console.print(f"registered {registry.height - len(known)} shards, {rows} rows in all, from {source}", markup=False)


def _place(source: str) -> str:
    return source if "://" in source else str(Path(source).absolute())

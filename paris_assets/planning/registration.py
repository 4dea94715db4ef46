"""Bind a root to its source and profile, and write down the shards of the source."""

from __future__ import annotations

import io
from contextlib import suppress
from pathlib import Path

import polars as pl
from rich.console import Console

from paris_assets.config import Profile
from paris_assets.dag.catalog import REGISTRY, Catalog
from paris_assets.errors import UserError
from paris_assets.planning.profile_file import PROFILE_FILE, stored_profile
from paris_assets.profiles import dump_profile, full_path, with_full_paths
from paris_assets.storage.checksum import seal
from paris_assets.storage.location import Location


class SourceChanged(UserError, ValueError):
    """The root belongs to another source."""


def check_binding(root: Location, profile: Profile) -> None:
    """Whether the profile may be used on this root.

    Raises:
        SourceChanged: shards of another source, or of another size, are registered; names both.
    """
    stored = stored_profile(root)
    if stored is None or root.size(REGISTRY) is None:
        return
    before, now = full_path(stored.source.path), full_path(profile.source.path)
    if before != now:
        raise SourceChanged(
            f"{root.url} holds results of {before}, not of {now}: give another --root, or delete this one"
        )
    if stored.source.rows_per_shard != profile.source.rows_per_shard:
        raise SourceChanged(
            f"{root.url} was registered with {stored.source.rows_per_shard} rows per shard, not "
            f"{profile.source.rows_per_shard}: shards are fixed at registration; give another --root"
        )


def bind(catalog: Catalog, registry: pl.DataFrame, console: Console) -> None:
    """Write the resolved profile and the registry to the root, and clear what a killed run left.

    Args:
        registry: of `ingest.sources.register`. Lists of the source that it no longer names are removed.
    """
    root, before = catalog.location, catalog.registry()
    root.remove_abandoned_scratch()
    profile = with_full_paths(catalog.profile)
    if stored_profile(root) != profile:
        root.put_bytes(dump_profile(profile).encode(), PROFILE_FILE)
    catalog.refresh()
    if before is not None and registry.equals(before):
        return
    buffer = io.BytesIO()
    registry.write_parquet(buffer)
    seal(buffer)
    root.put_bytes(buffer.getvalue(), REGISTRY)
    catalog.changed(REGISTRY)
    remove_lists(root, before, but=registry)
    new = registry.height - (0 if before is None else before.height)
    rows, source = registry["rows"].sum(), profile.source.path
    if new:
        console.print(f"registered {new} shard{'s' * (new != 1)}, {rows} rows in all, from {source}", markup=False)


def remove_lists(root: Location, registry: pl.DataFrame | None, but: pl.DataFrame | None) -> None:
    """Remove the lists that one registry names and the other does not."""
    for path in sorted(_lists(registry).difference(_lists(but))):
        root.delete(path)
        if not root.remote:
            with suppress(OSError):  # it holds others
                Path(root.uri(path)).parent.rmdir()


def _lists(registry: pl.DataFrame | None) -> set[str]:
    return set() if registry is None or "list" not in registry.columns else set(registry["list"].drop_nulls())

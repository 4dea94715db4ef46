"""Bind a root to its source and profile, and register the source's shards."""

from __future__ import annotations

import io
from pathlib import Path

import polars as pl

from paris_assets.config import Profile
from paris_assets.profiles import dump_profile
from paris_assets.storage.root import Root
from paris_assets.storage.store import PROFILE_FILE, REGISTRY, Store, stored_profile


class SourceChanged(ValueError):
    """The root belongs to another source."""


def bind_profile(root: Root, profile: Profile) -> None:
    """Write the resolved profile to the root.

    Raises:
        SourceChanged: the root holds results of another source; names both.
    """
    stored = stored_profile(root)
    if stored and _place(stored.source.path) != _place(profile.source.path):
        raise SourceChanged(
            f"{root.url} holds results of {stored.source.path}, not of {profile.source.path}: "
            "give another --root, or delete this one"
        )
    if stored and stored.source.rows_per_shard != profile.source.rows_per_shard and root.size(REGISTRY) is not None:
        raise SourceChanged(
            f"{root.url} was registered with {stored.source.rows_per_shard} rows per shard, not "
            f"{profile.source.rows_per_shard}: shards are fixed at registration; give another --root"
        )
    if stored != profile:
        root.put_bytes(dump_profile(profile).encode(), PROFILE_FILE)


def register(store: Store) -> list[str]:
    """Register the source's rows as shards; returns the new shard keys. Known shards never change."""
    from paris_assets.ingest.sources import register as register_source

    known = store.registry()
    registry = register_source(store.profile.source, known)
    if known is None or not registry.equals(known):
        buffer = io.BytesIO()
        registry.write_parquet(buffer)
        store.root.put_bytes(buffer.getvalue(), REGISTRY)
    old = set() if known is None else set(known["shard"])
    return [shard for shard in registry["shard"] if shard not in old]


def registered_rows(store: Store) -> int:
    """Source rows of all registered shards."""
    registry = store.registry()
    return 0 if registry is None else int(registry.select(pl.col("rows").sum()).item())


def _place(source: str) -> str:
    return source if "://" in source else str(Path(source).absolute())

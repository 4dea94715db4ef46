"""Reads committed tables of a root: lazy scans of partitions that have a record and whole bytes."""

from __future__ import annotations

import warnings
from collections.abc import Sequence
from pathlib import Path

import polars as pl

from paris_assets.dag.catalog import Catalog
from paris_assets.dag.records import ALL, table_path
from paris_assets.errors import BrokenInvariant, UserError
from paris_assets.storage.checksum import VerifiedFiles
from paris_assets.storage.shards import Shards

# A scan of many shards has more opens to make than polars has threads for them; they are made in turn.
warnings.filterwarnings("ignore", message="POLARS_MAX_BLOCKING_THREAD_COUNT")


class UncoveredShard(UserError, BrokenInvariant):
    """A global table was made before this shard existed."""


class Tables:
    """The tables of one root.

    Args:
        catalog: what there is.
        journal: a local file in which the processes of one run tell each other which tables they have verified.
    """

    def __init__(self, catalog: Catalog, journal: Path | None = None) -> None:
        self.catalog = catalog
        self._verified = VerifiedFiles(catalog.location, journal)

    def scan(self, asset: str, shards: Sequence[str]) -> pl.LazyFrame:
        """One lazy frame over partitions in the given order.

        Raises:
            MissingInput: partitions without a record; the message names them.
            DamagedFile: the bytes of one are not those that were written.
        """
        catalog = self.catalog
        missing = [shard for shard in shards if catalog.record(asset, shard) is None]
        if missing and catalog.profile.allow_missing_shards and len(missing) < len(shards):
            absent = set(missing)
            shards = [shard for shard in shards if shard not in absent]
        elif missing or not shards:
            raise catalog.not_made([f"{asset}/{shard}" for shard in missing] or [asset])
        for shard in shards:
            self._verified.check(table_path(asset, shard))
        uris = [catalog.location.uri(table_path(asset, shard)) for shard in shards]
        return pl.scan_parquet(uris, storage_options=catalog.location.storage_options or None, glob=False)

    def read(self, asset: str, shard: str = ALL) -> pl.DataFrame:
        """A whole partition in memory."""
        return self.scan(asset, [shard]).collect()

    def for_shard(self, asset: str, shard: str) -> pl.LazyFrame:
        """What a partition of a shard reads of a table: its own partition, or of a global one its slice or all of it.

        Raises:
            UncoveredShard: the global table speaks of each shard, but was made before this one came.
        """
        spec = self.catalog.graph[asset]
        if spec.partitioned:
            return self.scan(asset, [shard])
        table = self.scan(asset, [ALL])
        if spec.slice_by is None:
            return table
        record = self.catalog.record(asset)
        covered = record.facts["shards"] if record else []
        if shard not in covered:
            raise UncoveredShard(f"{asset} covers {len(covered)} shards, not {shard}: materialise it again first")
        return table.filter(pl.col(spec.slice_by) == shard)

    def for_all(self, asset: str, together: Sequence[str]) -> pl.LazyFrame | Shards:
        """What an unpartitioned asset reads of a table.

        Args:
            together: the partitioned tables that it reads beside this one: shards without one of them are left out
                where the profile allows that shards are missing.
        """
        if not self.catalog.graph[asset].partitioned:
            return self.scan(asset, [ALL])
        return Shards(self.catalog.present(together), lambda shards: self.scan(asset, shards))

    def wrote(self, asset: str, shard: str) -> None:
        """A partition has just been committed by this process: its bytes are known."""
        self._verified.wrote(table_path(asset, shard))

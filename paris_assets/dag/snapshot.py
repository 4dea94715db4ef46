"""What is known of a root's files: records and registry are read once, and again when their file has changed."""

from __future__ import annotations

import io
import threading
from collections.abc import Callable
from typing import Any

import polars as pl

from paris_assets.dag.records import Record, read_record, table_path
from paris_assets.storage.checksum import DamagedFile, intact
from paris_assets.storage.location import Location

REGISTRY = "shards.parquet"
MAX_RECORDS = 1 << 18  # of 10,000 shards, about 1 GB; more are read again


class Snapshot:
    """Files of one root as they were last seen; on a remote root they are looked at again only after ``refresh``."""

    def __init__(self, root: Location) -> None:
        self._root = root
        self._records: dict[str, tuple[Any, Record | None]] = {}
        self._registry: tuple[Any, pl.DataFrame | None, dict[str, dict[str, Any]]] = (None, None, {})
        self._stamps: dict[str, Any] = {}
        self._found: dict[tuple[str, ...], str] = {}
        self._lock = threading.Lock()

    def again(self) -> Snapshot:
        """Another look at the same root, which does not read those records again that this one has read."""
        other = Snapshot(self._root)
        other._records, other._lock = self._records, self._lock
        return other

    def registry(self) -> tuple[pl.DataFrame | None, dict[str, dict[str, Any]]]:
        """The table of registered shards, or None before, and its rows by shard."""
        stamp = self._stamp(REGISTRY)
        if stamp != self._registry[0]:
            data = None if stamp is None else self._root.read(REGISTRY)
            if data is not None and not intact(io.BytesIO(data)):
                raise DamagedFile(self._root.uri(REGISTRY))
            table = None if data is None else pl.read_parquet(io.BytesIO(data))
            rows = {} if table is None else {row["shard"]: row for row in table.iter_rows(named=True)}
            self._registry = (stamp, table, rows)
        return self._registry[1], self._registry[2]

    def record(self, asset: str, shard: str) -> Record | None:
        """The commit record of a partition, or None. A file that has not changed since is not read again."""
        path = table_path(asset, shard)
        stamp = self._stamp(path)
        known = self._records.get(path)
        if known is None or known[0] != stamp:
            known = (stamp, None if stamp is None else read_record(self._root, asset, shard))
            with self._lock:
                if len(self._records) >= MAX_RECORDS:
                    self._records.pop(next(iter(self._records)))
                self._records[path] = known
        return known[1]

    def size(self, path: str) -> int | None:
        """Bytes of a file, or None when there is none."""
        stamp = self._stamp(path)
        return None if stamp is None else int(stamp[1])

    def once(self, key: tuple[str, ...], find: Callable[[], str]) -> str:
        """What ``find`` gives, asked once until ``refresh``."""
        if key not in self._found:
            self._found[key] = find()
        return self._found[key]

    def refresh(self) -> None:
        """Look again at what is taken as unchanged."""
        self._found.clear()
        self._stamps.clear()

    def changed(self, path: str) -> None:
        """Forget what is known of a file that is written or removed."""
        self._stamps.pop(path, None)

    def _stamp(self, path: str) -> Any:
        if not self._root.remote:
            return self._root.stamp(path)
        if path not in self._stamps:
            self._stamps[path] = self._root.stamp(path)
        return self._stamps[path]

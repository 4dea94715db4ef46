"""Commit records that were read, kept until their tables change."""

from __future__ import annotations

import threading
from collections.abc import Iterable
from typing import Any

from paris_assets.dag.records import ALL, Record, read_record, table_path
from paris_assets.storage.location import Location

MAX_RECORDS = 1 << 18
"""Of 10,000 shards, about 1 GB; more are read again."""


class KeptRecords:
    """The records of one root, for all threads of a process."""

    def __init__(self, location: Location) -> None:
        self._location, self._lock = location, threading.Lock()
        self._known: dict[str, tuple[Any, Record | None]] = {}
        self._reading: dict[str, threading.Lock] = {}

    def at(self, asset: str, shard: str, stamp: Any) -> Record | None:
        """The record of a partition whose table has this stamp (``Location.stamp``), or None where there is none."""
        path = table_path(asset, shard)
        known = self._known.get(path)
        if known is not None and known[0] == stamp:
            return known[1]
        with self._lock:
            reading = self._reading.setdefault(path, threading.Lock())
        with reading:  # several threads look at a partition at once: one of them reads
            known = self._known.get(path)
            if known is None or known[0] != stamp:
                known = (stamp, None if stamp is None else read_record(self._location, asset, shard))
            with self._lock:
                if len(self._known) >= MAX_RECORDS:
                    self._known.pop(next(iter(self._known)))
                self._known[path] = known
                self._reading.pop(path, None)
        return known[1]

    def forget(self, assets: Iterable[str], shard: str) -> None:
        """Keep those of a shard no longer; of ``all`` none, since whoever reads all shards has read them all."""
        with self._lock:
            if shard == ALL:
                self._known.clear()
            for asset in assets:
                self._known.pop(table_path(asset, shard), None)

    def __len__(self) -> int:
        return len(self._known)

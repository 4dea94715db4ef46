"""Dagster's SQLite storages over kept connections.

As shipped they open a new engine for every statement and a new database for every run, which costs more than the work
of a small shard: on 3 shards of 20 rows a whole run took 2.3 times the processor time. Everything else is theirs.
"""

from __future__ import annotations

import io
import os
import threading
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import polars as pl
import sqlalchemy as db
from sqlalchemy.event import listens_for

from paris_assets.dag.catalog import REGISTRY
from paris_assets.dag.private import ConsolidatedSqliteEventLogStorage, SqliteRunStorage, SqlPollingEventWatcher
from paris_assets.dag.s3 import open_location
from paris_assets.errors import UsageError
from paris_assets.partitions import image_shards
from paris_assets.planning.home import dagster_home
from paris_assets.planning.waves import some

BUSY_TIMEOUT_S = 60.0


class _Connections:
    """One pool of connections per database and process; a forked process opens its own."""

    def __init__(self) -> None:
        self._engine: db.Engine | None = None
        self._owner = 0
        self._lock = threading.Lock()

    @contextmanager
    def begin(self, address: str) -> Iterator[db.Connection]:
        with self._lock:
            if self._engine is None or self._owner != os.getpid():
                self._engine, self._owner = _engine(address), os.getpid()
        with self._engine.begin() as connection:
            yield connection

    def close(self) -> None:
        with self._lock:
            if self._engine is not None and self._owner == os.getpid():
                self._engine.dispose()
            self._engine = None


def _engine(address: str) -> db.Engine:
    options = {"timeout": BUSY_TIMEOUT_S, "check_same_thread": False}
    engine = db.create_engine(address, poolclass=db.pool.QueuePool, connect_args=options)

    @listens_for(engine, "connect")
    def configure(connection: Any, _record: Any) -> None:
        # Readers and writers of several processes; what a crash of the machine loses, the next run reports again.
        connection.execute("PRAGMA journal_mode=WAL")
        connection.execute("PRAGMA synchronous=NORMAL")

    return engine


class EventLog(ConsolidatedSqliteEventLogStorage):
    """All events of a root in one SQLite file (``event_log.db``)."""

    def __init__(self, base_dir: str, inst_data: Any = None) -> None:
        self._connections = _Connections()
        self._tables: set[str] = set()
        super().__init__(base_dir, inst_data)
        if not self.has_table("alembic_version"):  # made last: a process was killed before
            self._init_db()
        self._watcher = SqlPollingEventWatcher(self)

    @contextmanager
    def _connect(self) -> Iterator[db.Connection]:
        with self._connections.begin(self._conn_string) as connection:
            yield connection

    def has_table(self, table_name: str) -> bool:
        """Whether the database has a table; those once seen are there to stay."""
        if table_name not in self._tables:
            with self._connect() as connection:
                if not db.inspect(connection).has_table(table_name):
                    return False
            self._tables.add(table_name)
        return True

    def add_dynamic_partitions(self, partitions_def_name: str, partition_keys: Sequence[str]) -> None:
        """Add partitions; of image shards only those that are registered, since a key of one's own has no rows.

        Raises:
            UsageError: it is not; says what registers one. Dagster's UI shows this where a partition is added.
        """
        known = registered(Path(self._base_dir)) if partitions_def_name == str(image_shards.name) else None
        unknown = [] if known is None else sorted(set(partition_keys) - known)
        if unknown:
            raise UsageError(
                f"{some(unknown)}: no image shard of this root. A shard is a slice of the source's rows and is "
                "registered with it: add files to the source, then start `paris run` or the sensor new_image_shards"
            )
        super().add_dynamic_partitions(partitions_def_name, partition_keys)

    def watch(self, run_id: str, cursor: str | None, callback: Callable[..., None]) -> None:
        """Follow a run by polling: with a write-ahead log the database file itself rarely changes."""
        self._watcher.watch_run(run_id, cursor, callback)

    def end_watch(self, run_id: str, handler: Callable[..., None]) -> None:
        """Stop following a run."""
        self._watcher.unwatch_run(run_id, handler)

    def dispose(self) -> None:
        """Stop followers and close connections."""
        self._watcher.close()
        self._connections.close()


def registered(home: Path) -> set[str] | None:
    """Keys of the shards that the root of a Dagster home has registered; None where nobody says which root that is."""
    named = os.environ.get("PARIS_ROOT")
    if home.name == ".dagster":
        root = open_location(str(home.parent))
    elif named and dagster_home(named, remote=True) == home:
        root = open_location(named)
    else:
        return None
    if root.size(REGISTRY) is None:
        return set()
    return set(pl.read_parquet(io.BytesIO(root.read(REGISTRY)), columns=["shard"])["shard"])


class RunLog(SqliteRunStorage):
    """Runs of a root (``runs.db``)."""

    def __init__(self, conn_string: str, inst_data: Any = None) -> None:
        self._connections = _Connections()
        super().__init__(conn_string, inst_data)

    @classmethod
    def from_config_value(cls, inst_data: Any, config_value: Any) -> RunLog:
        """Dagster's entry point: `base_dir` of the instance configuration."""
        return cls.from_local(inst_data=inst_data, **config_value)

    @contextmanager
    def connect(self) -> Iterator[db.Connection]:
        """A connection within a transaction."""
        with self._connections.begin(self._conn_string) as connection:
            yield connection

    def dispose(self) -> None:
        """Close connections."""
        self._connections.close()

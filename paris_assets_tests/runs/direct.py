"""Whole runs by the real plan, waves, asset bodies and storage, but without Dagster: a tenth of the time."""

from __future__ import annotations

import io
import time
from collections.abc import Callable, Iterable
from pathlib import Path
from typing import Any
from unittest import mock

import dagster as dg
import polars as pl
from rich.console import Console

from paris_assets.config import Profile
from paris_assets.dag import io_manager
from paris_assets.dag.assets import FORCE_TAG, RESUME_TAG
from paris_assets.dag.records import ALL, Record, read_record, table_path
from paris_assets.dag.store import Store
from paris_assets.definitions import ASSET_MODULES, asset_graph
from paris_assets.demo.resource import LoopbackServer
from paris_assets.ingest.sources import register
from paris_assets.planning.registration import bind, check_binding
from paris_assets.planning.waves import Task
from paris_assets.runs import run as runs
from paris_assets.runs import workers
from paris_assets.runs.execution import TaskReport
from paris_assets.runs.progress import RunProgress
from paris_assets.storage.location import Location
from paris_assets.storage.output import Output

GRAPH = asset_graph()
Partition = tuple[str, str]
FIXED = {"profile.yaml", "shards.parquet"}


class Body:
    """An asset's function, called with what Dagster would hand it."""

    def __init__(self, definition: dg.AssetsDefinition) -> None:
        self.name = definition.key.to_user_string()
        self._function: Callable[..., Output] = definition.op.compute_fn.decorated_fn  # type: ignore[union-attr]

    def __call__(self, store: Store, shard: str) -> Output:
        node = GRAPH[self.name]
        context = mock.Mock(partition_key=shard, has_partition_key=node.partitioned, asset_key=dg.AssetKey(self.name))
        context.run.tags = {RESUME_TAG: "true", FORCE_TAG: ",".join(store.forced)}
        given: dict[str, Any] = {"context": context, "store": store}
        for name in node.inputs:
            if name not in store.graph[self.name].inputs:
                given[name] = pl.LazyFrame()
                continue
            here = [shard] if node.partitioned else store.shards()
            given[name] = store.scan(name, here if GRAPH[name].partitioned else [ALL])
        if self.name == "raw_images":
            given["loopback_server"] = LoopbackServer(None)
        return self._function(**given)


BODIES = {
    body.name: body
    for body in (
        Body(asset) for asset in dg.load_assets_from_modules(ASSET_MODULES) if isinstance(asset, dg.AssetsDefinition)
    )
}


class Direct:
    """Makes what is stale of a task, as `execution.Executor` and the IO manager do."""

    def __init__(self, store: Store, *_: object) -> None:
        self._store = store

    def run(self, task: Task) -> TaskReport:
        self._store.resuming, self._store.forced = True, frozenset(task.forced)
        report = TaskReport(task)
        for asset in task.assets:
            if asset not in task.forced and self._store.done(asset, task.shard):
                continue
            start = time.monotonic()
            io_manager.commit(self._store, asset, task.shard, BODIES[asset](self._store, task.shard))
            report.seconds[asset] = time.monotonic() - start
        return report


def bring_up_to_date(profile: Profile, root: Path | str, request: runs.Request | None = None) -> set[Partition]:
    """`paris run` on a root; (asset, shard) of the partitions that were made. Failures are raised."""
    store, console = Store(Location(root), profile, GRAPH), Console(file=io.StringIO())
    check_binding(store.root, profile)
    bind(store, register(store.profile.source, store.registry(), store.root), console)
    with mock.patch.object(workers, "Executor", Direct), mock.patch.object(workers, "open_instance"):
        report = runs.run(store, request or runs.Request(), RunProgress(console))
    store.close()
    failures = [cause for task in report.tasks for cause in task.failures.values()]
    if failures:
        raise RuntimeError("; ".join(failures))
    assert not report.blocked
    return {(asset, task.task.shard) for task in report.tasks for asset in task.seconds}


def records(root: Path) -> dict[Partition, Record]:
    """The record of every partition of a finished root."""
    store = Store(Location(root), Profile(), GRAPH)
    keys = [(name, key) for name, node in GRAPH.items() for key in (store.shards() if node.partitioned else [ALL])]
    found = {(name, key): read_record(store.root, name, key) for name, key in keys}
    return {key: record for key, record in found.items() if record}


def owners(root: Path) -> dict[str, Partition]:
    """Path below the root -> the partition whose record names it."""
    found = {}
    for key, record in records(root).items():
        for path in (table_path(*key), *(file.path for file in record.files)):
            assert path not in found, f"{path} belongs to {found[path]} and to {key}"
            found[path] = key
    return found


def stamps(root: Path) -> dict[str, tuple[int, int]]:
    """Path below a local root -> (inode, time of change): any writing shows, even of the same bytes."""
    found = {}
    for path in root.rglob("*"):
        name, status = str(path.relative_to(root)), path.stat()
        if path.is_file() and not name.startswith((".dagster", ".scratch")):
            found[name] = (status.st_ino, status.st_mtime_ns)
    return found


def touched(before: dict[str, tuple[int, int]], after: dict[str, tuple[int, int]]) -> set[str]:
    """Paths that were written, or removed."""
    return {path for path in before.keys() | after.keys() if before.get(path) != after.get(path)}


def partitions(text: str, shards: Iterable[str]) -> set[Partition]:
    """``captions latents[0,2] cluster_model`` -> (asset, shard); without numbers all shards."""
    keys, found = list(shards), set[Partition]()
    for word in text.split():
        name, _, numbers = word.rstrip("]").partition("[")
        if not GRAPH[name].partitioned:
            found.add((name, ALL))
        else:
            found |= (
                {(name, keys[int(number)]) for number in numbers.split(",")}
                if numbers
                else {(name, key) for key in keys}
            )
    return found


def words(found: Iterable[Partition], shards: Iterable[str]) -> str:
    """The text that `partitions` reads."""
    keys = list(shards)
    by_asset: dict[str, list[int]] = {}
    for name, key in sorted(found):
        by_asset.setdefault(name, []).append(-1 if key == ALL else keys.index(key))
    return " ".join(
        name if numbers == [-1] or len(numbers) == len(keys) else f"{name}[{','.join(map(str, numbers))}]"
        for name, numbers in ((name, by_asset[name]) for name in GRAPH if name in by_asset)
    )

"""Write one partition: its data files, then its table with the record, then no leftovers."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from paris_assets.dag.records import ALL, DataFile, Record, table_path
from paris_assets.dag.store import Store
from paris_assets.errors import MissingInput
from paris_assets.storage.location import sha256_file
from paris_assets.storage.output import Output
from paris_assets.storage.parquet import TableWriter


def commit(store: Store, asset: str, shard: str, output: Output) -> Record:
    """Make the rows, write the partition and return its record.

    Data files go first and the record last; an older record is removed before a file that it names changes, and
    files of this partition that the new record does not name are deleted afterwards.

    Raises:
        MissingInput: an input has not been made; the message names the partition.
    """
    wanted, own = output.wanted or store.wanted(asset, shard), store.own_fingerprint(asset)
    if wanted is None:
        raise MissingInput(f"{asset}/{shard}: an input has not been made; `paris run` makes it first")
    if store.graph[asset].from_settings:
        _refuse_stale_ancestors(store, asset)
    with store.root.scratch() as folder:
        local = folder / "table.parquet"
        writer = TableWriter(local, output.volatile, output.slice_by)
        output.scratch = folder
        try:
            for chunk in output.rows:
                writer.write(chunk)
            _carry_over(store, asset, shard, own, output)
            record = writer.finish(
                Record(
                    asset=asset,
                    shard=shard,
                    fingerprint=wanted,
                    rows_fingerprint=own,
                    content="",
                    rows=0,
                    counts={} if output.rows_in is None else {"rows_in": output.rows_in},
                    rejects={reason: count for reason, count in sorted(output.rejects.items()) if count},
                    facts=dict(sorted(output.facts.items())),
                    files=[_data_file(path, file) for path, file in sorted(output.files.items())],
                )
            )
        finally:
            writer.abort()
        _place(store, record, local, output)
    return record


def _refuse_stale_ancestors(store: Store, asset: str) -> None:
    """Its fingerprint says nothing of what its inputs hold, so all of them have to be of these settings."""
    waiting, seen = list(store.graph[asset].inputs), set[str]()
    while waiting:
        name = waiting.pop()
        if name in seen:
            continue
        seen.add(name)
        waiting.extend(store.graph[name].inputs)
        for key in store.shards() if store.graph[name].partitioned else [ALL]:
            if store.record(name, key) and not store.done(name, key):
                raise MissingInput(f"{asset}: {name}/{key} is out of date; `paris run` makes it first")


def _data_file(path: str, local: Path) -> DataFile:
    return DataFile(path=path, size_bytes=local.stat().st_size, sha256=sha256_file(local))


def _carry_over(store: Store, asset: str, shard: str, own: str, output: Output) -> None:
    """Facts about the models hold on when every row was kept from before and no model ran."""
    old = store.record(asset, shard)
    kept = output.rows_of_models and store.resuming and asset not in store.forced
    if old is None or old.rows_fingerprint != own or not kept:
        return
    for fact in ("models", "scaling_factor", "halved_batches"):
        if fact in old.facts:
            output.facts.setdefault(fact, old.facts[fact])
    for setting, identity in old.facts.get("models", {}).items():
        now = output.facts["models"].setdefault(setting, identity)
        if now != identity:
            output.facts["models"][setting] = [*_as_list(identity), *_as_list(now)]


def _place(store: Store, record: Record, table: Path, output: Output) -> None:
    """Move everything to its final name; one process at a time, so that two never mix their files."""
    root, path = store.root, table_path(record.asset, record.shard)
    with root.alone(path):
        store.changed(path)
        old = store.record(record.asset, record.shard)
        if output.files and old is not None and old.files != record.files:
            store.changed(path)
            root.delete(path)
        for name, file in sorted(output.files.items()):
            store.changed(name)
            root.put(file, name)
        store.changed(path)
        root.put(table, path)
        leftovers = {file.path for file in old.files} if old else set()
        for pattern in store.graph[record.asset].data_files:
            leftovers.update(root.glob(pattern.format(shard=record.shard)))
        for name in sorted(leftovers - {file.path for file in record.files}):
            store.changed(name)
            root.delete(name)


def _as_list(identity: Any) -> list[Any]:
    return identity if isinstance(identity, list) else [identity]

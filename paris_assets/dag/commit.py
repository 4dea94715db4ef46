"""Write one partition: its data files, then its table with the record, then no leftovers."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal, NamedTuple

import polars as pl

from paris_assets.dag.catalog import Catalog
from paris_assets.dag.graph import ancestors
from paris_assets.dag.records import FOOTER_KEY, DataFile, Record, table_path
from paris_assets.dag.tables import Tables
from paris_assets.errors import MissingInput
from paris_assets.storage.location import sha256_file
from paris_assets.storage.output import Output
from paris_assets.storage.parquet import Chunk, TableWriter, Written
from paris_assets.storage.schema import Schema

Keeps = Literal["when_resumed", "when_retried", "when_grown", "when_taken_down", "when_refitted"]
MODEL_FACTS = ("models", "scaling_factor", "shift_factor", "halved_batches")


@dataclass(frozen=True)
class Partition:
    """One partition that is about to be committed.

    Attributes:
        wanted: its fingerprint, taken before its inputs were read: what is committed meanwhile makes it stale.
        schema: what its rows must look like; None where nothing is declared.
        keeps: which rows of the partition as it stands may be kept (see ``assets.all_asset``); None: none of them.
    """

    asset: str
    shard: str
    wanted: str | None
    schema: Schema | None = None
    keeps: Keeps | None = None


class Committed(NamedTuple):
    """A partition that was committed.

    Attributes:
        columns: name -> type.
        stood: whether a shard's rows as they stood were there to be kept, so that how long it took says nothing of
            making all. Tables over all shards are made from them whenever a source grows: their last time counts.
    """

    record: Record
    columns: dict[str, Any]
    stood: bool


def commit(tables: Tables, partition: Partition, output: Output) -> Committed:
    """Make the rows, write the partition and return its record and what is known of how it was made.

    Data files go first and the record last; an older record is removed before a file that it names changes, and
    files of this partition that the new record does not name are deleted afterwards. Where rows are kept
    ``when_retried`` (images that were fetched) the older record stays meanwhile, if sizes tell its files from others.

    Raises:
        MissingInput: an input has not been made; the message names the partition.
        WrongColumns: the rows are not as the schema says.
    """
    catalog, asset, shard = tables.catalog, partition.asset, partition.shard
    if partition.wanted is None:
        raise catalog.not_made(catalog.inputs_not_made(asset, shard))
    spec, own, wanted = catalog.graph[asset], catalog.rows_fingerprint(asset, shard), partition.wanted
    if spec.refit_on_settings_only:
        _refuse_stale_ancestors(catalog, asset)
    with catalog.location.scratch() as folder:
        local = folder / "table.parquet"
        writer = TableWriter(local, spec.volatile, spec.slice_by)
        output.scratch = folder
        made: list[Record] = []
        columns: dict[str, Any] = {}
        standing = None

        def record(written: Written) -> dict[str, str]:
            counts = {} if output.rows_in is None else {"rows_in": output.rows_in}
            rejects = {reason: count for reason, count in sorted(output.rejects.items()) if count}
            facts, names = dict(sorted(output.facts.items())), {"asset": asset, "shard": shard}
            prints = {"fingerprint": wanted, "rows_fingerprint": own}
            made.append(
                Record(**names, **prints, **written._asdict(), counts=counts, rejects=rejects, facts=facts, files=files)
            )
            return {FOOTER_KEY.decode(): made[0].model_dump_json()}

        try:
            wants = callable(output.rows) or partition.keeps == "when_taken_down"
            standing = _previous(tables, partition) if wants else None
            if partition.keeps == "when_taken_down" and standing is not None:
                output = _as_it_stands(catalog, partition, standing, folder)
            for chunk in _rows(output, standing):
                if not columns:
                    columns = _columns(chunk)
                    if partition.schema is not None:
                        partition.schema.require(columns, asset)
                writer.write(chunk)
            if partition.keeps and output.rows_of_models:
                _carry_over(catalog, asset, shard, own, output)
            if partition.keeps == "when_grown":
                output.facts["made_from"] = catalog.made_from(asset, output.facts["shards"])
            files = [_data_file(path, file, output.hashes.get(path)) for path, file in sorted(output.files.items())]
            writer.finish(((file.path, file.sha256) for file in files), record)
        finally:
            writer.abort()
        _place(catalog, made[0], local, output, stays=partition.keeps == "when_retried")
        tables.wrote(asset, shard)
    return Committed(made[0], columns, standing is not None and spec.partitioned)


def _rows(output: Output, previous: pl.LazyFrame | None) -> Iterable[Chunk]:
    return output.rows(previous) if isinstance(output.rows, Callable) else output.rows  # type: ignore[arg-type]


def _columns(chunk: Chunk) -> dict[str, Any]:
    frame = chunk if isinstance(chunk, pl.DataFrame) else pl.DataFrame(chunk.schema.empty_table())
    return dict(frame.schema)


def _previous(tables: Tables, partition: Partition) -> pl.LazyFrame | None:
    """The partition as it stands, where its rows may be kept."""
    catalog, asset, shard = tables.catalog, partition.asset, partition.shard
    record = catalog.record(asset, shard)
    if record is None:
        return None
    request = catalog.stands_but_for(asset, shard)
    if partition.keeps == "when_grown":
        grown = record.facts.get("made_from") == catalog.made_from(asset, record.facts["shards"])
        holds = grown or request is not None
    elif partition.keeps == "when_retried":
        holds = request is not None or catalog.done(asset, shard)
    elif partition.keeps == "when_taken_down":
        holds = request is not None and request.shards == catalog.shards()
    elif partition.keeps == "when_refitted":
        holds = True
    else:
        holds = partition.keeps is not None and record.rows_fingerprint == catalog.rows_fingerprint(asset, shard)
    if not holds:
        return None
    table = tables.scan(asset, [shard])
    if request is None or partition.keeps == "when_retried" or "image_id" not in table.collect_schema():
        return table
    gone = pl.Series(sorted(catalog.takedowns().image_ids), dtype=pl.String)
    return table.filter(~pl.col("image_id").is_in(gone.implode()))


def _as_it_stands(catalog: Catalog, partition: Partition, rows: pl.LazyFrame, folder: Path) -> Output:
    """A partition with the rows, counts, facts and files that it has: what was decided for the whole set is not decided
    anew for what was taken out of it."""
    record = catalog.record(partition.asset, partition.shard)
    assert record is not None
    files = {}
    for number, file in enumerate(record.files):
        copies = folder / f"standing-{number}"
        copies.mkdir()
        files[file.path] = catalog.location.fetch(file.path, copies)
    return Output(
        rows=[rows.collect()],
        rows_in=record.counts.get("rows_in"),
        rejects=dict(record.rejects),
        facts=dict(record.facts),
        files=files,
        scratch=folder,
    )


def _refuse_stale_ancestors(catalog: Catalog, asset: str) -> None:
    """Its fingerprint says nothing of what its inputs hold, so all of them have to be of these settings."""
    for name in sorted(ancestors(catalog.graph, asset)):
        for key in catalog.keys(name):
            if catalog.record(name, key) and not catalog.done(name, key):
                raise MissingInput(f"{asset}: {name}/{key} is out of date; `paris run` makes it first")


def _data_file(path: str, local: Path, sha256: str | None) -> DataFile:
    return DataFile(path=path, size_bytes=local.stat().st_size, sha256=sha256 or sha256_file(local))


def _carry_over(catalog: Catalog, asset: str, shard: str, own: str, output: Output) -> None:
    """Facts about the models hold on when every row was kept from before and no model ran."""
    old = catalog.record(asset, shard)
    if old is None or old.rows_fingerprint != own:
        return
    for fact in MODEL_FACTS:
        if fact in old.facts:
            output.facts.setdefault(fact, old.facts[fact])
    for setting, identity in old.facts.get("models", {}).items():
        now = output.facts["models"].setdefault(setting, identity)
        if now != identity:
            output.facts["models"][setting] = [*_as_list(identity), *_as_list(now)]


def _place(catalog: Catalog, record: Record, table: Path, output: Output, stays: bool) -> None:
    """Move everything to its final name; one process at a time, so that two never mix their files.

    Args:
        stays: whether the older record may stay until the new one replaces it: a kill in a long upload then loses
            nothing.
    """
    location, path = catalog.location, table_path(record.asset, record.shard)
    with location.alone(path):
        catalog.changed(path)
        old = catalog.record(record.asset, record.shard)
        if (
            output.files
            and old is not None
            and old.files != record.files
            and not (stays and _tells_change(old, record))
        ):
            catalog.changed(path)
            location.delete(path)
        for name, file in sorted(output.files.items()):
            catalog.changed(name)
            location.put(file, name)
        catalog.changed(path)
        location.put(table, path)
        leftovers = {file.path for file in old.files} if old else set()
        for pattern in catalog.graph[record.asset].data_files:
            leftovers.update(location.glob(pattern.format(shard=record.shard)))
        for name in sorted(leftovers - {file.path for file in record.files}):
            catalog.changed(name)
            location.delete(name)


def _tells_change(old: Record, new: Record) -> bool:
    """Whether the older record no longer counts as done when any file has become the new one's: sizes tell that."""
    sizes, same = {file.path: file.size_bytes for file in old.files}, set(old.files)
    return all(sizes.get(file.path) != file.size_bytes for file in new.files if file not in same)


def _as_list(identity: Any) -> list[Any]:
    return identity if isinstance(identity, list) else [identity]

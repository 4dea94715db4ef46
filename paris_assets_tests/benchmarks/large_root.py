"""A root of many shards, finished, and a Dagster instance that holds what its runs would have stored.

No image is decoded: records are those that planning wants, and the events of one shard, which a real run of a small
root stored, are written again for every other shard under other ids.
"""

from __future__ import annotations

import io
from collections.abc import Iterable
from pathlib import Path

import dagster as dg
import polars as pl
import pyarrow as pa
import pyarrow.parquet as pq
import sqlalchemy as db

from paris_assets.dag.catalog import Catalog
from paris_assets.dag.graph import order
from paris_assets.dag.records import FOOTER_KEY, Record, table_path
from paris_assets.partitions import image_shards
from paris_assets.storage.checksum import seal
from paris_assets_tests.fixtures import small_world

ROWS = 1
EMPTY = pa.table({"image_id": pa.array([], pa.string())})
COPIED = "00001"  # not the first shard, whose check has no earlier one to compare with
HEAD = 5  # characters of a run's id that become the key of its shard
EVENT_IDS = ("evaluation_event_storage_id", "materialization_event_storage_id", "event_id")
OF_RUNS = ("snapshots", "runs", "run_tags")  # what others refer to comes first
OF_EVENTS = ("event_logs", "asset_keys", "asset_event_tags", "asset_check_executions", "dynamic_partitions")
RUNS = "SELECT run_id FROM run_tags WHERE key = 'dagster/partition' AND value = :shard"


def grow(source: Path, shards: int, name: str) -> None:
    """A file of so many shards."""
    source.mkdir(exist_ok=True)
    image = small_world.picture(0)
    rows = pl.DataFrame({"image": pl.Series([image] * shards * ROWS, dtype=pl.Binary), "text": ["a"] * shards * ROWS})
    rows.write_parquet(source / f"{name}.parquet", row_group_size=1000)


def finish(catalog: Catalog) -> None:
    """Write the wanted record of every partition."""
    shards = catalog.shards()
    for asset in order(catalog.graph):
        spec = catalog.graph[asset]
        covers = {} if spec.partitioned else {"shards": shards}
        slices = dict.fromkeys(shards, asset) if spec.slice_by else {}
        for shard in catalog.keys(asset):
            wanted = catalog.wanted(asset, shard)
            assert wanted
            record = Record(
                asset=asset, shard=shard, fingerprint=wanted, rows_fingerprint="", content=f"{asset}/{shard}", rows=0,
                facts=covers, slices=slices,
            )  # fmt: skip
            file = io.BytesIO()
            pq.write_table(EMPTY.replace_schema_metadata({FOOTER_KEY: record.model_dump_json()}), file)
            seal(file)
            path = Path(catalog.location.uri(table_path(asset, shard)))
            path.parent.mkdir(exist_ok=True)
            path.write_bytes(file.getvalue())


def carry(small: Path, instance: dg.DagsterInstance) -> None:
    """Write what a home under SQLite holds into a new instance, whatever keeps that."""
    to_runs, to_events = instance.run_storage.connect, instance.event_log_storage.index_connection  # type: ignore[attr-defined]
    for name, connect, tables in (("runs", to_runs, OF_RUNS), ("event_log", to_events, OF_EVENTS)):
        source = db.create_engine(f"sqlite:///{small / '.dagster' / name}.db")
        with source.connect() as read, connect() as write:
            for table in tables:
                there, here = (db.Table(table, db.MetaData(), autoload_with=one) for one in (read, write))
                rows = [dict(row._mapping) for row in read.execute(there.select())]
                write.execute(here.insert(), rows)
            _count_on(write, tables)
        source.dispose()


def tell(instance: dg.DagsterInstance, shards: list[str]) -> tuple[int, int]:
    """Store runs, events and checks of shards as those of COPIED are stored; (runs, events) of a shard."""
    known = set(instance.get_dynamic_partitions(str(image_shards.name)))
    instance.add_dynamic_partitions(str(image_shards.name), shards)
    new = [{"shard": shard, "number": at} for at, shard in enumerate(shards, 1) if shard not in known]
    with instance.run_storage.connect() as connection:  # type: ignore[attr-defined]
        _keep(connection, new)
        runs = [row[0] for row in connection.execute(db.text(RUNS), {"shard": COPIED})]
        for table in ("runs", "run_tags"):
            _multiply(connection, table, runs, 0)
        _know_sizes(connection)
    with instance.event_log_storage.index_connection() as connection:  # type: ignore[attr-defined]
        _keep(connection, new)
        stride = connection.execute(db.text("SELECT max(id) + 1 FROM event_logs")).scalar_one()
        counted = db.text("SELECT count(*) FROM event_logs WHERE run_id IN :runs").bindparams(_all(runs))
        events = connection.execute(counted).scalar_one()
        for table in ("event_logs", "asset_event_tags", "asset_check_executions"):
            _multiply(connection, table, runs, stride)
        _count_on(connection, ["event_logs"])
        _know_sizes(connection)
    return len(runs), events


def _count_on(connection: db.Connection, tables: Iterable[str]) -> None:
    """PostgreSQL's counters do not see ids that are given."""
    for table in tables if connection.dialect.name == "postgresql" else ():
        connection.execute(db.text(f"SELECT setval('{table}_id_seq', (SELECT max(id) FROM {table}))"))


def _know_sizes(connection: db.Connection) -> None:
    """What PostgreSQL's autovacuum does within a minute of so many new rows: queries are planned by it."""
    if connection.dialect.name == "postgresql":
        connection.execute(db.text("ANALYZE"))


def _all(runs: list[str]) -> db.BindParameter[list[str]]:
    return db.bindparam("runs", runs, expanding=True)


def _keep(connection: db.Connection, new: list[dict[str, str | int]]) -> None:
    """A table of the new shards, for as long as the connection is open."""
    connection.execute(db.text("CREATE TEMPORARY TABLE copies (shard varchar(9), number bigint)"))
    connection.execute(db.text("INSERT INTO copies VALUES (:shard, :number)"), new)


def _multiply(connection: db.Connection, table: str, runs: list[str], stride: int) -> None:
    """The rows of some runs in a table, once for every new shard."""
    own_id = table == "event_logs"  # others refer to an event's
    columns = [column["name"] for column in db.inspect(connection).get_columns(table)]
    columns = [name for name in columns if own_id or name != "id"]
    run = f"copies.shard || substr(t.run_id, {HEAD + 1})"
    made = {name: f"t.{name}" for name in columns}
    made |= {name: f"t.{name} + copies.number * {stride}" for name in ("id", *EVENT_IDS)}
    made |= {"partition": "CASE WHEN t.partition IS NULL THEN NULL ELSE copies.shard END", "run_id": run}
    if table == "run_tags":
        made["value"] = f"CASE WHEN t.value = '{COPIED}' THEN copies.shard ELSE t.value END"
    for name in ("event", "evaluation_event", "run_body"):
        made[name] = f"replace(replace(t.{name}, t.run_id, {run}), '\"{COPIED}\"', '\"' || copies.shard || '\"')"
    of_events = "t.event_id IN (SELECT id FROM event_logs WHERE run_id IN :runs)"
    of = of_events if "event_id" in columns else "t.run_id IN :runs"
    names, values = (", ".join(part) for part in ([f'"{name}"' for name in columns], [made[name] for name in columns]))
    statement = f"INSERT INTO {table} ({names}) SELECT {values} FROM {table} t CROSS JOIN copies WHERE {of}"
    connection.execute(db.text(statement).bindparams(_all(runs)))

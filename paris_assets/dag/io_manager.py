"""The IO manager of every table: lazy scans in, committed partitions out."""

import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any

import dagster as dg
import polars as pl

from paris_assets.dag import run_tags
from paris_assets.dag.commit import Keeps, Partition, commit
from paris_assets.dag.display import (
    COLUMNS,
    LINEAGE,
    in_words,
    kept_metadata,
    output_metadata,
    record_metadata,
    sample_metadata,
    table_schema,
)
from paris_assets.dag.records import ALL, Record
from paris_assets.dag.tables import Tables
from paris_assets.errors import BrokenInvariant
from paris_assets.spent import CLOCK
from paris_assets.storage.location import Location
from paris_assets.storage.output import Output
from paris_assets.storage.schema import Schema
from paris_assets.storage.shards import Shards
from paris_assets.storage.torn_reads import torn_reads_told

IO_MANAGER = "tables"
OPERATORS = "operators"
"""What each signal and network of a materialisation spent, in its metadata (``spent.Spent``)."""
STOOD = "made_from_its_rows"
"""In the metadata of a materialisation that was made from the rows of the partition as it stood."""
Listener = Callable[[str, str, str], None]


@dataclass(frozen=True)
class Making:
    """What an asset's function gave, on its way to the IO manager.

    Attributes:
        wanted: the partition's fingerprint, taken before the inputs were read.
        keeps_rows: when rows of the partition as it stands may be kept.
        seconds: what the function took before the rows are consumed.
        unit: what a row that enters is, for the rate.
    """

    output: Output
    schema: Schema
    wanted: str | None
    keeps_rows: Keeps
    seconds: float
    unit: str


class TableIOManager(dg.IOManager):
    """Loads an input as one lazy scan over the wanted partitions and commits what an asset returns.

    In a run that `paris run` or a sensor starts, a partition that is finished under the wanted fingerprint is left as
    it is, unless it is forced or retried (``run_tags``); a materialisation asked for by hand is always made.

    Args:
        tables: those of the root.
        listener: called with (asset, shard, ``start`` | ``made`` | ``kept``).
    """

    def __init__(self, tables: Tables, listener: Listener) -> None:
        self._tables, self._catalog, self._listener = tables, tables.catalog, listener

    def load_input(self, context: dg.InputContext) -> pl.LazyFrame | Shards:
        """The shard's rows for an asset of shards; for a global one the rows of a global table, or all shards."""
        asset = context.asset_key.to_user_string()
        (reader,) = [key.to_user_string() for key in context.step_context.get_output_asset_keys()]
        spec, graph = self._catalog.graph[reader], self._catalog.graph
        if spec.partitioned:
            return self._tables.for_shard(asset, context.step_context.partition_key)
        return self._tables.for_all(asset, [name for name in spec.inputs if graph[name].partitioned])

    def handle_output(self, context: dg.OutputContext, obj: Making) -> None:
        """Make and commit the rows; metadata and data version come from the record."""
        asset = context.asset_key.to_user_string()
        if not isinstance(obj.output, Output):
            raise dg.DagsterInvariantViolationError(f"{asset} must return an Output, not {type(obj.output).__name__}")
        shard = context.asset_partition_key if context.has_asset_partitions else ALL
        run, instance, start = context.step_context.dagster_run, context.step_context.instance, time.monotonic()
        forced, retried = (asset in run_tags.named(run, tag) for tag in (run_tags.FORCE, run_tags.RETRY))
        resumed = run_tags.resumed(run) and not forced
        made = not resumed or retried or not self._catalog.done(asset, shard)
        # What is fetched is kept in a run that goes on only where nothing but a takedown made it stale (``commit``).
        again = resumed or (retried and not forced)
        when = {"when_resumed": resumed, "when_retried": again, "when_taken_down": resumed}
        keeps = when.get(obj.keeps_rows, True)
        self._listener(asset, shard, "start")
        shown: dict[str, Any] = {LINEAGE: context.definition_metadata[LINEAGE]}
        if made:
            partition = Partition(asset, shard, obj.wanted, obj.schema, obj.keeps_rows if keeps else None)
            with broken_told(self._catalog.location):
                record, columns, stood = commit(self._tables, partition, obj.output)
            shown |= self._figures(record, obj, time.monotonic() - start, instance) | ({STOOD: True} if stood else {})
            if {name: str(kind) for name, kind in columns.items()} != {
                name: str(column.kind) for name, column in obj.schema.items()
            }:
                shown[COLUMNS] = table_schema(obj.schema, columns)
        else:
            kept = self._catalog.record(asset, shard)
            assert kept is not None
            record = kept
            shown |= kept_metadata(self._catalog.location, record, instance) if shard == ALL else {}
        self._listener(asset, shard, "made" if made else "kept")
        context.log.info(in_words(record, shown.get("seconds")))
        context.step_context.set_data_version(context.asset_key, dg.DataVersion(record.content))
        context.add_output_metadata({**shown, **record_metadata(self._catalog.location, record)})

    def _figures(self, record: Record, making: Making, seconds: float, instance: dg.DagsterInstance) -> dict[str, Any]:
        spent = seconds + making.seconds
        rate = (record.counts.get("rows_in") or record.rows) / max(spent, 1e-9)
        location = self._catalog.location
        pictures = output_metadata(location, making.output, instance, record)
        samples = sample_metadata(location, making.output.samples, instance, record)
        figures = {"seconds": round(spent, 3), f"{making.unit}_per_second": round(rate, 1)}
        operators = {name: one._asdict() for name, one in CLOCK.take().items()}
        return {**pictures, **samples, **figures, **({OPERATORS: operators} if operators else {})}


@contextmanager
def broken_told(location: Location) -> Iterator[None]:
    """Turn a broken invariant into a failure that Dagster does not retry, and a torn read of the root into its name."""
    try:
        with torn_reads_told(location):
            yield
    except BrokenInvariant as error:
        raise dg.Failure(str(error), allow_retries=False) from error

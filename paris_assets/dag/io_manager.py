"""The IO manager of every table: lazy scans in, committed partitions out."""

from __future__ import annotations

import time

import dagster as dg
import polars as pl

from paris_assets.dag.assets import (
    FORCE_TAG,
    LINEAGE,
    OTHER_COLUMNS,
    RESUME_TAG,
    SCHEMA,
    UNIT,
    invariants_stop_the_run,
)
from paris_assets.dag.columns import SeenColumns
from paris_assets.dag.commit import commit
from paris_assets.dag.records import ALL, Record, table_path
from paris_assets.dag.store import Store
from paris_assets.storage.output import Output


class TableIOManager(dg.IOManager):
    """Loads an input as one lazy scan over the wanted partitions and commits what an asset returns.

    In a run tagged ``paris/resume`` (those that `paris run` starts) a partition that is finished under the wanted
    fingerprint is left as it is, unless ``paris/force`` names it; a materialisation asked for by hand is always made.
    """

    def __init__(self, store: Store) -> None:
        self._store = store

    def load_input(self, context: dg.InputContext) -> pl.LazyFrame:
        """The rows of the upstream partitions, shards in order."""
        asset = context.asset_key.to_user_string()
        readers = [key.to_user_string() for key in context.step_context.get_output_asset_keys()]
        if not any(asset in self._store.graph[reader].inputs for reader in readers):
            return pl.LazyFrame()  # declared, but not read under this profile
        if not self._store.graph[asset].partitioned:
            return self._store.scan(asset, [ALL])
        shards = sorted(context.asset_partition_keys) if context.has_asset_partitions else self._store.shards()
        return self._store.scan(asset, shards)

    def handle_output(self, context: dg.OutputContext, obj: Output) -> None:
        """Make and commit the rows; metadata and data version come from the record."""
        if not isinstance(obj, Output):
            raise dg.DagsterInvariantViolationError(
                f"{context.asset_key} must return an Output, not {type(obj).__name__}"
            )
        asset = context.asset_key.to_user_string()
        shard = context.asset_partition_key if context.has_asset_partitions else ALL
        tags = context.step_context.run_tags
        start = time.monotonic()
        obj.rows = seen = SeenColumns(obj.rows)
        asked = tags.get(RESUME_TAG) is None or asset in tags.get(FORCE_TAG, "").split(",")
        made = asked or not self._store.done(asset, shard)
        self._store.listener(asset, shard, "start")
        with invariants_stop_the_run():
            record = commit(self._store, asset, shard, obj) if made else self._store.record(asset, shard)
        assert record is not None
        seconds = time.monotonic() - start + obj.seconds
        self._store.listener(asset, shard, "made" if made else "kept")
        context.step_context.set_data_version(context.asset_key, dg.DataVersion(record.content))
        declared = context.definition_metadata
        shown = {LINEAGE: declared[LINEAGE], **record_metadata(self._store, record)}
        if made:
            rate = (record.counts.get("rows_in") or record.rows) / max(seconds, 1e-9)
            shown |= {"seconds": round(seconds, 3), f"{declared[UNIT]}_per_second": round(rate, 1), **obj.display}
            schema = seen.schema(declared[SCHEMA], declared.get(OTHER_COLUMNS, ""))
            shown |= {SCHEMA: schema} if schema else {}
        context.add_output_metadata(shown)


def record_metadata(store: Store, record: Record) -> dict[str, dg.MetadataValue | int | float | str]:
    """What a record shows on its materialisation: numbers that plot, rejects by reason, where the file lies."""
    size = (store.root.size(table_path(record.asset, record.shard)) or 0) + sum(
        file.size_bytes for file in record.files
    )
    shown: dict[str, dg.MetadataValue | int | float | str] = {
        "dagster/row_count": record.rows,
        "dagster/uri": store.root.uri(table_path(record.asset, record.shard)),
        "dagster/size_bytes": size,
        **{name: count for name, count in record.counts.items()},
        **{f"rejected {reason}": count for reason, count in record.rejects.items()},
    }
    if entered := record.counts.get("rows_in"):
        shown["kept_share"] = round(1 - sum(record.rejects.values()) / entered, 4)
    for name, value in record.facts.items():
        shown[name] = value if isinstance(value, (int, float, str)) else dg.MetadataValue.json(value)
    return shown

"""The decorators of all assets: one Parquet table per partition, with what the storage and the UI need to know."""

from __future__ import annotations

import functools
import inspect
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from typing import Any, get_type_hints

import dagster as dg

from paris_assets.dag.columns import Columns, lineage_of, schema_of
from paris_assets.dag.fingerprint import CHOOSES, DATA_FILES, FROM_SETTINGS, READS_IF, SETTINGS
from paris_assets.dag.records import ALL
from paris_assets.dag.store import Store
from paris_assets.errors import BrokenInvariant
from paris_assets.partitions import image_shards

IO_MANAGER = "tables"
RESUME_TAG = "paris/resume"
FORCE_TAG = "paris/force"
SCHEMA = "dagster/column_schema"
LINEAGE = "dagster/column_lineage"
OTHER_COLUMNS = "paris/other_columns"
UNIT = "paris/unit"
OWNERS = ["team:paris-assets"]


def shard_asset(**declared: Any) -> Callable[[Callable[..., Any]], dg.AssetsDefinition]:
    """An asset with one partition per image shard; see ``all_asset`` for the arguments."""
    return _table_asset(partitions_def=image_shards, **declared)


def all_asset(**declared: Any) -> Callable[[Callable[..., Any]], dg.AssetsDefinition]:
    """An unpartitioned asset that reads every shard.

    Args:
        group: asset group, named like the stage.
        kinds: what it is made with, shown in the UI.
        settings: dotted paths of the profile on which the rows depend.
        columns: column -> (type, description, the ``asset.column`` of inputs that it is made from).
        other_columns: description of the columns that a profile adds.
        unit: what a row that enters is, for the rate of a materialisation: ``images_per_second``.
        code_version: raised whenever the same inputs would give other rows.
        data_files: patterns of files beside the table (``{shard}`` is filled in), for removing leftovers.
        chooses: dotted paths that decide which rows there are; rows that stay keep their values.
        reads_if: input -> (dotted path, item): read only where the setting holds the item.
        refit_on_settings_only: the asset is made again when settings change, not when its inputs grow.
        pool: concurrency pool of the instance (``gpu``, ``fit``, ``io``).
    """
    return _table_asset(partitions_def=None, **declared)


def _table_asset(
    *,
    group: str,
    kinds: set[str],
    settings: Sequence[str],
    columns: Columns,
    other_columns: str = "",
    unit: str = "images",
    code_version: str = "1",
    data_files: Sequence[str] = (),
    chooses: Sequence[str] = (),
    reads_if: Mapping[str, tuple[str, str]] | None = None,
    refit_on_settings_only: bool = False,
    partitions_def: dg.PartitionsDefinition | None = None,
    pool: str | None = None,
) -> Callable[[Callable[..., Any]], dg.AssetsDefinition]:
    metadata = {
        SCHEMA: schema_of(columns),
        LINEAGE: lineage_of(columns),
        **({OTHER_COLUMNS: other_columns} if other_columns else {}),
        UNIT: unit,
        SETTINGS: list(settings),
        DATA_FILES: list(data_files),
        CHOOSES: list(chooses),
        READS_IF: {name: list(condition) for name, condition in (reads_if or {}).items()},
        FROM_SETTINGS: refit_on_settings_only,
    }
    asset = dg.asset(
        group_name=group,
        kinds=kinds,
        owners=OWNERS,
        tags={"stage": group, "compute": pool or "cpu"},
        code_version=code_version,
        metadata=metadata,
        io_manager_key=IO_MANAGER,
        partitions_def=partitions_def,
        pool=pool,
    )
    return lambda body: asset(_from_known_inputs(body))


def _from_known_inputs(body: Callable[..., Any]) -> Callable[..., Any]:
    @functools.wraps(body)
    def run(*arguments: Any, **named: Any) -> Any:
        context: dg.AssetExecutionContext = arguments[0] if arguments else named["context"]
        store: Store = named["store"]
        tags = context.run.tags
        store.resuming, store.forced = RESUME_TAG in tags, frozenset(tags.get(FORCE_TAG, "").split(","))
        if not store.resuming:
            store.refresh()
        shard = context.partition_key if context.has_partition_key else ALL
        with invariants_stop_the_run():
            wanted = store.wanted(context.asset_key.to_user_string(), shard)
            start = time.monotonic()
            output = body(*arguments, **named)
            output.wanted, output.seconds = wanted, time.monotonic() - start
            return output

    # Dagster reads parameter types from the function that it is given, as objects.
    run.__signature__ = inspect.signature(body, eval_str=True)  # type: ignore[attr-defined]
    run.__annotations__ = get_type_hints(body, include_extras=True)
    del run.__wrapped__  # type: ignore[attr-defined]
    return run


@contextmanager
def invariants_stop_the_run() -> Iterator[None]:
    """Turn a broken invariant into a failure that Dagster does not retry."""
    try:
        yield
    except BrokenInvariant as error:
        raise dg.Failure(str(error), allow_retries=False) from error

"""Checks of partitions that were made but not checked: a run was killed between the two, Dagster's home was deleted, or
the bounds in the profile are others now. Dagster runs checks of single shards only together with their asset."""

import json
import os
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import dagster as dg

from paris_assets.dag.catalog import Catalog
from paris_assets.dag.checks import TableCheck
from paris_assets.dag.failed_checks import NAME, FailedCheck, failed_checks, show, summary
from paris_assets.dag.private import AssetCheckEvaluationTargetMaterializationData
from paris_assets.dag.records import ALL
from paris_assets.dag.tables import Tables
from paris_assets.definitions import LAST_ASSET, asset_checks, resources_of
from paris_assets.errors import MissingInput
from paris_assets.planning.home import dagster_home
from paris_assets.runs.execution import QUIET


def check_again(catalog: Catalog, instance: dg.DagsterInstance) -> int:
    """Run the checks of finished partitions that have no result as they stand under these bounds; returns how many.

    ``no_failed_checks`` is brought up to date with them. It is one Dagster run, where there is anything to check.
    """
    bounds = dagster_home(catalog.location.url, catalog.location.remote) / "checked_by.json"
    changed = _changed(bounds, catalog)
    checks = asset_checks(catalog.graph)
    waiting = [(check, shard) for check in checks for shard in _not_checked(catalog, instance, check.key, changed)]
    if waiting:
        _job(catalog, checks, waiting).execute_in_process(instance=instance, run_config=QUIET)
    draft = bounds.with_suffix(f".{os.getpid()}")
    draft.write_text(catalog.profile.checks.model_dump_json())
    os.replace(draft, bounds)
    return len(waiting)


def look_again(catalog: Catalog, instance: dg.DagsterInstance, failed: list[FailedCheck]) -> None:
    """Run these failed checks again: what they found may have been mended since without their asset being made."""
    checks = asset_checks(catalog.graph)
    by_key = {check.key: check for check in checks}
    waiting = [(by_key[one.key], shard) for one in failed for shard in one.shards]
    if waiting:
        _job(catalog, checks, waiting).execute_in_process(instance=instance, run_config=QUIET)


def _job(catalog: Catalog, checks: list[TableCheck], waiting: list[tuple[TableCheck, str]]) -> dg.JobDefinition:
    lent = resources_of(catalog)
    names = {name for check, _ in waiting for name in check.resources()}

    def run_checks(context: dg.OpExecutionContext) -> Iterator[dg.AssetCheckEvaluation | dg.Output[None]]:
        made, tables = [], Tables(catalog)
        resources = {name: getattr(context.resources, name) for name in names}
        for check, shard in waiting:
            try:
                found = check.evaluate(tables, resources, shard)
                made.append(_evaluation(context.instance, check.key, shard, found))
            except MissingInput as error:  # what the check compares with is not there yet
                context.log.warning(f"{check.key.to_user_string()} [{shard}]: {error}")
        yield from sorted(made, key=lambda one: not one.passed)  # Dagster shows the last one
        if catalog.record(LAST_ASSET):
            failed = failed_checks(context.instance, [check.key for check in checks])
            show(context, failed)
            key = dg.AssetCheckKey(dg.AssetKey(LAST_ASSET), NAME)
            yield _evaluation(context.instance, key, ALL, summary(failed))
        yield dg.Output(None)

    op = dg.op(required_resource_keys=names)(run_checks)
    needed = {name: lent[name] for name in {*names, "files"}}
    return dg.GraphDefinition("run_checks", node_defs=[op]).to_job(resource_defs=needed)


def _changed(bounds: Path, catalog: Catalog) -> set[str]:
    """Names of bounds, and of checks whose severity, that are others than at the last time."""
    now = catalog.profile.checks.model_dump(mode="json")
    before = json.loads(bounds.read_text()) if bounds.exists() else now
    moved = set(now["warn_only"]) ^ set(before["warn_only"])
    return moved | {f"checks.{name}" for name in now if name != "warn_only" and now[name] != before.get(name)}


def _not_checked(
    catalog: Catalog, instance: dg.DagsterInstance, key: dg.AssetCheckKey, changed: set[str]
) -> Iterator[str]:
    """Finished partitions of the check's asset that it has not seen as they are, or by other bounds."""
    asset = key.asset_key.to_user_string()
    results = instance.event_log_storage.get_asset_check_partition_info([key])
    current = {one.partition_key or ALL for one in results if one.is_current}
    if changed and (key.name in changed or changed & _bounds_of(instance, key)):
        current = set()
    for shard in catalog.shards() if catalog.graph[asset].partitioned else [ALL]:
        if shard not in current and catalog.done(asset, shard):
            yield shard


def _bounds_of(instance: dg.DagsterInstance, key: dg.AssetCheckKey) -> set[str]:
    """Figures of the check's latest evaluation, the bounds that decided among them."""
    record = instance.event_log_storage.get_latest_asset_check_execution_by_key([key]).get(key)
    return set(record.evaluation.metadata) if record and record.evaluation else set()


def _evaluation(
    instance: dg.DagsterInstance, key: dg.AssetCheckKey, shard: str, said: dict[str, Any]
) -> dg.AssetCheckEvaluation:
    partition = None if shard == ALL else shard
    made = dg.AssetRecordsFilter(key.asset_key, asset_partitions=[shard] if partition else None)
    target = None
    for latest in instance.fetch_materializations(made, limit=1).records:
        # Without it Dagster takes the evaluation for one of earlier rows; it has no public name.
        target = AssetCheckEvaluationTargetMaterializationData(
            storage_id=latest.storage_id, run_id=latest.run_id, timestamp=latest.timestamp
        )
    return dg.AssetCheckEvaluation(
        key.asset_key, key.name, partition=partition, target_materialization_data=target, **said
    )

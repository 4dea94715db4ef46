"""What Dagster does not know of a root, told to it by one run: partitions that it has no event for, and judgements that
are missing or older than what they speak of.

Partitions are finished without an event where a run was killed between the two, Dagster's home was deleted, or the root
was copied from elsewhere. Judgements are missing there, too; other bounds make them old, and so does a run that fails:
what was made before then speaks of an older set. Dagster runs checks of single shards only together with their asset.
"""

import json
import os
from collections.abc import Iterator, Sequence
from functools import cache
from pathlib import Path
from typing import Any

import dagster as dg

from paris_assets.dag.catalog import Catalog
from paris_assets.dag.checks import TableCheck
from paris_assets.dag.display import kept_metadata, record_metadata
from paris_assets.dag.failed_checks import NAME, failed_checks, last_said, show, summary
from paris_assets.dag.private import AssetCheckEvaluationTargetMaterializationData
from paris_assets.dag.records import ALL
from paris_assets.dag.tables import Tables
from paris_assets.errors import MissingInput
from paris_assets.partitions import image_shards
from paris_assets.planning.standing import standing, standing_keys
from paris_assets.planning.totals import total, total_keys
from paris_assets.planning.waves import Done, what_is_done

LOOK = "look_at_the_root"
BOUNDS = "checked_by.json"


def report_finished(catalog: Catalog, instance: dg.DagsterInstance) -> int:
    """Tell Dagster of finished partitions that it has no event for (its home was deleted, or files were brought in);
    returns how many."""
    shards = catalog.shards()
    instance.add_dynamic_partitions(str(image_shards.name), shards)
    count = 0
    for name, spec in catalog.graph.items():
        key = dg.AssetKey(name)
        known: set[str] = set()
        if spec.partitioned:
            known = set(instance.get_materialized_partitions(key))
        elif instance.get_latest_materialization_event(key):
            known = {ALL}
        for shard in (shard for shard in (shards if spec.partitioned else [ALL]) if shard not in known):
            if catalog.done(name, shard):
                _report_runless(catalog, instance, name, shard)
                count += 1
    return count


def _report_runless(catalog: Catalog, instance: dg.DagsterInstance, name: str, shard: str) -> None:
    record = catalog.record(name, shard)
    assert record is not None
    instance.report_runless_asset_event(
        dg.AssetMaterialization(
            asset_key=name,
            partition=None if shard == ALL else shard,
            metadata={
                **(kept_metadata(catalog.location, record, instance) if shard == ALL else {}),
                **record_metadata(catalog.location, record),
            },
            tags={"dagster/data_version": record.content, "dagster/code_version": catalog.graph[name].code_version},
        )
    )


def not_judged(
    catalog: Catalog, instance: dg.DagsterInstance, checks: Sequence[TableCheck]
) -> list[tuple[TableCheck, str]]:
    """(check, shard) of finished partitions that have no result as they stand under these bounds."""
    changed = _changed(Path(instance.root_directory) / BOUNDS, catalog)
    return [(check, shard) for check in checks for shard in _not_checked(catalog, instance, check.key, changed)]


def failing(
    catalog: Catalog, instance: dg.DagsterInstance, checks: Sequence[TableCheck]
) -> list[tuple[TableCheck, str]]:
    """(check, shard) of failures with severity ERROR: what they found may have been mended without their asset."""
    by_key = {check.key: check for check in checks}
    errors = [one for one in failed_checks(instance, list(by_key)) if one.severity == "ERROR"]
    done = [(one, shard) for one in errors for shard in one.shards if catalog.done(one.asset, shard)]
    return [(by_key[one.key], shard) for one, shard in done]


def in_doubt(catalog: Catalog, instance: dg.DagsterInstance) -> bool:
    """Whether what was last said of an asset as a whole (its total, or that it holds an older set) is no longer so."""
    # What has just been planned with is not asked for again: on a remote root each look at a file is a request.
    said = _as_a_whole(catalog, cache(catalog.done))  # each asset asks for the partitions of all that it is made from
    for key, now in said.items():
        known = last_said(instance, key)
        if known is None and not any(catalog.record(name, shard) for name, shard in _partitions(catalog, key)):
            continue
        if known is None or known.description != now["description"]:
            return True
    return False


def _partitions(catalog: Catalog, key: dg.AssetCheckKey) -> list[tuple[str, str]]:
    asset = key.asset_key.to_user_string()
    return [(asset, shard) for shard in catalog.keys(asset)]


def _as_a_whole(catalog: Catalog, done: Done) -> dict[dg.AssetCheckKey, dict[str, Any]]:
    """What is to be said of every asset as a whole."""
    totals = {key: total(catalog, key.asset_key.to_user_string(), done) for key in total_keys(catalog.graph)}
    return totals | {
        key: standing(catalog, key.asset_key.to_user_string(), done) for key in standing_keys(catalog.graph)
    }


def look(checks: Sequence[TableCheck], last: str | None) -> dg.JobDefinition:
    """The job that tells Dagster of all this.

    Args:
        checks: those of tables.
        last: the asset whose check ``no_failed_checks`` gathers all others, if the profile has it.
    """
    names = {name for check in checks for name in check.resources()}

    def look_at_the_root(context: dg.OpExecutionContext) -> Iterator[dg.AssetCheckEvaluation | dg.Output[None]]:
        catalog: Catalog = context.resources.catalog
        catalog.refresh()
        told = report_finished(catalog, context.instance)
        waiting = not_judged(catalog, context.instance, checks)
        waiting = list(dict.fromkeys([*waiting, *failing(catalog, context.instance, checks)]))
        context.log.info(f"told Dagster of {told} finished partitions; {len(waiting)} checks are to be made")
        yield from _judged(context, catalog, waiting, {name: getattr(context.resources, name) for name in names})
        for key, said in _as_a_whole(catalog, what_is_done(catalog, catalog.shards())).items():
            yield _evaluation(context.instance, key, ALL, said)
        if last is not None:
            failed = failed_checks(context.instance, [*(check.key for check in checks), *standing_keys(catalog.graph)])
            show(context, failed)
            yield _evaluation(context.instance, dg.AssetCheckKey(dg.AssetKey(last), NAME), ALL, summary(failed))
        keep_bounds(catalog, context.instance)
        yield dg.Output(None)

    op = dg.op(required_resource_keys={"catalog", "files", *names}, out=dg.Out(dg.Nothing))(look_at_the_root)
    words = (
        "Tells Dagster of finished partitions that it does not know, makes the checks that are missing or older than "
        "what they speak of, counts over all shards, and says which assets hold an older set. It makes no table."
    )
    return dg.GraphDefinition("look", node_defs=[op], description=words).to_job(name=LOOK, description=words)


def _judged(
    context: dg.OpExecutionContext, catalog: Catalog, waiting: list[tuple[TableCheck, str]], resources: dict[str, Any]
) -> list[dg.AssetCheckEvaluation]:
    made, tables = [], Tables(catalog)
    for check, shard in waiting:
        try:
            found = check.evaluate(tables, resources, shard)
            made.append(_evaluation(context.instance, check.key, shard, found))
        except MissingInput as error:  # what the check compares with is not there yet
            context.log.warning(f"{check.key.to_user_string()} [{shard}]: {error}")
    return sorted(made, key=lambda one: not one.passed)  # Dagster shows the last one


def keep_bounds(catalog: Catalog, instance: dg.DagsterInstance) -> None:
    """Write down, in Dagster's home, the bounds by which all has been judged."""
    path = Path(instance.root_directory) / BOUNDS
    draft = path.with_suffix(f".{os.getpid()}")
    draft.write_text(catalog.profile.checks.model_dump_json())
    os.replace(draft, path)


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
    last = last_said(instance, key)
    return set(last.metadata) if last else set()


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

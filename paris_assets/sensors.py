"""Sensors: new shards of a growing source, the runs that carry them to expert shards, and reports of failed runs."""

import json
import os
import time
import uuid
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import asdict
from pathlib import Path
from typing import Any

import dagster as dg
from rich.console import Console

from paris_assets.config import Profile
from paris_assets.dag import run_tags
from paris_assets.dag.catalog import REGISTRY, Catalog
from paris_assets.dag.code_version import code_version
from paris_assets.dag.jobs import ALL_STAGES
from paris_assets.dag.records import ALL
from paris_assets.errors import UsageError
from paris_assets.partitions import image_shards
from paris_assets.planning import failures
from paris_assets.planning.automation import Attempt, Partition, look_ahead
from paris_assets.planning.home import dagster_home
from paris_assets.planning.profile_file import PROFILE_FILE, stored_profile
from paris_assets.planning.registration import bind
from paris_assets.planning.run_lock import hold_root
from paris_assets.planning.unchecked import LOOK
from paris_assets.planning.waves import Task, some

INTERVAL = "PARIS_SENSOR_INTERVAL_S"
WEBHOOK = "PARIS_FAILURE_WEBHOOK"


def _seconds(variable: str, default: str) -> int:
    given = os.environ.get(variable, default)
    if not given.isdecimal() or int(given) < 1:
        raise UsageError(f"{variable} is {given!r}: give a whole number of seconds, or unset it")
    return int(given)


INTERVAL_S = _seconds(INTERVAL, "30")
UNFINISHED = [
    dg.DagsterRunStatus.NOT_STARTED,
    dg.DagsterRunStatus.QUEUED,
    dg.DagsterRunStatus.STARTING,
    dg.DagsterRunStatus.STARTED,
    dg.DagsterRunStatus.CANCELING,
]
ENDED = [dg.DagsterRunStatus.SUCCESS, dg.DagsterRunStatus.FAILURE, dg.DagsterRunStatus.CANCELED]
SHARDS = str(image_shards.name)
LOOK_AGAIN_S = 900
RECENT = 100  # runs among which the last one is looked for that was no look
LOADED = uuid.uuid4().hex  # another one in every process that has loaded this code


class NotNow(RuntimeError):
    """The root cannot be worked on at present; the message says why."""


@dg.sensor(
    description="Registers new rows of the source as image shards; known shards never change. Turn on "
    "out_of_date_partitions, too, to have them carried to expert shards.",
    minimum_interval_seconds=INTERVAL_S,
)
def new_image_shards(context: dg.SensorEvaluationContext, catalog: dg.ResourceParam[Catalog]) -> dg.SensorResult:
    """One look at the source. A source that cannot be read fails the look and changes nothing.

    Raises:
        SourceError: a registered file is gone or another, or a new one cannot be read; names it.
    """
    from paris_assets.ingest import known_files, sources
    from paris_assets.ingest.files import listing

    try:
        current = catalog.under(_profile(catalog))
        known, before, source = current.shards(), current.registry(), current.profile.source
        growing = listing.half_written(source.path, sources.registered_files(before))
        if growing:
            raise NotNow(f"{some(growing)} changed less than {listing.QUIET_S:g} s ago and may still be written")
        converts = code_version(known_files.convert)
        registry = sources.register(source, before, current.location, converts=converts)
        if before is None or not registry.equals(before):
            with _held(current):
                if current.shards() != known or _profile(catalog) != current.profile:
                    raise NotNow("another process has just registered shards or changed the settings")
                bind(current, registry, Console(quiet=True))
    except NotNow as reason:
        return dg.SensorResult(skip_reason=str(reason))
    new = current.shards()[len(known) :]
    said = f"registered {some(new)}" if new else f"no new rows; {len(known)} shards are registered"
    return dg.SensorResult(skip_reason=said, dynamic_partitions_requests=_differences(context.instance, current))


@dg.sensor(
    description="Starts runs for what is missing or out of date, as `paris run` would: one run per shard and wave. The "
    "cluster model is never fitted again. What failed is tried again when its inputs or settings change, when its run "
    "is executed again, or when the cursor of this sensor is cleared.",
    job_name=ALL_STAGES,
    minimum_interval_seconds=INTERVAL_S,
)
def out_of_date_partitions(context: dg.SensorEvaluationContext, catalog: dg.ResourceParam[Catalog]) -> dg.SensorResult:
    """One look at what is to be made next; no plan is made while nothing can have changed."""
    cursor: dict[str, Any] = json.loads(context.cursor or "{}")
    seen = _what_could_change(context.instance, catalog)
    if cursor.get("seen") == seen:
        return dg.SensorResult(skip_reason=cursor["said"])
    try:
        profile = _profile(catalog)
        current = catalog if profile == catalog.profile else catalog.under(profile)  # changed since the code was loaded
        _require_loaded_assets(catalog, current)
        with _held(current):
            running = _running(context.instance, current)
            outlook = look_ahead(current, running, [_attempt(entry) for entry in cursor.get("attempts", [])])
    except NotNow as reason:
        return dg.SensorResult(skip_reason=str(reason))
    attempts = [asdict(attempt) for attempt in outlook.attempts]
    said = outlook.in_words()
    return dg.SensorResult(
        run_requests=[_request(task) for task in outlook.requests],
        skip_reason=None if outlook.requests else said,
        cursor=json.dumps({"seen": seen, "said": said, "attempts": attempts}),
        dynamic_partitions_requests=_differences(context.instance, current),
    )


@dg.run_failure_sensor(
    description="Reports every failed run with its shard, the cause and the images that the error names: in its own "
    "log, in failures.jsonl of Dagster's home, and to PARIS_FAILURE_WEBHOOK.",
    default_status=dg.DefaultSensorStatus.RUNNING,
    minimum_interval_seconds=INTERVAL_S,
)
def failed_runs(context: dg.RunFailureSensorContext) -> None:
    """One failed run. An address that does not answer is an error in the log and nothing more."""
    report = failures.failure_report(context.dagster_run, context.failure_event, context.get_step_failure_events())
    context.log.error(failures.in_words(report))
    failures.keep(report, Path(context.instance.root_directory))
    address = os.environ.get(WEBHOOK)
    problem = failures.post(report, address) if address else None
    if problem:
        context.log.error(f"{WEBHOOK} was not told: {problem}")


@dg.sensor(
    description="Starts look_at_the_root when runs have ended, and when Dagster's home is new: partitions that Dagster "
    "does not know are told to it, missing checks are made, and assets that hold an older set say so.",
    job_name=LOOK,
    default_status=dg.DefaultSensorStatus.RUNNING,
    minimum_interval_seconds=INTERVAL_S,
)
def ended_runs(context: dg.SensorEvaluationContext, catalog: dg.ResourceParam[Catalog]) -> dg.SensorResult:
    """One look for runs that have ended since the last one; while any goes on, they are waited for."""
    if stored_profile(catalog.location) is None:
        return dg.SensorResult(skip_reason=f"there is no run under {catalog.location.url}")
    if context.instance.get_runs(dg.RunsFilter(statuses=UNFINISHED), limit=1):
        return dg.SensorResult(skip_reason="runs go on")
    ended = context.instance.get_runs(dg.RunsFilter(statuses=ENDED), limit=RECENT)
    latest = next((run.run_id for run in ended if not _has_looked(run)), "none")
    if context.cursor == latest:
        return dg.SensorResult(skip_reason="no run has ended since the last look")
    return dg.SensorResult(run_requests=[dg.RunRequest()], cursor=latest)


def _has_looked(run: dg.DagsterRun) -> bool:
    """Whether a run is a look itself, or one of a `paris run`, which looks when it ends; if it is not killed."""
    return run.job_name == LOOK or (run_tags.of_paris_run(run) and run.status == dg.DagsterRunStatus.SUCCESS)


SENSORS = [new_image_shards, out_of_date_partitions, failed_runs, ended_runs]


def _profile(catalog: Catalog) -> Profile:
    """The settings that the root has now."""
    profile = stored_profile(catalog.location)
    if profile is None:
        raise NotNow(
            f"{catalog.location.url} has no {PROFILE_FILE}: `paris run` binds a root to a source and its settings"
        )
    return profile


def _require_loaded_assets(loaded: Catalog, current: Catalog) -> None:
    """Dagster starts no run of an asset, and by no input, that the code location did not have when it was loaded."""
    inputs = [{name: spec.inputs for name, spec in catalog.graph.items()} for catalog in (loaded, current)]
    if inputs[0] != inputs[1]:
        raise NotNow(
            f"the settings of {current.location.url} ask for other assets or inputs than those that Dagster has "
            "loaded: reload the code location, or start `paris dev` again"
        )


@contextmanager
def _held(catalog: Catalog) -> Iterator[None]:
    """Hold the root, unless a `paris run` or another look does."""

    def busy(holder: str) -> None:
        raise NotNow(f"{catalog.location.url} is held by {holder}: a `paris run`, or another look of a sensor")

    with hold_root(
        catalog.location, dagster_home(catalog.location.url, catalog.location.remote), waiting=busy, lost=busy
    ):
        yield


def _differences(
    instance: dg.DagsterInstance, catalog: Catalog
) -> list[dg.AddDynamicPartitionsRequest | dg.DeleteDynamicPartitionsRequest]:
    """What makes Dagster's partitions those of the registry, whatever either went through."""
    registered, known = catalog.shards(), set(instance.get_dynamic_partitions(SHARDS))
    missing = [shard for shard in registered if shard not in known]
    unknown = sorted(known.difference(registered))
    return [
        *([image_shards.build_add_request(missing)] if missing else []),
        *([image_shards.build_delete_request(unknown)] if unknown else []),
    ]


def _what_could_change(instance: dg.DagsterInstance, catalog: Catalog) -> str:
    """A text that is another when a plan could be: code, settings, shards, a run that ended; and every quarter of an
    hour, for what nobody tells of (a repaired source, a deleted file)."""
    last = instance.get_run_records(dg.RunsFilter(statuses=ENDED), limit=1, order_by="update_timestamp")
    run = [(record.dagster_run.run_id, record.update_timestamp) for record in last]
    stamps = [catalog.location.stamp(PROFILE_FILE), catalog.location.stamp(REGISTRY)]
    return repr([LOADED, int(time.time() // LOOK_AGAIN_S), *stamps, *run])


def _running(instance: dg.DagsterInstance, catalog: Catalog) -> set[Partition]:
    """(asset, shard) of every run that has not ended, whoever started it; a look makes none."""
    found: set[Partition] = set()
    for run in instance.get_runs(dg.RunsFilter(statuses=UNFINISHED)):
        if run.job_name == LOOK:
            continue
        assets = run.asset_selection or [dg.AssetKey(name) for name in catalog.graph]
        found |= {(key.to_user_string(), run.tags.get(run_tags.PARTITION, ALL)) for key in assets}
    return found


def _attempt(entry: dict[str, Any]) -> Attempt:
    return Attempt(entry["shard"], tuple(entry["assets"]), entry["state"])


def _request(task: Task) -> dg.RunRequest:
    return dg.RunRequest(
        asset_selection=[dg.AssetKey(name) for name in task.assets],
        partition_key=None if task.shard == ALL else task.shard,
        tags={run_tags.RESUME: "true"},
    )

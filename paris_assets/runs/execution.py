"""Execute one task as one in-process Dagster run."""

from __future__ import annotations

import os
import platform
import uuid
from collections.abc import Iterable, Sequence
from datetime import UTC, datetime
from functools import partial
from pathlib import Path
from typing import Any

import dagster as dg
import yaml

from paris_assets import definitions
from paris_assets.compute import Compute
from paris_assets.dag import run_tags
from paris_assets.dag.catalog import Catalog
from paris_assets.dag.io_manager import Listener
from paris_assets.dag.jobs import ALL_STAGES
from paris_assets.dag.private import RegisteredCodeLocationOrigin, RemoteJobOrigin, RemoteRepositoryOrigin
from paris_assets.dag.records import ALL
from paris_assets.dag.s3 import compute_logs
from paris_assets.dag.step_output import STEP_OUTPUT, files_only
from paris_assets.definitions import build_definitions
from paris_assets.errors import explained
from paris_assets.models.gpus import visible_gpus
from paris_assets.planning.home import dagster_home
from paris_assets.planning.waves import Task
from paris_assets.runs.dagster_storage import EventLog
from paris_assets.runs.host import unit_here
from paris_assets.runs.postgres import in_postgres, reachable
from paris_assets.runs.task_report import TaskReport, report_of, unfinished
from paris_assets.storage.location import Location
from paris_assets.storage.object_store import ATTEMPTS

QUIET = {"loggers": {STEP_OUTPUT: {}}}  # on the terminal is the progress of the whole
REPOSITORY = "__repository__"  # what Dagster calls the definitions of a module
STORAGE = "paris_assets.runs.dagster_storage"
# Runs hold a pool as a whole: a process keeps its models in memory after the step that loaded them. `paris run` starts
# its runs without the queue and is not limited by any of this. Of the pool `gpu` there are as many as this machine has.
POOLS = {"gpu": 1, "fit": 1, "io": 4}
INSTANCE = {
    "telemetry": {"enabled": False},
    "nux": {"enabled": False},
    "run_storage": {"module": STORAGE, "class": "RunLog", "config": {"base_dir": {"env": "DAGSTER_HOME"}}},
    "event_log_storage": {"module": STORAGE, "class": "EventLog", "config": {"base_dir": {"env": "DAGSTER_HOME"}}},
    "compute_logs": {
        "module": "paris_assets.dag.step_output",
        "class": "StepOutput",
        "config": {"base_dir": {"env": "DAGSTER_HOME"}},
    },
    "run_launcher": {"module": "paris_assets.runs.launcher", "class": "Launcher", "config": {}},
    "concurrency": {"pools": {"default_limit": 1, "granularity": "run"}, "runs": {"max_concurrent_runs": 4}},
    "run_queue": {"dequeue_interval_seconds": 2},
    # A run whose process was killed is ended and tried once more. An asset that fails is not: the download has its own
    # tries, and what else fails would fail again.
    "run_monitoring": {"enabled": True, "poll_interval_seconds": 30, "start_timeout_seconds": 300},
    "run_retries": {"enabled": True, "max_retries": 1, "retry_on_asset_or_op_failure": False},
}


def open_instance(location: Location) -> dg.DagsterInstance:
    """The root's Dagster instance, created with the shipped configuration when it is new."""
    home = dagster_home(location.url, location.remote)
    settings = home / "dagster.yaml"
    logs = compute_logs(location.url, home) if location.on_s3 else {}
    with explained(home, "written"):
        home.mkdir(parents=True, exist_ok=True)
        if not settings.exists():
            draft = settings.with_suffix(f".{os.getpid()}")
            draft.write_text(yaml.safe_dump({**in_postgres(INSTANCE), **logs}, sort_keys=False))
            os.replace(draft, settings)  # half a file would be another configuration
    with explained(settings):
        settings.read_bytes()  # where Dagster cannot, it says so without words
    os.environ["DAGSTER_HOME"] = str(home)
    with reachable(settings):
        instance = dg.DagsterInstance.get()
        if isinstance(instance.event_log_storage, EventLog):
            _set_pool_limits(instance)
    return instance


def _set_pool_limits(instance: dg.DagsterInstance) -> None:
    """Give each of our pools this machine's limit, unless it has one: a user's own stays.

    Only in a home's own files: a database may be that of a deployment, whose runs other machines do. There it is the
    default of its dagster.yaml that counts, which a limit stored by whoever looks in first would silently undo.
    """
    known = {pool.name for pool in instance.event_log_storage.get_pool_limits() if not pool.from_default}
    here = {**POOLS, "gpu": max(POOLS["gpu"], len(visible_gpus()))}
    for name in here.keys() - known:
        instance.event_log_storage.set_concurrency_slots(name, here[name])


def end_killed_runs(instance: dg.DagsterInstance) -> None:
    """End runs that a killed `paris run` left as started; only for who holds the root."""
    unfinished = [dg.DagsterRunStatus.STARTED, dg.DagsterRunStatus.STARTING, dg.DagsterRunStatus.NOT_STARTED]
    for run in instance.get_runs(dg.RunsFilter(statuses=unfinished, tags={run_tags.RESUME: "true"})):
        if run_tags.of_paris_run(run):  # else it has a process of its own, as runs of sensors have
            instance.report_run_failed(run, "the `paris run` that worked on this was killed")


def new_invocation() -> str:
    """A name for one command; later ones sort behind it."""
    return f"{datetime.now(UTC):%Y%m%dT%H%M%S}-{uuid.uuid4().hex[:6]}"


def tags_of(invocation: str) -> dict[str, str]:
    """Tags of every run of one command."""
    return {
        run_tags.INVOCATION: invocation,
        run_tags.RESUME: "true",
        run_tags.HOST: platform.node(),
        "dagster/max_retries": "0",  # `paris run` itself tries again
    }


def execute(
    job: dg.JobDefinition, instance: dg.DagsterInstance, tags: dict[str, str], **chosen: Any
) -> dg.ExecuteInProcessResult:
    """Execute a job of ours in this process, as a run that Dagster shows on its timeline and can execute again: it says
    in which code location its job is.

    Args:
        chosen: what else ``execute_in_process`` takes.

    Raises:
        KeyboardInterrupt: Ctrl-C or SIGTERM ended it.
    """
    location = RemoteRepositoryOrigin(RegisteredCodeLocationOrigin(definitions.__name__), REPOSITORY)
    # `execute_in_process` does not ask where the job is defined, and creates its run by this method.
    create = partial(type(instance).create_run_for_job, instance, remote_job_origin=RemoteJobOrigin(location, job.name))
    instance.create_run_for_job = create  # type: ignore[method-assign]
    try:
        with files_only():
            return job.execute_in_process(instance=instance, run_config=QUIET, tags=tags, **chosen)
    except dg.DagsterExecutionInterruptedError as error:  # Dagster's own word for Ctrl-C and SIGTERM
        raise KeyboardInterrupt from error


class Executor:
    """Runs tasks of one root in this process.

    Args:
        listener: told of every partition that starts and ends.
        invocation: what the runs of one command have in common (``new_invocation``).
        journal: where the processes of one run tell each other which tables they have verified.
        compute: who does the parts of steps over all shards; by default the threads of this process.
    """

    def __init__(
        self,
        catalog: Catalog,
        instance: dg.DagsterInstance,
        listener: Listener,
        invocation: str,
        journal: Path | None = None,
        compute: Compute | None = None,
    ) -> None:
        self.catalog, self.instance, self._invocation = catalog, instance, invocation
        built = build_definitions(catalog, listener=listener, journal=journal, compute=compute)
        self._job = built.resolve_job_def(ALL_STAGES)

    def run(self, task: Task) -> TaskReport:
        """Materialise the task's assets with their checks; failures are reported, not raised. What other bytes came of
        than were stored is read again, a few times."""
        report, left = self._run(task)
        for _ in range(ATTEMPTS - 1):
            if not report.torn:
                break
            again, left = self._run(left)
            report.begun_again(again)
        return report

    def _run(self, task: Task) -> tuple[TaskReport, Task]:
        """The report of one Dagster run, and what of the task it has left."""
        self.catalog.refresh()
        asked = {
            run_tags.FORCE: ",".join(task.forced),
            run_tags.RETRY: ",".join(task.retried),
            run_tags.ASSETS: task.assets[0] if len(task.assets) == 1 else f"{task.assets[0]} to {task.assets[-1]}",
        }
        result = execute(
            self._job,
            self.instance,
            {name: value for name, value in asked.items() if value} | tags_of(self._invocation),
            asset_selection=[dg.AssetKey(name) for name in task.assets],
            partition_key=None if task.shard == ALL else task.shard,
            raise_on_error=False,
        )
        if _interrupted(result.all_events):
            raise KeyboardInterrupt
        report = report_of(task, result.all_events)
        report.spans = _spans(self.instance, result.run_id, report.seconds)
        profile, graph = self.catalog.profile, self.catalog.graph
        report.computed_on = {name: str(unit_here(profile, graph[name])) for name in report.spans}
        return report, unfinished(task, result.all_events)


def _interrupted(events: Sequence[dg.DagsterEvent]) -> bool:
    """Whether Ctrl-C or SIGTERM ended the run: Dagster keeps both to itself where errors are not raised."""
    last = events[-1] if events else None
    reason = last.job_failure_data.failure_reason if last is not None and last.is_job_failure else None
    return reason is not None and reason.value == "UNEXPECTED_TERMINATION"


def _spans(instance: dg.DagsterInstance, run_id: str, made: Iterable[str]) -> dict[str, tuple[float, float]]:
    """When the steps of a run began and ended, which the events themselves do not say."""
    kinds = {dg.DagsterEventType.STEP_START, dg.DagsterEventType.STEP_SUCCESS}
    times: dict[str, list[float]] = {}
    for entry in instance.get_records_for_run(run_id, of_type=kinds).records:
        event = entry.event_log_entry.dagster_event
        times.setdefault((event and event.step_key) or "", []).append(entry.event_log_entry.timestamp)
    return {name: (min(times[name]), max(times[name])) for name in made if name in times}

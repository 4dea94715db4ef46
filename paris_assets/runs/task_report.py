"""What a task did, as its Dagster run tells."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass, field
from typing import Any

import dagster as dg

from paris_assets.dag.failed_checks import NAME as NO_FAILED_CHECKS
from paris_assets.dag.io_manager import OPERATORS, STOOD
from paris_assets.planning.failures import cause
from paris_assets.planning.waves import Task
from paris_assets.storage.torn_reads import TornRead


@dataclass
class TaskReport:
    """What one task did: seconds of each asset that was made (not of those left as they were), failures and failed
    checks, in words.

    Attributes:
        spans: asset that was made -> when it began and ended, seconds since 1970.
        computed_on: asset that was made -> what its worker computed it with, in the words of ``run_times.Unit``.
        stood: assets that were made from the rows that they had: what that took says nothing of making all.
        operators: asset -> operator -> what it spent, see ``spent.Spent``.
        peak_kib: the most memory that its process has had so far, KiB.
        torn: whether a failure is a read that other bytes came of than were stored.
    """

    task: Task
    spans: dict[str, tuple[float, float]] = field(default_factory=dict)
    operators: dict[str, dict[str, dict[str, float]]] = field(default_factory=dict)
    seconds: dict[str, float] = field(default_factory=dict)
    failures: dict[str, str] = field(default_factory=dict)
    failed_checks: list[str] = field(default_factory=list)
    wall_s: float = 0.0
    torn: bool = False
    computed_on: dict[str, str] = field(default_factory=dict)
    stood: set[str] = field(default_factory=set)
    peak_kib: int = 0

    def add(self, part: TaskReport) -> None:
        """Take in what a part of the task did."""
        self.spans |= part.spans
        self.computed_on |= part.computed_on
        self.stood |= part.stood
        self.operators |= part.operators
        self.seconds |= part.seconds
        self.failures |= part.failures
        self.failed_checks += [said for said in part.failed_checks if said not in self.failed_checks]
        self.wall_s += part.wall_s
        self.peak_kib = max(self.peak_kib, part.peak_kib)

    def begun_again(self, part: TaskReport) -> None:
        """Take in what came of the part that was not finished when it was begun again: what failed before is past."""
        self.failures, self.torn = {}, part.torn
        self.add(part)


def report_of(task: Task, events: Sequence[dg.DagsterEvent]) -> TaskReport:
    """What the events of a task's run say of it, but for the spans."""
    report = TaskReport(task)
    shown = {
        event.step_key or "": event.step_materialization_data.materialization.metadata
        for event in events
        if event.is_step_materialization
    }
    made = {step: metadata for step, metadata in shown.items() if "seconds" in metadata}
    held: dict[str, Any] = {step: metadata[OPERATORS] for step, metadata in made.items() if OPERATORS in metadata}
    report.operators = {step: value.value for step, value in held.items()}
    report.stood = {step for step, metadata in made.items() if STOOD in metadata}
    for event in events:
        step = event.step_key or ""
        if event.event_type == dg.DagsterEventType.STEP_SUCCESS and step in made:
            report.seconds[step] = event.step_success_data.duration_ms / 1000
        elif event.event_type == dg.DagsterEventType.STEP_FAILURE:
            report.failures[step] = cause(event)
            report.torn |= TornRead.__name__ in _classes(event)
        elif event.is_job_failure and not report.failures:  # before any asset: a resource that cannot be set up
            report.failures[task.assets[0]] = event.message or "the run failed"
        elif event.event_type == dg.DagsterEventType.ASSET_CHECK_EVALUATION:
            check = event.asset_check_evaluation_data
            if not check.passed and NO_FAILED_CHECKS not in step:  # which repeats the others
                report.failed_checks.append(
                    f"{check.asset_key.to_user_string()} {check.check_name}: {check.description}"
                )
    return report


def unfinished(task: Task, events: Iterable[dg.DagsterEvent]) -> Task:
    """The part of a task that its run did not bring to an end; all of it where that is a check."""
    ended = {event.step_key for event in events if event.event_type == dg.DagsterEventType.STEP_SUCCESS}
    return task.only([name for name in task.assets if name not in ended]) or task


def _classes(event: dg.DagsterEvent) -> Iterator[str | None]:
    """Names of the classes of a step's error and of what caused it."""
    error: Any = event.step_failure_data.error
    while error is not None:
        yield error.cls_name
        error = error.cause

"""What a run does when its store breaks, or gives other bytes than were stored: without Dagster or a cluster."""

from __future__ import annotations

import io
import os
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
from rich.console import Console

from paris_assets.dag.catalog import Catalog
from paris_assets.ingest.sources import register
from paris_assets.planning.registration import bind
from paris_assets.planning.waves import Task
from paris_assets.runs.execution import Executor
from paris_assets.runs.progress import RunConsole, RunProgress
from paris_assets.runs.run import Request, run
from paris_assets.runs.task_report import TaskReport
from paris_assets.storage import s3
from paris_assets.storage.object_store import ATTEMPTS, StorageError
from paris_assets_tests.fixtures import direct, small_world
from paris_assets_tests.storage.faulty_proxy import Fault, FaultyProxy


class Failing:
    """A crew whose every task fails; the store breaks before it tells of the second."""

    def __init__(self, break_store: Callable[[], None]) -> None:
        self.given, self.closed, self._break = list[Task](), False, break_store

    def run(self, tasks: list[Task]) -> Iterator[TaskReport]:
        for task in tasks:
            self.given.append(task)
            if len(self.given) == 2:
                self._break()
            yield TaskReport(task, failures={task.assets[0]: "no answer"})

    def close(self) -> None:
        self.closed = True


def test_one_sentence_is_said_of_a_store_that_breaks_and_no_shard_is_tried_after(
    s3_url: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capfd: pytest.CaptureFixture[str]
) -> None:
    proxy = FaultyProxy(os.environ["AWS_ENDPOINT_URL"])
    monkeypatch.setenv("AWS_ENDPOINT_URL", proxy.url)
    monkeypatch.setattr(s3, "PAUSE_S", 0.01)
    profile = small_world.profile(small_world.embedded(tmp_path / "list.parquet", 12), source__rows_per_shard=4)
    catalog = direct.catalog_of(profile, f"{s3_url}/broken")
    source = register(catalog.profile.source, None, catalog.location)
    bind(catalog, source, Console(file=io.StringIO()))

    def break_store() -> None:
        proxy.judge = lambda request: Fault(503, "SlowDown")

    crew = Failing(break_store)

    def hire(_catalog: Catalog, _progress: RunProgress, _invocation: str) -> Failing:
        return crew

    with pytest.raises(StorageError, match=r"SlowDown.*check AWS_ENDPOINT_URL.*what is finished stays"):
        run(catalog, Request(), RunProgress(RunConsole()), hire=hire)
    proxy.close()
    assert [task.shard for task in crew.given] == ["00000", "00001"]
    assert crew.closed
    said = capfd.readouterr().err
    assert "failed source_rows [00000]: no answer" in said, "the store was whole then, so others may be made"
    assert "failed source_rows [00001]" not in said


class Scripted(Executor):
    """An executor whose Dagster runs end as they are told to: (failed, torn) of each."""

    def __init__(self, *ends: tuple[bool, bool]) -> None:
        self.given, self._ends = list[Task](), list(ends)

    def _run(self, task: Task) -> tuple[TaskReport, Task]:
        self.given.append(task)
        failed, torn = self._ends[min(len(self.given), len(self._ends)) - 1]
        made, *left = task.assets if failed else (*task.assets, "")
        report = TaskReport(task, {}, {}, {made: 1.0}, {left[0]: "torn"} if failed else {}, ["a check"], torn=torn)
        return report, Task(task.shard, tuple(left))


def test_what_a_torn_read_left_is_made_again_and_the_rest_is_not() -> None:
    executor = Scripted((True, True), (False, False))
    report = executor.run(Task("00000", ("captions", "latents")))
    assert [task.assets for task in executor.given] == [("captions", "latents"), ("latents",)]
    assert (report.failures, set(report.seconds), report.torn) == ({}, {"captions", "latents"}, False)
    assert report.failed_checks == ["a check"]


def test_reads_that_stay_torn_and_other_failures_are_told() -> None:
    several = Task("00000", tuple("abcdefgh"))
    torn = Scripted((True, True))
    assert torn.run(several).failures
    assert len(torn.given) == ATTEMPTS
    other = Scripted((True, False))
    assert other.run(several).failures == {"b": "torn"}
    assert len(other.given) == 1

"""Who does the work of a run: this process, processes of this machine, or actors of a Ray cluster."""

from __future__ import annotations

import uuid
from collections.abc import Callable, Iterator
from contextlib import ExitStack
from typing import Protocol

from paris_assets.dag.catalog import Catalog
from paris_assets.dag.io_manager import Listener
from paris_assets.planning.home import dagster_home
from paris_assets.planning.waves import Task
from paris_assets.runs.cluster import Cluster
from paris_assets.runs.coordinator import coordinated
from paris_assets.runs.execution import Executor, open_instance
from paris_assets.runs.node import Setup
from paris_assets.runs.postgres import keep_connections
from paris_assets.runs.processes import Processes, start_fork_server
from paris_assets.runs.progress import RunProgress
from paris_assets.runs.task_report import TaskReport
from paris_assets.runs.workers import Here, Workers


class Crew(Protocol):
    """Runs tasks, wave by wave."""

    def run(self, tasks: list[Task]) -> Iterator[TaskReport]:
        """Reports as tasks end, in any order."""
        ...

    def close(self) -> None:
        """Let the workers end; those that are at work, after Ctrl-C, at once."""
        ...


Hire = Callable[[Catalog, RunProgress, str], Crew]
"""(root, what a person sees, invocation) -> its crew."""


class LocalCrew:
    """N processes of this machine; this one itself where N is 1, and for a task that is alone and needs no GPU."""

    def __init__(self, catalog: Catalog, count: int, listener: Listener, invocation: str) -> None:
        home = dagster_home(catalog.location.url, catalog.location.remote)
        self._journal = home / f"verified-{uuid.uuid4().hex}.jsonl"
        for left in home.glob("verified-*.jsonl"):  # by a run that was killed: only one works on a root at a time
            left.unlink()

        def executor() -> Executor:
            instance = open_instance(catalog.location)
            keep_connections(instance)
            return Executor(catalog, instance, listener, invocation, self._journal)

        self._open = ExitStack()
        coordinator = self._open.enter_context(coordinated())
        self._here, self._processes, self._many = Here(executor), None, None
        if count > 1:
            self._processes = Processes(catalog, count, invocation, self._journal, coordinator)
            self._many = Workers(self._processes, catalog.graph, listener, lambda _: None)  # they come up at once

    def run(self, tasks: list[Task]) -> Iterator[TaskReport]:
        """Reports as tasks end, in any order."""
        yield from (self._many if self._many is not None and self._for_several(tasks) else self._here).run(tasks)

    def _for_several(self, tasks: list[Task]) -> bool:
        """Whether worker processes do these: what is alone, too, where one of them has networks on a GPU, which are not
        loaded there a second time."""
        assert self._processes is not None
        return len(tasks) > 1 or any(needs.gpus for task in tasks for needs, _ in self._processes.parts(task))

    def close(self) -> None:
        """Let the processes end; after Ctrl-C at once."""
        if self._many is not None:
            self._many.close()
        self._journal.unlink(missing_ok=True)
        self._open.close()


def local_crew(count: int) -> Hire:
    """Processes of this machine, which begin to come up."""
    if count > 1:
        start_fork_server(count)
    return lambda catalog, progress, invocation: LocalCrew(catalog, count, progress.listen, invocation)


def ray_crew(cluster: Cluster, setup: Setup) -> Hire:
    """Actors of a cluster that has been looked at."""
    from paris_assets.runs.actors import Actors

    def hire(catalog: Catalog, progress: RunProgress, invocation: str) -> Crew:
        def say(text: str) -> None:
            progress.console.print(text, markup=False, soft_wrap=True)

        return Workers(Actors(cluster, catalog, setup, invocation), catalog.graph, progress.listen, say)

    return hire

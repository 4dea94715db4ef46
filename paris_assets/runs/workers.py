"""Workers: each takes tasks of a wave until none is left; one that dies costs its task a try and is replaced.

Where they run is the business of a ``Host``: processes of this machine (``runs.processes``) or actors of a Ray cluster
(``runs.actors``). Which task goes where, what a death costs and what is told of it is said here, for both.
"""

from __future__ import annotations

import resource
import time
from collections import deque
from collections.abc import Callable, Hashable, Iterator
from dataclasses import dataclass, field

from sqlalchemy.exc import DBAPIError

from paris_assets.dag.graph import Graph, descendants
from paris_assets.dag.io_manager import Listener
from paris_assets.errors import UserError
from paris_assets.planning.waves import Task
from paris_assets.runs.execution import Executor
from paris_assets.runs.host import Crowded, Died, Heard, Host, Message, Needs, Started
from paris_assets.runs.task_report import TaskReport

PATIENCE_S, SAID_AFTER_S = 10.0, 120.0
"""How long a worker may be on its way before idle ones of another kind make room, and before a person is told."""
STARTS = 3
"""So many workers in a row that end before they have begun are no accident."""


class NoWorker(UserError, RuntimeError):
    """Workers do not start; the message says why."""


@dataclass
class _Job:
    """A task on its way, with what is known of the parts that have ended."""

    report: TaskReport
    parts: deque[tuple[Needs, Task]]
    tries: int = 0


@dataclass(eq=False)
class _Worker:
    place: Hashable
    needs: Needs
    ready: bool
    since: float = field(default_factory=time.monotonic)
    job: _Job | None = None


class Workers:
    """The workers of one run, kept from wave to wave with the networks that they have loaded.

    Args:
        graph: what is not begun where an earlier part of a task has failed.
        say: tells a person what is begun again and, once, what is waited for.
    """

    def __init__(self, host: Host, graph: Graph, listener: Listener, say: Callable[[str], None]) -> None:
        self._host, self._graph, self._listener, self._say = host, graph, listener, say
        self._pool: list[_Worker] = []
        self._waiting: dict[Needs, deque[_Job]] = {}
        self._false_starts, self._told = 0, False

    def run(self, tasks: list[Task]) -> Iterator[TaskReport]:
        """Reports as tasks end, in any order.

        Raises:
            NoWorker: workers do not start.
        """
        self._waiting.clear()
        for task in tasks:
            self._put(_Job(TaskReport(task), deque(self._host.parts(task))))
        while any(self._waiting.values()) or any(worker.job for worker in self._pool):
            self._hand_out()
            self._make_room()
            spoken = {worker.place: worker for worker in self._pool if worker.job or not worker.ready}
            for place, message in self._host.wait(list(spoken)):
                report = self._take(spoken[place], message)
                if report is not None:
                    yield report

    def close(self) -> None:
        """Let the workers end; those that are at work, after Ctrl-C, at once."""
        self._host.close(any(worker.job for worker in self._pool))
        self._pool.clear()

    def _put(self, job: _Job, first: bool = False) -> None:
        queue = self._waiting.setdefault(job.parts[0][0], deque())
        queue.appendleft(job) if first else queue.append(job)

    def _hand_out(self) -> None:
        """Start as many workers as tasks wait for, where there is room for them, and give idle ones their next task."""
        for needs, jobs in self._waiting.items():
            own = [worker for worker in self._pool if worker.needs == needs]
            idle = [worker for worker in own if worker.ready and worker.job is None]
            lacking = len(jobs) - sum(worker.job is None for worker in own)
            for _ in range(min(lacking, self._host.most(needs) - len(own)) if lacking > 0 else 0):
                worker = _Worker(*self._started(needs))
                self._pool.append(worker)
                idle += [worker] if worker.ready else []
            for worker in idle[: len(jobs)]:
                worker.job = jobs.popleft()
                self._host.send(worker.place, worker.job.parts[0][1])

    def _started(self, needs: Needs) -> tuple[Hashable, Needs, bool]:
        place, ready = self._host.start(needs)
        return place, needs, ready

    def _make_room(self) -> None:
        """Idle workers, whose networks stay loaded, give way to those of other needs that find no room beside them."""
        coming = [worker for worker in self._pool if not worker.ready]
        waited = time.monotonic() - min((worker.since for worker in coming), default=time.monotonic())
        if waited < PATIENCE_S:
            return
        self._stop_idle()
        if waited >= SAID_AFTER_S and not self._told and not any(worker.job for worker in self._pool):
            self._told = True
            self._say(f"waiting for a worker: nothing has {coming[0].needs} free (Ctrl-C to give up)")

    def _stop_idle(self) -> None:
        for worker in [worker for worker in self._pool if worker.ready and worker.job is None]:
            self._pool.remove(worker)
            self._host.stop(worker.place)

    def _take(self, worker: _Worker, message: Message) -> TaskReport | None:
        """Act on what a worker says; the report of a task that has ended with it."""
        match message:
            case Started():
                worker.ready, self._false_starts = True, 0
            case Heard():
                self._listener(message.asset, message.shard, message.event)
            case Crowded():
                self._stop_idle()
            case Died():
                self._pool.remove(worker)
                return self._after_death(worker, message)
            case TaskReport():
                job, worker.job = worker.job, None
                return self._next_part(job, message) if job else None
        return None

    def _after_death(self, worker: _Worker, death: Died) -> TaskReport | None:
        job = worker.job
        if job is None or not death.begun:
            self._false_starts += 1
            if self._false_starts >= STARTS * self._host.most(worker.needs):
                raise NoWorker(f"workers do not start: {death.cause}")
        if job is None:
            return None
        job.tries += death.begun
        _, part = job.parts[0]
        if job.tries < self._host.tries:
            if death.begun:
                self._say(f"{death.cause}: {part.assets[0]} of {part.shard} is begun again")
            self._put(job, first=True)
            return None
        again = f" ({job.tries} times)" if job.tries > 1 else ""
        failed = {part.assets[0]: f"{death.cause}{again}; run again to go on"}
        return self._next_part(job, TaskReport(part, failures=failed))

    def _next_part(self, job: _Job, ended: TaskReport) -> TaskReport | None:
        """Go on with what a part of a task has left; the report of the task where that is nothing."""
        job.parts.popleft()
        job.tries = 0
        job.report.add(ended)
        behind = set[str]().union(*(descendants(self._graph, name) for name in job.report.failures))
        while job.parts:
            needs, part = job.parts[0]
            kept = part.only([name for name in part.assets if name not in behind])
            if kept is not None:
                job.parts[0] = (needs, kept)
                self._put(job, first=True)
                return None
            job.parts.popleft()
        return job.report


class Here:
    """This process itself, which works on one task after the other."""

    def __init__(self, executor: Callable[[], Executor]) -> None:
        self._open, self._executor = executor, None

    def run(self, tasks: list[Task]) -> Iterator[TaskReport]:
        """Reports as tasks end."""
        self._executor = self._executor or self._open()
        for task in tasks:
            yield timed(self._executor, task)


def timed(executor: Executor, task: Task) -> TaskReport:
    """Run a task, and note its time and memory; where Dagster's storage fails (a full disk), the task has failed."""
    start = time.monotonic()
    try:
        report = executor.run(task)
    except (OSError, DBAPIError) as error:
        report = TaskReport(task, failures={task.assets[0]: f"Dagster could not record the run: {error}"})
    report.wall_s, report.peak_kib = time.monotonic() - start, resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    return report

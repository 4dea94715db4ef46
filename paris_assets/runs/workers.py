"""Worker processes: each takes tasks of a wave until none is left; one that dies is reported and replaced."""

from __future__ import annotations

import multiprocessing
import os
import signal
import sys
import threading
import time
import uuid
from collections import deque
from collections.abc import Iterator
from contextlib import suppress
from dataclasses import dataclass
from multiprocessing import forkserver, resource_tracker
from multiprocessing.connection import Connection, wait
from multiprocessing.context import ForkServerProcess
from pathlib import Path
from typing import Any

from sqlalchemy.exc import DBAPIError

from paris_assets.config import Profile
from paris_assets.dag.catalog import Catalog
from paris_assets.dag.io_manager import Listener
from paris_assets.definitions import open_catalog
from paris_assets.models.threads import cores
from paris_assets.planning.home import dagster_home
from paris_assets.planning.waves import Task
from paris_assets.process import child_environment
from paris_assets.runs.execution import Executor, TaskReport, new_invocation, open_instance

PRELOAD = ["dagster", "torch", "diffusers.models.autoencoders.autoencoder_kl", "paris_assets.runs.execution"]


@dataclass
class _Worker:
    process: ForkServerProcess
    pipe: Connection
    number: int
    task: Task | None = None


class Workers:
    """N forkserver processes, or this process itself when N is 1."""

    def __init__(self, catalog: Catalog, count: int, listener: Listener, invocation: str | None = None) -> None:
        self._catalog, self._count, self._listener = catalog, count, listener
        self._invocation = invocation or new_invocation()
        home = dagster_home(catalog.location.url, catalog.location.remote)
        self._journal = home / f"verified-{uuid.uuid4().hex}.jsonl"
        for left in home.glob("verified-*.jsonl"):  # by a run that was killed: only one works on a root at a time
            left.unlink()
        self._pool: list[_Worker] = []
        self._here: Executor | None = None
        self._context = multiprocessing.get_context("forkserver")
        # Only this process holds the writing end: workers see it close when this process ends, however it ends.
        self._lifeline, self._alive = self._context.Pipe(duplex=False)
        if count > 1:
            self._context.set_forkserver_preload(PRELOAD)
            _start_fork_server(max(1, cores() // count))

    def run(self, tasks: list[Task]) -> Iterator[TaskReport]:
        """Reports as tasks end, in any order."""
        if self._count == 1 or len(tasks) == 1:
            yield from self._run_here(tasks)
            return
        waiting = deque(tasks)
        while len(self._pool) < min(self._count, len(tasks)):
            self._pool.append(self._start())
        for worker in list(self._pool):
            self._hand_out(worker, waiting)
        while any(worker.task for worker in self._pool):
            busy = {worker.pipe: worker for worker in self._pool if worker.task}
            for pipe in wait(list(busy)):
                report = self._receive(busy[pipe], waiting)  # type: ignore[index]
                if report:
                    yield report

    def close(self) -> None:
        """Let the workers end; those that are at work, after Ctrl-C, at once."""
        if any(worker.task for worker in self._pool):
            self._alive.close()
        for worker in self._pool:
            worker.pipe.close()
        for worker in self._pool:
            worker.process.join(timeout=10)
            if worker.process.is_alive():
                worker.process.kill()
        self._journal.unlink(missing_ok=True)
        self._alive.close()
        self._lifeline.close()

    def _run_here(self, tasks: list[Task]) -> Iterator[TaskReport]:
        if self._here is None:
            instance = open_instance(self._catalog.location)
            self._here = Executor(self._catalog, instance, self._listener, self._invocation, self._journal)
        for task in tasks:
            yield timed(self._here, task)

    def _start(self) -> _Worker:
        ours, theirs = self._context.Pipe()
        number = min(set(range(self._count)) - {worker.number for worker in self._pool})
        process = self._context.Process(
            target=_serve,
            args=(
                theirs,
                self._lifeline,
                self._catalog.location.url,
                self._catalog.profile,
                number,
                self._invocation,
                self._journal,
            ),
            daemon=True,
        )
        process.start()
        theirs.close()
        return _Worker(process, ours, number)

    def _hand_out(self, worker: _Worker, waiting: deque[Task]) -> None:
        worker.task = waiting.popleft() if waiting else None
        if worker.task is None:
            return
        try:
            worker.pipe.send(worker.task)
        except OSError:
            # It died while it had nothing to do: its task goes to a fresh worker.
            waiting.appendleft(worker.task)
            worker.pipe.close()
            worker.process.join()
            self._pool.remove(worker)
            self._pool.append(self._start())
            self._hand_out(self._pool[-1], waiting)

    def _receive(self, worker: _Worker, waiting: deque[Task]) -> TaskReport | None:
        try:
            message: Any = worker.pipe.recv()
        except (EOFError, OSError):
            return self._replace(worker, waiting)
        if not isinstance(message, TaskReport):
            self._listener(*message)
            return None
        self._hand_out(worker, waiting)
        return message

    def _replace(self, worker: _Worker, waiting: deque[Task]) -> TaskReport:
        worker.process.join()
        task = worker.task
        assert task is not None
        self._pool.remove(worker)
        if waiting:
            fresh = self._start()
            self._pool.append(fresh)
            self._hand_out(fresh, waiting)
        code = worker.process.exitcode
        return TaskReport(
            task, failures={task.assets[0]: f"the worker process died (exit code {code}); run again to go on"}
        )


def _start_fork_server(threads: int) -> None:
    """Start the process that workers are forked from. glibc and OpenMP read their variables when it starts, and
    OMP_NUM_THREADS is how many cores a worker takes for its own (``models.threads.cores``).

    It and the workers hold SIGINT back from their first instruction on: a terminal sends Ctrl-C to all of them, while
    they still import too, and this process alone decides."""
    resource_tracker.ensure_running()  # which lets SIGINT through again when it starts
    before = dict(os.environ)
    os.environ.update({**child_environment(), "OMP_NUM_THREADS": str(threads)})
    signals = signal.pthread_sigmask(signal.SIG_BLOCK, [signal.SIGINT])
    try:
        forkserver.ensure_running()
    finally:
        signal.pthread_sigmask(signal.SIG_SETMASK, signals)
        for name in os.environ.keys() - before.keys():
            del os.environ[name]
        os.environ.update(before)


def timed(executor: Executor, task: Task) -> TaskReport:
    """Run a task and note its wall time; where Dagster's own storage fails (a full disk), the task has failed."""
    start = time.monotonic()
    try:
        report = executor.run(task)
    except (OSError, DBAPIError) as error:
        report = TaskReport(task, failures={task.assets[0]: f"Dagster could not record the run: {error}"})
    report.wall_s = time.monotonic() - start
    return report


def _serve(
    pipe: Connection,
    lifeline: Connection,
    root_url: str,
    profile: Profile,
    number: int,
    invocation: str,
    journal: Path,
) -> None:
    sys.stdin.close()
    take_gpu(number)
    signal.signal(signal.SIGINT, signal.SIG_IGN)  # the parent decides when the user interrupts
    threading.Thread(target=_end_with_parent, args=(lifeline,), daemon=True).start()
    catalog = open_catalog(root_url, profile)

    def tell(asset: str, shard: str, event: str) -> None:
        pipe.send((asset, shard, event))

    executor = Executor(catalog, open_instance(catalog.location), tell, invocation, journal)
    while True:
        try:
            task = pipe.recv()
            pipe.send(timed(executor, task))
        except (EOFError, BrokenPipeError, ConnectionResetError, KeyboardInterrupt):
            return


def take_gpu(number: int) -> None:
    """Leave this process one GPU, worker by worker in turn: of those in ``CUDA_VISIBLE_DEVICES``, else of all.

    It has to be called before the process uses CUDA, which reads the variable once.
    """
    from torch import cuda

    named = os.environ.get("CUDA_VISIBLE_DEVICES")
    gpus = [str(index) for index in range(cuda.device_count())] if named is None else named.split(",")
    if gpus:
        os.environ["CUDA_VISIBLE_DEVICES"] = gpus[number % len(gpus)]


def _end_with_parent(lifeline: Connection) -> None:
    """End this process at once when the parent is gone: nobody may go on writing under a root that is let go of."""
    with suppress(OSError):
        lifeline.poll(None)
    os._exit(1)

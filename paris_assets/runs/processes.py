"""Worker processes of this machine, forked from a server that has loaded what all of them need."""

from __future__ import annotations

import multiprocessing
import os
import signal
import sys
import threading
from collections.abc import Iterable
from contextlib import suppress
from dataclasses import dataclass
from multiprocessing import forkserver, resource_tracker
from multiprocessing.connection import Connection, wait
from multiprocessing.context import ForkServerProcess
from pathlib import Path
from typing import Any

from paris_assets.config import Profile
from paris_assets.dag.catalog import Catalog
from paris_assets.definitions import open_catalog
from paris_assets.ingest.web.link import COORDINATOR
from paris_assets.models.threads import cores
from paris_assets.planning.waves import Task
from paris_assets.process import child_environment
from paris_assets.runs.execution import Executor, open_instance
from paris_assets.runs.host import Died, Heard, Message, Needs
from paris_assets.runs.workers import timed

PRELOAD = ["dagster", "paris_assets.runs.execution"]  # torch is loaded by who has a network to run
ANY = Needs()


@dataclass(eq=False)
class _Process:
    process: ForkServerProcess
    pipe: Connection
    number: int
    reached: bool = True


class Processes:
    """N forkserver processes, each with its share of the cores and with networks of its own in memory.

    Args:
        invocation: what the runs of one command have in common.
        journal: where the processes tell each other which tables they have verified.
        coordinator: address of what limits per host hold through.
    """

    tries = 1  # what kills a process of this machine would kill the next one, or takes this one along

    def __init__(self, catalog: Catalog, count: int, invocation: str, journal: Path, coordinator: str) -> None:
        self._catalog, self._count, self._invocation, self._journal = catalog, count, invocation, journal
        self._coordinator = coordinator
        self._running: list[_Process] = []
        self._context = multiprocessing.get_context("forkserver")
        # Only this process holds the writing end: workers see it close when this process ends, however it ends.
        self._lifeline, self._alive = self._context.Pipe(duplex=False)
        start_fork_server(count)

    def parts(self, task: Task) -> list[tuple[Needs, Task]]:
        """All workers are alike."""
        return [(ANY, task)]

    def most(self, needs: Needs) -> int:
        """As many as were asked for."""
        return self._count

    def start(self, needs: Needs) -> tuple[_Process, bool]:
        """A new process; its pipe keeps a task until it has come up."""
        ours, theirs = self._context.Pipe()
        number = min(set(range(self._count)) - {worker.number for worker in self._running})
        url, profile = self._catalog.location.url, self._catalog.profile
        process = self._context.Process(
            target=_serve,
            args=(theirs, self._lifeline, url, profile, number, self._invocation, self._journal, self._coordinator),
            daemon=True,
        )
        process.start()
        theirs.close()
        self._running.append(_Process(process, ours, number))
        return self._running[-1], True

    def send(self, place: Any, task: Task) -> None:
        """Hand a task out."""
        try:
            place.pipe.send(task)
        except OSError:  # it died while it had nothing to do
            place.reached = False

    def wait(self, places: list[Any]) -> Iterable[tuple[Any, Message]]:
        """What processes say."""
        by_pipe = {place.pipe: place for place in places}
        for pipe in wait(list(by_pipe)):
            place = by_pipe[pipe]  # type: ignore[index]
            try:
                yield place, place.pipe.recv()
            except (EOFError, OSError):
                place.process.join()
                place.pipe.close()
                self._running.remove(place)
                yield place, Died(f"the worker process died (exit code {place.process.exitcode})", place.reached)

    def stop(self, place: Any) -> None:
        """End a process that has no task."""
        place.pipe.close()
        self._running.remove(place)

    def close(self, at_work: bool) -> None:
        """Let the processes end; after Ctrl-C at once."""
        if at_work:
            self._alive.close()
        for worker in self._running:
            worker.pipe.close()
        for worker in self._running:
            worker.process.join(timeout=10)
            if worker.process.is_alive():
                worker.process.kill()
        self._alive.close()
        self._lifeline.close()


def start_fork_server(count: int) -> None:
    """Start the process that so many workers are forked from; it loads what they need while this one goes on. glibc and
    OpenMP read their variables when it starts, and OMP_NUM_THREADS is how many cores a worker takes for its own
    (``models.threads.cores``).

    It and the workers hold SIGINT back from their first instruction on: a terminal sends Ctrl-C to all of them, while
    they still import too, and this process alone decides."""
    multiprocessing.get_context("forkserver").set_forkserver_preload(PRELOAD)
    threads = max(1, cores() // count)
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


def _serve(
    pipe: Connection,
    lifeline: Connection,
    root_url: str,
    profile: Profile,
    number: int,
    invocation: str,
    journal: Path,
    coordinator: str,
) -> None:
    sys.stdin.close()
    os.environ[COORDINATOR] = coordinator
    take_gpu(number)
    signal.signal(signal.SIGINT, signal.SIG_IGN)  # the parent decides when the user interrupts
    threading.Thread(target=_end_with_parent, args=(lifeline,), daemon=True).start()
    catalog = open_catalog(root_url, profile)

    def tell(asset: str, shard: str, event: str) -> None:
        pipe.send(Heard(asset, shard, event))

    executor = Executor(catalog, open_instance(catalog.location), tell, invocation, journal)
    while True:
        try:
            task = pipe.recv()
            pipe.send(timed(executor, task))
            catalog.forget(task.shard)
        except (EOFError, BrokenPipeError, ConnectionResetError, KeyboardInterrupt):
            return


def take_gpu(number: int) -> None:
    """Leave this process one GPU, worker by worker in turn: of those in ``CUDA_VISIBLE_DEVICES``, else of all.

    It has to be called before the process uses CUDA, which reads the variable once.
    """
    named = os.environ.get("CUDA_VISIBLE_DEVICES")
    gpus = [str(index) for index in range(gpu_count())] if named is None else named.split(",")
    if gpus:
        os.environ["CUDA_VISIBLE_DEVICES"] = gpus[number % len(gpus)]


def gpu_count() -> int:
    """GPUs of this machine; torch, which takes seconds to load, is asked only where no file of the driver tells."""
    found = sum(path.name[6:].isdigit() for path in Path("/dev").glob("nvidia*"))
    if found or not any(Path(other).exists() for other in ("/dev/kfd", "/dev/dxg")):
        return found
    from torch import cuda

    return cuda.device_count()


def _end_with_parent(lifeline: Connection) -> None:
    """End this process at once when the parent is gone: nobody may go on writing under a root that is let go of."""
    with suppress(OSError):
        lifeline.poll(None)
    os._exit(1)

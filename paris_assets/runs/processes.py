"""Worker processes of this machine, forked from a server that has loaded what all of them need.

Where the machine has GPUs, what runs networks on them is done by further processes, one for each GPU, which see that
one alone; the others see none.
"""

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
from paris_assets.models.gpus import VISIBLE, visible_gpus
from paris_assets.planning.waves import Task
from paris_assets.process import child_environment, cores
from paris_assets.runs.execution import Executor, open_instance
from paris_assets.runs.host import Died, Heard, Message, Needs, parts_by_need, runs_on_cuda
from paris_assets.runs.workers import timed

PRELOAD = ["dagster", "paris_assets.runs.execution"]  # torch is loaded by who has a network to run
ANY, ON_GPU = Needs(), Needs(gpus=1.0)
THREADS = "OMP_NUM_THREADS"
"""How many cores a process takes for its own (``process.cores``)."""


@dataclass(eq=False)
class _Process:
    process: ForkServerProcess
    pipe: Connection
    needs: Needs
    number: int
    reached: bool = True


class Processes:
    """N forkserver processes, and as many more as there are GPUs, but no more than N, for what runs networks on these;
    each with its share of the cores and with networks of its own in memory.

    Args:
        invocation: what the runs of one command have in common.
        journal: where the processes tell each other which tables they have verified.
        coordinator: address of what limits per host hold through.
    """

    tries = 1  # what kills a process of this machine would kill the next one, or takes this one along

    def __init__(self, catalog: Catalog, count: int, invocation: str, journal: Path, coordinator: str) -> None:
        self._catalog, self._count, self._invocation, self._journal = catalog, count, invocation, journal
        self._coordinator, self._gpus = coordinator, visible_gpus()
        cuda = {name for name, spec in catalog.graph.items() if self._gpus and runs_on_cuda(catalog.profile, spec)}
        self._needs = {name: ON_GPU if name in cuda else ANY for name in catalog.graph}
        self._running: list[_Process] = []
        self._context = multiprocessing.get_context("forkserver")
        # Only this process holds the writing end: workers see it close when this process ends, however it ends.
        self._lifeline, self._alive = self._context.Pipe(duplex=False)
        start_fork_server(count)

    def parts(self, task: Task) -> list[tuple[Needs, Task]]:
        """What runs networks on a GPU, and what does not."""
        return parts_by_need(task, self._needs)

    def most(self, needs: Needs) -> int:
        """As many as were asked for, and with a GPU no more than there are."""
        return min(self._count, len(self._gpus)) if needs.gpus else self._count

    def start(self, needs: Needs) -> tuple[_Process, bool]:
        """A new process; its pipe keeps a task until it has come up."""
        ours, theirs = self._context.Pipe()
        taken = {worker.number for worker in self._running if worker.needs == needs}
        number = min(set(range(self.most(needs))) - taken)
        url, profile, environment = self._catalog.location.url, self._catalog.profile, self._environment(needs, number)
        said = (self._invocation, self._journal, self._coordinator)
        process = self._context.Process(
            target=_serve, args=(theirs, self._lifeline, url, profile, environment, *said), daemon=True
        )
        process.start()
        theirs.close()
        self._running.append(_Process(process, ours, needs, number))
        return self._running[-1], True

    def _environment(self, needs: Needs, number: int) -> dict[str, str]:
        """Variables of one process. A GPU's own has cores to decode for it, also where many others were asked for:
        while it has work, the others have done theirs or wait for the network."""
        if not needs.gpus:
            return {VISIBLE: ""} if self._gpus else {}
        return {VISIBLE: self._gpus[number], THREADS: str(max(1, cores() // self.most(needs)))}

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
    OpenMP read their variables when it starts.

    It and the workers hold SIGINT back from their first instruction on: a terminal sends Ctrl-C to all of them, while
    they still import too, and this process alone decides."""
    multiprocessing.get_context("forkserver").set_forkserver_preload(PRELOAD)
    threads = max(1, cores() // count)
    resource_tracker.ensure_running()  # which lets SIGINT through again when it starts
    before = dict(os.environ)
    os.environ.update({**child_environment(), THREADS: str(threads)})
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
    environment: dict[str, str],
    invocation: str,
    journal: Path,
    coordinator: str,
) -> None:
    sys.stdin.close()
    # Before anything uses CUDA, which reads its variable once.
    os.environ.update(environment, **{COORDINATOR: coordinator})
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


def _end_with_parent(lifeline: Connection) -> None:
    """End this process at once when the parent is gone: nobody may go on writing under a root that is let go of."""
    with suppress(OSError):
        lifeline.poll(None)
    os._exit(1)

"""Work in threads, results in order: images are decoded, and networks run, while the caller uses what came before."""

from __future__ import annotations

import sys
from collections import deque
from collections.abc import Callable, Collection, Generator, Iterable, Iterator
from concurrent.futures import Future, ThreadPoolExecutor
from contextlib import contextmanager
from typing import TypeVar

from paris_assets.models.protocols import Network
from paris_assets.process import cores

S = TypeVar("S")
T = TypeVar("T")


def each_on_its_own(tasks: Iterable[Callable[[], T]]) -> list[T]:
    """What each of some tasks returns, in order: as many at once as there are cores, torch's operations on one thread
    in each, so that results are the same on any number of cores."""
    with _own_threads_kept():
        return list(ordered_map(lambda task: task(), tasks, cores(), 2 * cores(), "task", use_one_thread))


def side_by_side(networks: Collection[Network], work: Callable[[S], T], batches: Iterable[S]) -> Iterator[T]:
    """``work`` on every batch, results in order: as many at once as all ``networks`` allow, each on one thread.

    One thread per batch, because several inside one operation split its sums: the last bits of a result would depend on
    the number of cores and on who else uses them. Side by side the cores are used as well, and the weights are shared.

    Args:
        networks: those that ``work`` runs; see ``protocols.Network`` for how many batches each takes at once.
        work: runs one batch; what it raises ends the iteration.
        batches: read by the calling thread, at most twice as many ahead of the consumer as run at once.
    """
    count = min(getattr(network, "in_flight", 1) for network in networks)
    with _own_threads_kept():
        yield from ordered_map(work, batches, count, 2 * count, "network", use_one_thread)


def ordered_map(
    function: Callable[[S], T],
    items: Iterable[S],
    threads: int,
    ahead: int,
    name: str,
    start: Callable[[], None] | None = None,
) -> Generator[T]:
    """``function`` over items in threads; results in order, at most ``ahead`` items before the consumer.

    Args:
        name: of the threads.
        start: called once in each thread.
    """
    pending: deque[Future[T]] = deque()
    with ThreadPoolExecutor(threads, name, start) as pool:
        try:
            for item in items:
                pending.append(pool.submit(function, item))
                if len(pending) > ahead:
                    yield pending.popleft().result()
            while pending:
                yield pending.popleft().result()
        finally:
            for future in pending:
                future.cancel()
            if close := getattr(items, "close", None):
                close()


def use_one_thread() -> None:
    """Let torch's operations use one thread when they are called from this one. onnxruntime's are told by its session.

    Networks without torch do not load it.
    """
    torch = sys.modules.get("torch")
    if torch is not None:
        torch.get_num_threads()  # a thread's first question adopts the process's number; later it would undo the next
        torch.set_num_threads(1)


@contextmanager
def one_thread() -> Iterator[None]:
    """torch's operations use one thread where they are called from this one: sums that depend on no number of cores."""
    with _own_threads_kept():
        use_one_thread()
        yield


@contextmanager
def _own_threads_kept() -> Iterator[None]:
    """torch takes the number of any thread for that of threads to come: give it back the caller's."""
    torch = sys.modules.get("torch")
    before = torch.get_num_threads() if torch is not None else 0
    try:
        yield
    finally:
        if torch is not None:
            torch.set_num_threads(before)

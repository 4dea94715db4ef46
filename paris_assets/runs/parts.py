"""Parts of a step over all shards, as tasks of a Ray cluster: see ``elsewhere.Elsewhere``.

An actor keeps its cores while it waits, so that on a small cluster there may be no room for a task, ever. It does parts
itself meanwhile, and those that it waits for too.
"""

from __future__ import annotations

import threading
import time
from collections.abc import Callable
from dataclasses import dataclass
from functools import cache
from typing import Any
from weakref import WeakKeyDictionary

import numpy as np

from paris_assets.elsewhere import Held, Lost, put_together, taken_apart
from paris_assets.process import child_environment
from paris_assets.runs.version import Version, version_here
from paris_assets.spent import CLOCK, Spent

MOST_PLACES = 128  # each has a thread that waits; and all data come from one node
LOOK_S = 1.0
CROWDED_S = 10.0
"""After which tasks, of which none has come back, may have no room."""
ONE_CORE = {"OMP_NUM_THREADS": "1", "POLARS_MAX_THREADS": "1"}
NODE = "ray.io/node-id"


@dataclass(frozen=True)
class Done:
    """What a part came to, and what operators spent on it."""

    result: Any
    spent: dict[str, Spent]


@dataclass(frozen=True)
class Raised:
    """What a part's function raised."""

    error: Exception


@dataclass(frozen=True)
class Refused:
    """A node that has other versions, and does nothing."""

    node: str


class PartTasks:
    """Tasks of one core each, of the cluster that this process is part of.

    Args:
        version: that of the command.
        tries: how often a part is begun whose process or node dies.
        crowded: called when tasks may have no room, once for each step.
    """

    def __init__(self, version: Version, tries: int, crowded: Callable[[], None]) -> None:
        import ray
        import ray.exceptions

        self._ray, self._version, self._crowded = ray, ray.put(version), crowded
        variables = {**child_environment(), **ONE_CORE}
        wanted = {"num_cpus": 1, "max_retries": tries - 1, "runtime_env": {"env_vars": variables}}
        self._task = ray.remote(**wanted)(done_there)
        self._refusing: set[str] = set()
        self._stored: WeakKeyDictionary[Held, Any] = WeakKeyDictionary()
        self._lock, self._storing = threading.Lock(), threading.Lock()
        self._since, self._answered = 0.0, True

    def places(self) -> int:
        """As many as there are cores but for those of this actor."""
        return max(0, min(int(self._ray.cluster_resources().get("CPU", 0)) - own_cores(), MOST_PLACES))

    def share(self, shared: Any) -> Any:
        """Put it into the object store once, from which each node fetches it."""
        self._since, self._answered = time.monotonic(), False
        try:
            return self._ray.put(shared)
        # A store and a disk that are full; something of the user's that cannot be pickled.
        except (self._ray.exceptions.RayError, TypeError) as error:
            raise Lost(str(error)) from error

    def do(self, function: Callable[..., Any], shared: Any, part: Any, done: Callable[[], bool]) -> Any:
        """See ``Elsewhere``; of a process or node that dies, Ray begins the part again."""
        others = {"label_selector": {NODE: f"!in({','.join(sorted(self._refusing))})"}} if self._refusing else {}
        sent, held = taken_apart(part)
        try:
            arrays = [self._in_store(one) for one in held]
            # In lists, so that a process fetches them when it knows that it may. Not arrays: Ray prefers nodes with
            # them.
            answer = self._task.options(**others).remote([self._version], function, [shared], sent, *arrays)
            while not self._ray.wait([answer], timeout=LOOK_S)[0]:
                self._look()
                if done():
                    self._ray.cancel(answer)
                    return None
            found = self._ray.get(answer)
        except self._ray.exceptions.RayError as error:
            raise Lost(str(error)) from error
        self._answered = True
        match found:
            case Done(result, spent):
                if not done():  # whose time is counted, and perhaps taken, already
                    CLOCK.add(spent)
                return result
            case Raised(error):
                raise error
            case Refused(node):
                self._refusing |= {node}
        raise Lost("a node with other versions")

    def _in_store(self, held: Held) -> Any:
        with self._storing:
            if held not in self._stored:
                self._stored[held] = self._ray.put(held.array())
            return self._stored[held]

    def _look(self) -> None:
        with self._lock:
            if self._answered or time.monotonic() - self._since < CROWDED_S:
                return
            self._answered = True
        self._crowded()


def own_cores() -> int:
    """Those that this actor holds, at least one."""
    import ray

    return max(1, int(ray.get_runtime_context().get_assigned_resources().get("CPU", 1)))


def own_gpus() -> float:
    """Those that this actor holds, or the share of one."""
    import ray

    return float(ray.get_runtime_context().get_assigned_resources().get("GPU", 0))


def done_there(
    version: list[Any], function: Callable[..., Any], shared: list[Any], part: Any, *arrays: np.ndarray
) -> Done | Raised | Refused:
    """What a task does.

    Args:
        version, shared: one reference each.
        arrays: that the part holds.
    """
    import ray

    if not _same(version[0]):
        return Refused(ray.get_runtime_context().get_node_id())
    given = ray.get(shared[0])
    CLOCK.take()  # of a part that failed before
    try:
        result = function(given, put_together(part, arrays))
        return Done(result, CLOCK.take())
    except Exception as error:
        return Raised(error)


@cache
def _same(version: Any) -> bool:
    import ray

    return ray.get(version) == version_here()

"""What a place where workers run has to offer (``workers``), and what is said there."""

from __future__ import annotations

from collections.abc import Hashable, Iterable
from dataclasses import dataclass
from typing import Protocol

from paris_assets.planning.waves import Task
from paris_assets.runs.task_report import TaskReport


@dataclass(frozen=True)
class Needs:
    """What a worker takes for its own.

    Attributes:
        gpus: devices, or the share of one.
    """

    cpus: int = 1
    gpus: float = 0.0
    memory_gib: float = 0.0

    def __str__(self) -> str:
        gpus = f" and {self.gpus:g} GPU" if self.gpus else ""
        memory = f" and {self.memory_gib:g} GiB of memory" if self.memory_gib else ""
        return f"{self.cpus} CPU{gpus}{memory}"


@dataclass(frozen=True)
class Started:
    """A worker can be given tasks."""


@dataclass(frozen=True)
class Heard:
    """A partition starts or ends, see ``io_manager.Listener``."""

    asset: str
    shard: str
    event: str


@dataclass(frozen=True)
class Died:
    """A worker is gone.

    Attributes:
        begun: whether it may have begun the task that it was given.
    """

    cause: str
    begun: bool = True


Message = Started | Heard | TaskReport | Died


class Host(Protocol):
    """Where workers run. What it calls a worker (its place) is its own business.

    Attributes:
        tries: how often a task is begun whose worker dies.
    """

    tries: int

    def parts(self, task: Task) -> list[tuple[Needs, Task]]:
        """A task in parts, in order, each with what its worker needs."""
        ...

    def most(self, needs: Needs) -> int:
        """How many workers with these needs there may be at once, at least 1."""
        ...

    def start(self, needs: Needs) -> tuple[Hashable, bool]:
        """The place of a new worker, and whether it can be given tasks before it has said ``Started``."""
        ...

    def send(self, place: Hashable, task: Task) -> None:
        """Hand a task out; that the worker is gone is said by ``wait``."""
        ...

    def wait(self, places: list[Hashable]) -> Iterable[tuple[Hashable, Message]]:
        """What workers say, as soon as one of these says anything; nothing, where that takes long."""
        ...

    def stop(self, place: Hashable) -> None:
        """End a worker that has no task."""
        ...

    def close(self, at_work: bool) -> None:
        """End all workers: those that are ``at_work``, after Ctrl-C, at once."""
        ...

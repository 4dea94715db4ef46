"""What a place where workers run has to offer (``workers``), and what is said there."""

from __future__ import annotations

from collections.abc import Hashable, Iterable, Mapping
from dataclasses import dataclass
from itertools import groupby
from typing import Protocol

from paris_assets.config import Model, Profile
from paris_assets.dag.graph import TableSpec
from paris_assets.errors import UsageError
from paris_assets.models.gpus import own_gpu
from paris_assets.models.resolve import profile_models
from paris_assets.planning.run_times import CPU, Unit
from paris_assets.planning.waves import Task
from paris_assets.process import cores
from paris_assets.runs.task_report import TaskReport
from paris_assets.settings.section import sections


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
class Crowded:
    """The parts of a worker's task find no room beside workers that have none."""


@dataclass(frozen=True)
class Died:
    """A worker is gone.

    Attributes:
        begun: whether it may have begun the task that it was given.
    """

    cause: str
    begun: bool = True


Message = Started | Heard | Crowded | TaskReport | Died


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


def parts_by_need(task: Task, needs: Mapping[str, Needs]) -> list[tuple[Needs, Task]]:
    """A task in parts: assets that follow each other and need the same."""
    runs = groupby(task.assets, key=needs.__getitem__)
    found = ((need, task.only(list(assets))) for need, assets in runs)
    return [(need, part) for need, part in found if part is not None]


def runs_on_cuda(profile: Profile, spec: TableSpec) -> bool:
    """Whether an asset has networks that run on a GPU."""
    found = (part for path in (*spec.settings, *spec.row_settings) for part in sections(profile.at(path)))
    return any(isinstance(part, Model) and part.device.startswith("cuda") for part in found)


def unit_here(profile: Profile, spec: TableSpec) -> Unit:
    """What this process computes an asset with: the one GPU that is its own, or its share of the cores.

    To be asked where the work was done: who hands it out may have another machine, or none of its GPUs.
    """
    if runs_on_cuda(profile, spec):
        from torch import cuda

        if cuda.is_available():
            return Unit(cuda.get_device_name(own_gpu()), 1)
    return Unit(CPU, cores())


def refuse_numbered_gpus(profile: Profile) -> None:
    """Workers have one GPU each, which they know as the first.

    Raises:
        UsageError: a network asks for another one by its number.
    """
    for setting, model in profile_models(profile).items():
        if model.device.startswith("cuda:") and model.device != "cuda:0":
            raise UsageError(
                f"{setting}.device is {model.device}, but each worker has one GPU, whichever is free: --set "
                f"{setting}.device=cuda, or work in one process, without --workers and --ray"
            )

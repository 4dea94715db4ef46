"""What runs on a node of a Ray cluster: the look at it before work, and the actor that works."""

from __future__ import annotations

import asyncio
import os
import platform
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from paris_assets.compute import Compute
from paris_assets.config import Profile
from paris_assets.definitions import open_catalog
from paris_assets.errors import UserError
from paris_assets.planning.home import dagster_home
from paris_assets.planning.waves import Task
from paris_assets.runs.doctor import missing_for
from paris_assets.runs.execution import Executor, open_instance
from paris_assets.runs.host import Crowded, Heard
from paris_assets.runs.parts import PartTasks, own_cores, own_gpus
from paris_assets.runs.task_report import TaskReport
from paris_assets.runs.version import Version, version_here
from paris_assets.runs.workers import timed
from paris_assets.storage.lock import boot_id
from paris_assets.storage.private_folder import private_folder


@dataclass(frozen=True)
class Setup:
    """What a process of another machine needs to work under a root as the driver does, as plain data.

    Attributes:
        environment: variables of the driver by which the root and Dagster's storage are reached.
        folder: of a remote root, the driver's folder, where its Dagster home is shared; None: each node has its own.
        instance: the driver's ``dagster.yaml``.
    """

    url: str
    profile: Profile
    environment: dict[str, str]
    folder: str | None
    instance: str


@dataclass(frozen=True)
class Found:
    """What a look at a node found.

    Attributes:
        machine: what no other machine has.
        unseen: folders or URLs of the driver that are another place here.
        fingerprints: asset -> hash of its code, settings and weights, as this node reads them.
        problems: what keeps the profile from running here.
    """

    version: Version
    machine: str
    unseen: list[str]
    fingerprints: dict[str, str]
    problems: list[str]


def look(setup: Setup, marks: dict[str, str], whole: bool) -> Found:
    """Look at this node as an actor would find it.

    Args:
        marks: path of a small file -> what the driver wrote there; of a root the path is relative to it.
        whole: whether all of the profile may run here, networks on a GPU among it.
    """
    version, machine = version_here(), boot_id() or platform.node()
    try:
        enter(setup)
    except OSError as error:
        unseen = [place for place in marks if os.path.isabs(place)] if setup.folder else []
        return Found(version, machine, unseen, {}, [] if unseen else [str(error)])
    catalog = open_catalog(setup.url, setup.profile)
    unseen = [place for place, written in marks.items() if _read(catalog.location, place) != written.encode()]
    try:
        fingerprints = {name: catalog.own_fingerprint(name) for name in catalog.graph}
        problems = missing_for(setup.profile) if whole else []
    except UserError as error:
        fingerprints, problems = {}, [str(error)]
    return Found(version, machine, unseen, fingerprints, problems)


def _read(root: Any, place: str) -> bytes:
    with suppress(OSError):
        return Path(place).read_bytes() if os.path.isabs(place) else root.read(place)
    return b""


def enter(setup: Setup) -> None:
    """Make this process one that works under the root: its environment, and its Dagster home.

    Raises:
        OSError: the driver's folder is not here.
    """
    os.environ.update(setup.environment)
    if "://" not in setup.url:
        return  # the home lies in the root
    os.chdir(setup.folder or private_folder())
    if setup.folder is None:
        home = dagster_home(setup.url, remote=True)
        home.mkdir(parents=True, exist_ok=True)
        draft = home / f"dagster.yaml.{os.getpid()}"
        draft.write_text(setup.instance)
        os.replace(draft, home / "dagster.yaml")


class Mailbox:
    """What workers say on the way, for the driver to collect."""

    def __init__(self) -> None:
        self._messages: asyncio.Queue[Any] = asyncio.Queue()

    async def put(self, worker: int, message: Any) -> None:
        """Leave a message."""
        await self._messages.put((worker, message))

    async def take(self) -> list[tuple[int, Any]]:
        """All messages there are, as soon as there is one."""
        found = [await self._messages.get()]
        while not self._messages.empty():
            found.append(self._messages.get_nowait())
        return found


class Actor:
    """Does what a worker process does (``processes``), and keeps its networks from task to task."""

    def __init__(self, setup: Setup, version: Version, invocation: str, number: int, mailbox: Any) -> None:
        import ray

        here = version_here()
        if here != version:
            raise UserError(f"{platform.node()}, which came later, has {version.differs(here)}")
        enter(setup)
        self._number, self._mailbox, self._get, self._said = number, mailbox, ray.get, 0
        catalog = open_catalog(setup.url, setup.profile)
        instance, alone = open_instance(catalog.location), Path(os.devnull)  # a journal that nobody else reads
        # Parts of its steps are done on the cores that it has, and elsewhere in tasks.
        tasks = PartTasks(version, setup.profile.ray.tries, lambda: self._say(Crowded()))
        decoders = setup.profile.ray.decode_cpus if own_gpus() else 0
        compute = Compute(own_cores(), tasks, decoders=decoders)
        self._executor = Executor(catalog, instance, self._tell, invocation, alone, compute)

    def ready(self) -> None:
        """Answers when it can be given tasks."""

    def run(self, task: Task) -> tuple[TaskReport, int]:
        """Make what a task asks for; with the report, how many messages came before it."""
        self._said = 0
        self._say(None)
        report = timed(self._executor, task)
        self._executor.catalog.forget(task.shard)
        return report, self._said

    def _tell(self, asset: str, shard: str, event: str) -> None:
        self._say(Heard(asset, shard, event))

    def _say(self, message: Heard | Crowded | None) -> None:
        self._said += 1
        self._get(self._mailbox.put.remote(self._number, message))

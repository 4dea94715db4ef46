"""Workers that are actors of a Ray cluster."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from contextlib import ExitStack
from dataclasses import dataclass, replace
from typing import Any

from paris_assets.config import Profile
from paris_assets.dag.catalog import Catalog
from paris_assets.dag.graph import TableSpec
from paris_assets.ingest.web.link import COORDINATOR
from paris_assets.planning.waves import Task
from paris_assets.process import child_environment
from paris_assets.runs.cluster import Cluster, Node, cause
from paris_assets.runs.coordinator import coordinated
from paris_assets.runs.host import Died, Message, Needs, Started, parts_by_need, runs_on_cuda
from paris_assets.runs.node import Actor, Mailbox, Setup
from paris_assets.runs.task_report import TaskReport
from paris_assets.runs.version import version_here
from paris_assets.runs.workers import NoWorker
from paris_assets.settings.ray import ActorNeeds

LOOK_S = 2.0
"""How long nothing may be said before workers that are on their way are looked after."""


@dataclass(eq=False)
class _Actor:
    """An actor, the call that it is to answer, and how much it has said since.

    Attributes:
        ended: what the call gave, until all that was said before it has arrived.
    """

    number: int
    handle: Any
    call: Any
    task: Task | None = None
    heard: int = 0
    ended: tuple[TaskReport, int] | None = None


class Actors:
    """Actors of a cluster, with the cores and GPUs that their assets need.

    Args:
        setup: what an actor is told.
        invocation: what the runs of one command have in common.
    """

    def __init__(self, cluster: Cluster, catalog: Catalog, setup: Setup, invocation: str) -> None:
        from ray.util.scheduling_strategies import NodeAffinitySchedulingStrategy

        self._cluster, self._ray, self._invocation, self._open = cluster, cluster.ray, invocation, ExitStack()
        coordinator = self._open.enter_context(coordinated(self._ray.util.get_node_ip_address()))
        self._setup = replace(setup, environment={**setup.environment, COORDINATOR: coordinator})
        self.tries = catalog.profile.ray.tries
        self._needs = asset_needs(catalog, cluster.nodes())
        self._version, self._count = version_here(), 0
        here = NodeAffinitySchedulingStrategy(self._ray.get_runtime_context().get_node_id(), soft=False)
        self._mailbox = self._ray.remote(num_cpus=0, scheduling_strategy=here)(Mailbox).remote()
        self._letters = self._mailbox.take.remote()
        self._running: dict[int, _Actor] = {}

    def parts(self, task: Task) -> list[tuple[Needs, Task]]:
        """Assets that follow each other and need the same."""
        return parts_by_need(task, self._needs)

    def most(self, needs: Needs) -> int:
        """As many as all nodes have room for."""
        return max(1, sum(node.room(needs) for node in self._cluster.nodes()))

    def start(self, needs: Needs) -> tuple[_Actor, bool]:
        """A new actor, on whichever node has room for it."""
        self._count += 1
        variables = {**child_environment(), "OMP_NUM_THREADS": str(needs.cpus)}
        wanted: dict[str, Any] = {"num_cpus": needs.cpus, "num_gpus": needs.gpus, "max_restarts": 0}
        if needs.memory_gib:
            wanted["memory"] = int(needs.memory_gib * 2**30)
        actor = self._ray.remote(**wanted, runtime_env={"env_vars": variables})(Actor)
        handle = actor.remote(self._setup, self._version, self._invocation, self._count, self._mailbox)
        self._running[self._count] = _Actor(self._count, handle, handle.ready.remote())
        return self._running[self._count], False

    def send(self, place: Any, task: Task) -> None:
        """Hand a task out."""
        place.task, place.heard, place.call = task, 0, place.handle.run.remote(task)

    def wait(self, places: list[Any]) -> Iterator[tuple[Any, Message]]:
        """What actors say, and what they have ended with."""
        calls = {place.call: place for place in places if place.call is not None}
        if not self._ray.wait([self._letters, *calls], num_returns=1, timeout=LOOK_S)[0]:
            return
        done, _ = self._ray.wait([self._letters, *calls], num_returns=1 + len(calls), timeout=0)
        if self._letters in done:
            yield from self._read()
        for call in done:
            if call in calls:
                yield from self._answered(calls[call])
        for place in places:
            if place.ended is not None and place.heard >= place.ended[1]:
                report, place.ended = place.ended[0], None
                yield place, report

    def stop(self, place: Any) -> None:
        """End an actor that has no task."""
        self._running.pop(place.number, None)
        self._ray.kill(place.handle)

    def close(self, at_work: bool) -> None:
        """End all actors. None has anything to put in order: a task leaves a partition whole or as it was."""
        for place in list(self._running.values()):
            self.stop(place)
        self._ray.kill(self._mailbox)
        self._open.close()

    def _read(self) -> Iterable[tuple[_Actor, Message]]:
        try:
            letters = self._ray.get(self._letters)
        except self._ray.exceptions.RayError as error:
            raise NoWorker(f"the cluster is lost ({cause(error)}): see that it is there, then run again") from error
        self._letters = self._mailbox.take.remote()
        for number, message in letters:
            place = self._running.get(number)
            if place is not None:
                place.heard += 1
                if message is not None:
                    yield place, message

    def _answered(self, place: _Actor) -> Iterable[tuple[_Actor, Message]]:
        call, place.call = place.call, None
        try:
            answer = self._ray.get(call)
        except self._ray.exceptions.RayTaskError as error:
            assert place.task is not None
            yield place, TaskReport(place.task, failures={place.task.assets[0]: cause(error)})
        except self._ray.exceptions.RayError as error:
            self.stop(place)  # it may be out of reach only, and must not go on
            yield place, Died(f"the worker died ({cause(error)})", begun=place.heard > 0)
        else:
            if answer is None:
                yield place, Started()
            else:
                place.ended = answer


def asset_needs(catalog: Catalog, nodes: list[Node]) -> dict[str, Needs]:
    """What the actor of every asset takes, by the profile and what the nodes have."""
    return {name: _needs(catalog.profile, spec, nodes) for name, spec in catalog.graph.items()}


def _needs(profile: Profile, spec: TableSpec, nodes: list[Node]) -> Needs:
    own = profile.ray.assets.get(spec.name, ActorNeeds())
    gpus = own.gpus if own.gpus is not None else float(runs_on_cuda(profile, spec))
    fitting = [node.cpus for node in nodes if node.gpus >= gpus]
    return Needs(own.cpus or min([profile.ray.cpus, *fitting]), gpus, own.memory_gib or 0.0)

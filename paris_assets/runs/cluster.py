"""A Ray cluster that `paris run --ray` works on: the way in, its nodes, and questions to them."""

from __future__ import annotations

import os
import re
import signal
import socket
import time
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager, redirect_stdout
from dataclasses import dataclass
from typing import Any

from paris_assets.errors import UsageError
from paris_assets.process import child_environment
from paris_assets.runs.host import Needs

NAMED = "RAY_ADDRESS"
CONNECT_S, ANSWER_S, LEFT_S = 5.0, 180.0, 30.0
"""For a head to accept a connection, for a node to start a process and answer, and for the head to know of its end."""
HOW = "`ray start --head` starts one, `ray status` shows it"


@dataclass(frozen=True)
class Node:
    """A node with cores to work on."""

    id: str
    address: str
    cpus: int
    gpus: float
    memory_gib: float

    def room(self, needs: Needs) -> int:
        """How many workers with these needs it holds."""
        wanted = ((needs.cpus, self.cpus), (needs.gpus, self.gpus), (needs.memory_gib, self.memory_gib))
        return min(int(there / each) for each, there in wanted if each)


class Cluster:
    """The cluster at an address; one at a time in a process."""

    def __init__(self, address: str) -> None:
        """Connect.

        Args:
            address: ``auto`` (RAY_ADDRESS, else the cluster that this machine is part of) or HOST:PORT of the head.

        Raises:
            UsageError: Ray is not installed, or there is no cluster that this process can work with.
        """
        self.ray, self.address = _ray(), address
        _require_head(address)
        handler = signal.getsignal(signal.SIGTERM)
        try:
            self.ray.init(address=address, log_to_driver=False, logging_level="ERROR", include_dashboard=False)
        except (ConnectionError, RuntimeError, ValueError) as error:
            said = re.sub(r"\s+", " ", str(error)).strip()
            if "any running Ray" in said:
                said = "no cluster runs on this machine, and RAY_ADDRESS names none"
            raise UsageError(f"--ray {address}: {said}; {HOW}, and it has to include this machine") from error
        finally:
            signal.signal(signal.SIGTERM, handler)  # Ray puts its own in the place of ours

    def nodes(self) -> list[Node]:
        """Those that are alive and have cores."""
        found = []
        for node in self.ray.nodes():
            has = node["Resources"] if node["Alive"] else {}
            cpus, gpus, memory = (has.get(name, 0) for name in ("CPU", "GPU", "memory"))
            if cpus >= 1:
                found.append(Node(node["NodeID"], node["NodeManagerAddress"], int(cpus), gpus, memory / 2**30))
        return found

    def ask(self, nodes: Mapping[Node, tuple[Any, ...]], function: Callable[..., Any]) -> dict[Node, Any]:
        """What a function of this package answers on nodes, asked at the same time.

        Args:
            nodes: node -> arguments. One that has left the cluster meanwhile is left out.

        Raises:
            UsageError: a node cannot answer; the message names it.
        """
        from ray.util.scheduling_strategies import NodeAffinitySchedulingStrategy

        asked = {}
        for node, arguments in nodes.items():
            there = NodeAffinitySchedulingStrategy(node.id, soft=False)
            gpus = 0.01 if node.gpus else 0  # without any it would see none
            remote = self.ray.remote(num_cpus=0, num_gpus=gpus, max_retries=0, scheduling_strategy=there)(function)
            asked[node] = remote.options(runtime_env={"env_vars": child_environment()}).remote(*arguments)
        self.ray.wait(list(asked.values()), num_returns=len(asked), timeout=ANSWER_S)
        answers = ((node, self._answer(node, ref)) for node, ref in asked.items())
        return {node: found[0] for node, found in answers if found}

    def _answer(self, node: Node, ref: Any) -> list[Any]:
        """One answer, or none of a node that has left the cluster."""
        try:
            return [self.ray.get(ref, timeout=0)]
        except self.ray.exceptions.GetTimeoutError:
            said = f"it has not answered within {ANSWER_S:.0f} s: perhaps its GPUs are taken"
        except (self.ray.exceptions.RayError, ImportError) as error:
            if not isinstance(error, self.ray.exceptions.RayTaskError | ImportError) and self._has_left(node):
                return []
            said = cause(error)
        raise UsageError(f"--ray: node {node.address} cannot be used: {said}")

    def _has_left(self, node: Node) -> bool:
        """Whether the head, which takes a while to know of a node that is gone, lists one no longer."""
        until = time.monotonic() + LEFT_S
        while node.id in {each.id for each in self.nodes()}:
            if time.monotonic() > until:
                return False
            time.sleep(0.5)
        return True

    def close(self) -> None:
        """Leave the cluster, which ends what this process started there."""
        self.ray.shutdown()


@contextmanager
def connected(address: str | None) -> Iterator[Cluster | None]:
    """The cluster of a command, or None where it asks for none."""
    if address is None:
        yield None
        return
    # Ray prints what befalls its nodes, in lines by the dozen; a run says in its own place what that comes to.
    with open(os.devnull, "w") as nowhere, redirect_stdout(nowhere):
        cluster = Cluster(address)
        try:
            yield cluster
        finally:
            cluster.close()


def cause(error: BaseException) -> str:
    """What happened on a node, in a line."""
    text = str(getattr(error, "cause", None) or error).strip()
    if "No module named 'paris_assets" in text:
        return "paris_assets is not installed there, or not for the Python that Ray was started with"
    lines = [line.strip() for line in text.splitlines() if line.strip()]
    raised = re.match(r"[\w.]+(?:Error|Exception): (.+)", lines[-1]) if lines else None  # at the end of a traceback
    return raised[1] if raised and len(lines) > 1 else " ".join(lines)[:500]


def _ray() -> Any:
    try:
        import ray
        import ray.exceptions
    except ImportError as error:
        raise UsageError("--ray needs Ray: pip install 'paris_assets[ray]'") from error
    return ray


def _require_head(address: str) -> None:
    """Whether anything listens at an address; Ray itself tries for a minute, and then kills the process."""
    said = f"--ray {address}"
    if address == "auto":
        address = os.environ.get(NAMED, "auto")  # as Ray does
        said += f", {NAMED}={address}"
        if address in ("", "auto"):
            return
    host, _, port = address.rpartition(":")
    if "://" in address or not host or not port.isdigit() or not 0 < int(port) < 1 << 16:
        raise UsageError(
            f"{said}: give `auto` or HOST:PORT of the head, such as 10.0.0.1:6379, as `ray start` prints it"
        )
    try:
        socket.create_connection((host.strip("[]"), int(port)), CONNECT_S).close()
    except OSError as error:
        raise UsageError(f"{said}: nobody answers there ({error.strerror or error}); {HOW}") from error

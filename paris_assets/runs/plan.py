"""What has to be made: waves of the asset graph, and the stale partitions of each."""

from __future__ import annotations

from dataclasses import dataclass
from graphlib import TopologicalSorter

from paris_assets.storage.fingerprint import Graph
from paris_assets.storage.records import ALL
from paris_assets.storage.store import Store


@dataclass(frozen=True)
class Wave:
    """Consecutive assets of one kind: all partitioned by shard, or all unpartitioned."""

    number: int
    partitioned: bool
    assets: tuple[str, ...]


@dataclass(frozen=True)
class Task:
    """One Dagster run: one shard (or ``all``) and the assets of a wave that may be stale there, in order."""

    shard: str
    assets: tuple[str, ...]
    forced: tuple[str, ...] = ()


def order(graph: Graph) -> list[str]:
    """Asset names, inputs before what reads them."""
    return list(TopologicalSorter({name: node.inputs for name, node in sorted(graph.items())}).static_order())


def waves(graph: Graph) -> list[Wave]:
    """Cut the graph where partitioned and unpartitioned assets meet: maximal chains, derived and never listed."""
    number: dict[str, int] = {}
    names = order(graph)
    for name in names:
        node = graph[name]
        first = 0 if node.partitioned else 1
        after = [number[up] + (graph[up].partitioned != node.partitioned) for up in node.inputs]
        number[name] = max([first, *after])
    return [
        Wave(wave, wave % 2 == 0, tuple(name for name in names if number[name] == wave))
        for wave in sorted(set(number.values()))
    ]


def descendants(graph: Graph, asset: str) -> set[str]:
    """The asset and everything that is made from it."""
    found = {asset}
    for name in order(graph):
        if found & set(graph[name].inputs):
            found.add(name)
    return found


def ancestors(graph: Graph, asset: str) -> set[str]:
    """Everything that the asset is made from."""
    found: set[str] = set()
    waiting = list(graph[asset].inputs)
    while waiting:
        name = waiting.pop()
        if name not in found:
            found.add(name)
            waiting.extend(graph[name].inputs)
    return found


def stale(store: Store, wave: Wave, shard: str, selected: set[str], forced: set[str]) -> Task | None:
    """The assets of a wave that may have to be made for a shard, or None.

    An asset behind a stale one is included: whether it really changes shows only when its input is there, and it is
    then left alone if the input's content did not change.
    """
    suspects: list[str] = []
    for name in wave.assets:
        if name not in selected:
            continue
        behind = any(up in suspects for up in store.graph[name].inputs)
        if name in forced or behind or not store.done(name, shard):
            suspects.append(name)
    return Task(shard, tuple(suspects), tuple(sorted(forced & set(suspects)))) if suspects else None


def wave_tasks(store: Store, wave: Wave, shards: list[str], selected: set[str], forced: set[str]) -> list[Task]:
    """The tasks of one wave, shards in order; unpartitioned waves have at most one."""
    keys = shards if wave.partitioned else [ALL]
    tasks = (stale(store, wave, key, selected, forced) for key in keys)
    return [task for task in tasks if task]

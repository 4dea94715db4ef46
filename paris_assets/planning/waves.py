"""What has to be made: waves of the asset graph, and the stale partitions of each."""

from __future__ import annotations

from collections.abc import Callable, Collection, Iterable, Mapping
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from functools import cache

from paris_assets.dag.catalog import Catalog
from paris_assets.dag.graph import Graph, ancestors, order
from paris_assets.dag.records import ALL

Done = Callable[[str, str], bool]
REQUESTS_IN_FLIGHT = 32


@dataclass(frozen=True)
class Wave:
    """Consecutive assets of one kind: all partitioned by shard, or all unpartitioned."""

    number: int
    partitioned: bool
    assets: tuple[str, ...]


@dataclass(frozen=True)
class Task:
    """One Dagster run: one shard (or ``all``) and the assets of a wave that may be stale there, in order.

    Attributes:
        forced: those that are made even if they are done.
        retried: those that try again what failed, and keep the rest.
    """

    shard: str
    assets: tuple[str, ...]
    forced: tuple[str, ...] = ()
    retried: tuple[str, ...] = ()

    def only(self, assets: Collection[str]) -> Task | None:
        """The part of the task that makes these assets, or None where it makes none of them."""
        made, forced, retried = (
            tuple(name for name in names if name in assets) for names in (self.assets, self.forced, self.retried)
        )
        return Task(self.shard, made, forced, retried) if made else None


@dataclass(frozen=True)
class Again:
    """What is made though it is done.

    Attributes:
        forced: assets.
        retried: (asset, shard) of what tries again what failed.
    """

    forced: frozenset[str] = frozenset()
    retried: frozenset[tuple[str, str]] = frozenset()


def waves(graph: Graph) -> list[Wave]:
    """Cut the graph where partitioned and unpartitioned assets meet: maximal chains, derived and never listed."""
    number: dict[str, int] = {}
    names = order(graph)
    for name in names:
        spec = graph[name]
        first = 0 if spec.partitioned else 1
        after = [number[up] + (graph[up].partitioned != spec.partitioned) for up in spec.inputs]
        number[name] = max([first, *after])
    return [
        Wave(wave, wave % 2 == 0, tuple(name for name in names if number[name] == wave))
        for wave in sorted(set(number.values()))
    ]


def what_is_done(catalog: Catalog, shards: Iterable[str]) -> Done:
    """(asset, shard) -> whether the partition is finished, as it stands now: each is looked at once.

    On a remote root the partitions of ``shards`` are asked for many at a time.
    """
    catalog.refresh()
    found: dict[tuple[str, str], bool] = {}

    def done(asset: str, shard: str) -> bool:
        if (asset, shard) not in found:
            found[asset, shard] = catalog.done(asset, shard)
        return found[asset, shard]

    if catalog.location.remote:
        keys = list(shards)
        pairs = [(name, key) for name, spec in catalog.graph.items() for key in (keys if spec.partitioned else [ALL])]
        with ThreadPoolExecutor(REQUESTS_IN_FLIGHT) as threads:
            found.update(zip(pairs, threads.map(lambda pair: catalog.done(*pair), pairs), strict=True))
    return done


def stale(graph: Graph, wave: Wave, shard: str, selected: set[str], again: Again, done: Done) -> Task | None:
    """The assets of a wave that may have to be made for a shard, or None.

    An asset behind a stale one is included: whether it really changes shows only when its input is there, and it is
    then left alone if the input's content did not change.
    """
    suspects: list[str] = []
    for name in wave.assets:
        if name not in selected:
            continue
        behind = any(up in suspects for up in graph[name].inputs)
        asked = name in again.forced or (name, shard) in again.retried
        if asked or behind or not done(name, shard):
            suspects.append(name)
    forced = tuple(name for name in suspects if name in again.forced)
    retried = tuple(name for name in suspects if (name, shard) in again.retried)
    return Task(shard, tuple(suspects), forced, retried) if suspects else None


def wave_tasks(graph: Graph, wave: Wave, shards: list[str], selected: set[str], again: Again, done: Done) -> list[Task]:
    """The tasks of one wave, shards in order; unpartitioned waves have at most one."""
    keys = shards if wave.partitioned else [ALL]
    tasks = (stale(graph, wave, key, selected, again, done) for key in keys)
    return [task for task in tasks if task]


def ready_part(catalog: Catalog, task: Task, done: Done, blocked: dict[str, dict[str, list[str]]]) -> Task | None:
    """The part of a task whose inputs are there; what is left out is added to ``blocked``, with its missing inputs."""
    ready: list[str] = []
    for asset in task.assets:
        missing = missing_inputs(catalog, asset, task.shard, set(ready), done)
        if missing:
            blocked.setdefault(asset, {})[task.shard] = missing
        else:
            ready.append(asset)
    return task.only(ready)


def missing_inputs(catalog: Catalog, asset: str, shard: str, coming: set[str], done: Done) -> list[str]:
    """Partitions that an asset has to wait for: absent, or made under other settings.

    A global asset speaks for the whole set, so all its ancestors count, for every shard; where the profile allows
    missing shards, one has to be there. A shard waits for its own inputs. The same task makes those in ``coming``.
    """
    spec, missing = catalog.graph[asset], []
    names = spec.inputs if spec.partitioned else sorted(ancestors(catalog.graph, asset))
    for name in names:
        if name in coming:
            continue
        upstream = catalog.graph[name]
        keys = [ALL] if not upstream.partitioned else [shard] if spec.partitioned else catalog.shards()
        stale = [f"{name}/{key}" for key in keys if not done(name, key)]
        if stale and not (catalog.profile.allow_missing_shards and len(stale) < len(keys)):
            missing += stale
    return missing


def blocked_lines(blocked: Mapping[str, Mapping[str, list[str]]]) -> list[str]:
    """One line for each cause, with all assets that cannot be made for it.

    What is missing only because something else is names no cause: what could be made and is missing does.

    Args:
        blocked: asset -> shard -> inputs that are missing or out of date.
    """
    waits_for = {f"{asset}/{shard}": names for asset, shards in blocked.items() for shard, names in shards.items()}

    @cache
    def causes(name: str) -> frozenset[str]:
        return frozenset().union(*map(causes, waits_for[name])) if name in waits_for else frozenset({name})

    by_cause: dict[tuple[str, ...], list[str]] = {}
    for asset, shards in blocked.items():
        where = "" if list(shards) == [ALL] else f" [{some(list(shards))}]"
        found = frozenset[str]().union(*(causes(f"{asset}/{shard}") for shard in shards))
        by_cause.setdefault(tuple(sorted(found)), []).append(f"{asset}{where}")
    return [f"{', '.join(assets)}: {some(list(cause))} missing or out of date" for cause, assets in by_cause.items()]


def some(names: list[str], most: int = 4) -> str:
    """The first names, and how many more there are."""
    more = f" and {len(names) - most} more" if len(names) > most else ""
    return ", ".join(names[:most]) + more

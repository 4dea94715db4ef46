"""What automation makes next: what `paris run` would make, wave by wave, except that nothing is fitted again.

Commit records decide here as they do there. Dagster's automation conditions see that a global asset is new, but not
which shards' part of it has changed: they would make every shard again, or leave shards that changed as they are.
Over 10,000 shards one evaluation of them took 79 s of processor time; a look of this takes 5 s (`bench_instance`).
"""

from __future__ import annotations

import hashlib
import json
from collections import defaultdict
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field, replace

from paris_assets.dag.catalog import Catalog
from paris_assets.dag.fingerprint import fingerprint
from paris_assets.dag.graph import Graph
from paris_assets.planning.waves import (
    Again,
    Done,
    Task,
    blocked_lines,
    ready_part,
    some,
    wave_tasks,
    waves,
    what_is_done,
)

Partition = tuple[str, str]
MOST_OPEN = 100
"""Tasks that were asked for and are not made. When so many have failed, more of the same would not help."""


@dataclass(frozen=True)
class Attempt:
    """A task that was asked for. If it is not made, it is not asked for again before its inputs or settings change.

    Attributes:
        state: what its rows depend on, as it was then.
    """

    shard: str
    assets: tuple[str, ...]
    state: str


@dataclass
class Outlook:
    """What comes next.

    Attributes:
        requests: tasks to be started now.
        running: tasks that have a run already.
        failed: tasks that were asked for, have no run any more and are not made.
        blocked: asset -> shard -> inputs that are missing or out of date.
        attempts: what to hand in the next time.
    """

    requests: list[Task] = field(default_factory=list)
    running: list[Task] = field(default_factory=list)
    failed: list[Task] = field(default_factory=list)
    blocked: dict[str, dict[str, list[str]]] = field(default_factory=dict)
    attempts: list[Attempt] = field(default_factory=list)

    def in_words(self) -> str:
        """What goes on, or why nothing does."""
        if self.requests or self.running:
            return f"under way: {some([_name(task) for task in (*self.running, *self.requests)])}"
        if not self.failed and not self.blocked:
            return "every partition is up to date"
        said = [f"not made: {line}" for line in blocked_lines(self.blocked)]
        if self.failed:
            names = some([_name(task) for task in self.failed])
            said.insert(0, f"failed, and not tried again while nothing changes: {names} (re-execute its run to retry)")
        return "; ".join(said)


def look_ahead(catalog: Catalog, running: set[Partition], attempts: Iterable[Attempt]) -> Outlook:
    """The tasks of the first wave that has any. A failed one holds up only what needs it.

    Args:
        running: (asset, shard) of runs that have not ended, asked for before this call.
        attempts: those of the last outlook.
    """
    catalog.refresh()
    graph, shards = _without_fits(catalog), catalog.shards()
    done = what_is_done(catalog, shards)
    outlook = Outlook(attempts=[attempt for attempt in attempts if _open(catalog, attempt, done)])
    tried: dict[str, list[set[str]]] = defaultdict(list)
    for attempt in outlook.attempts:
        tried[attempt.shard].append(set(attempt.assets))
    for wave in waves(graph):
        for task in wave_tasks(graph, wave, shards, set(graph), Again(), done):
            if any((asset, task.shard) in running for asset in task.assets):
                outlook.running.append(task)
                continue
            ready = ready_part(catalog, task, done, outlook.blocked)
            if ready is None:
                continue
            if any(assets.issuperset(ready.assets) for assets in tried[ready.shard]):
                outlook.failed.append(ready)
            elif len(outlook.attempts) < MOST_OPEN:
                outlook.requests.append(ready)
                outlook.attempts.append(Attempt(ready.shard, ready.assets, _state(catalog, ready.shard, ready.assets)))
        if outlook.requests or outlook.running:
            break
    return outlook


def _without_fits(catalog: Catalog) -> Graph:
    """The graph as if what is fitted once (the cluster model) were given, where it has been made."""
    fitted = {name for name, spec in catalog.graph.items() if spec.refit_on_settings_only and catalog.record(name)}
    return {
        name: replace(spec, inputs=tuple(up for up in spec.inputs if up not in fitted))
        for name, spec in catalog.graph.items()
        if name not in fitted
    }


def _open(catalog: Catalog, attempt: Attempt, done: Done) -> bool:
    """Whether an attempt has not led to what was asked for, and would still be the same."""
    if not catalog.graph.keys() >= set(attempt.assets) or all(done(asset, attempt.shard) for asset in attempt.assets):
        return False
    return attempt.state == _state(catalog, attempt.shard, attempt.assets)


def _state(catalog: Catalog, shard: str, assets: tuple[str, ...]) -> str:
    """Hash of the settings of all assets and of the inputs that come from elsewhere: what their run does not change."""
    first = [asset for asset in assets if not set(catalog.graph[asset].inputs) & set(assets)]
    parts: Mapping[str, list[str | None]] = {
        "inputs": [catalog.wanted(asset, shard) for asset in first],
        "others": [_others(catalog, asset, shard, assets) for asset in assets if asset not in first],
        "settings": [catalog.own_fingerprint(asset) for asset in assets],
    }
    return hashlib.sha256(json.dumps(parts).encode()).hexdigest()


def _others(catalog: Catalog, asset: str, shard: str, assets: tuple[str, ...]) -> str | None:
    """Hash of an asset's inputs that its task does not make."""
    spec = catalog.graph[asset]
    others = replace(spec, inputs=tuple(name for name in spec.inputs if name not in assets))
    shards = [] if spec.partitioned else catalog.shards()
    missing = catalog.profile.allow_missing_shards
    return fingerprint(
        others,
        catalog.graph,
        catalog.own_fingerprint,
        catalog.own_fingerprint,
        shard,
        shards,
        catalog.record,
        some_missing=missing,
    )


def _name(task: Task) -> str:
    return f"{task.assets[0]}{' and what follows' if len(task.assets) > 1 else ''} [{task.shard}]"

"""`paris run`: bring every selected partition up to date, wave by wave."""

from __future__ import annotations

import time
import warnings
from collections.abc import Iterable
from dataclasses import dataclass, field

import dagster as dg
import polars as pl

from paris_assets.dag.catalog import Catalog
from paris_assets.dag.graph import descendants
from paris_assets.definitions import build_definitions
from paris_assets.errors import MissingInput, UsageError, UserError, did_you_mean
from paris_assets.ingest.fetched import is_asked_again
from paris_assets.planning.waves import Again, Task, Wave, ready_part, wave_tasks, waves, what_is_done
from paris_assets.runs.crew import Hire, local_crew
from paris_assets.runs.execution import new_invocation
from paris_assets.runs.progress import RunProgress
from paris_assets.runs.rejections import nothing_left
from paris_assets.runs.task_report import TaskReport
from paris_assets.runs.times import keep_times


@dataclass(frozen=True)
class Request:
    """What the command line asks for.

    Attributes:
        ray: the address of a Ray cluster that does the work.
        retry: ask again for images that failed for a reason that passes.
    """

    select: tuple[str, ...] = ()
    start: str | None = None
    shards: tuple[str, ...] = ()
    workers: int = 1
    ray: str | None = None
    force: bool = False
    retry: bool = False


@dataclass
class RunReport:
    """What a run did."""

    tasks: list[TaskReport] = field(default_factory=list)
    wall_s: float = 0.0
    blocked: dict[str, dict[str, list[str]]] = field(default_factory=dict)
    """Partitions that could not be made: asset -> shard -> the inputs that are missing or out of date."""

    @property
    def failed(self) -> bool:
        """Whether any partition could not be made."""
        return bool(self.blocked) or any(task.failures for task in self.tasks)


class UnknownName(UserError, ValueError):
    """An asset or shard that does not exist; the message lists what does."""


def _unknown(option: str, name: str, assets: set[str]) -> UnknownName:
    known = sorted(assets)
    return UnknownName(f"{option}: no asset {name!r}{did_you_mean(name, known)}; assets: {', '.join(known)}")


def selected_assets(catalog: Catalog, request: Request) -> tuple[set[str], set[str]]:
    """(assets to bring up to date, assets to make even if they are done).

    Raises:
        UnknownName: an asset that does not exist.
    """
    names = set(catalog.graph)
    chosen = resolve_selection(request.select, catalog) if request.select else set(names)
    forced: set[str] = set(chosen) if request.force else set()
    if request.start:
        if request.start not in names:
            raise _unknown("--from", request.start, names)
        chosen &= descendants(catalog.graph, request.start)
        forced |= chosen
    return chosen, forced


def _no_match(text: str, catalog: Catalog) -> UnknownName:
    """A selection that is well formed and matches nothing."""
    names = sorted(catalog.graph)
    assets = build_definitions(catalog).resolve_asset_graph()
    groups = sorted({assets.get(key).group_name for key in assets.get_all_asset_keys()})
    kind, _, name = text.partition(":")
    meant = did_you_mean(name, groups) if kind == "group" else did_you_mean(text, names)
    known = f"groups: {', '.join(groups)}; assets: {', '.join(names)}"
    return UnknownName(f"--select {text!r} matches no asset{meant}; {known}")


def resolve_selection(select: tuple[str, ...], catalog: Catalog) -> set[str]:
    """Asset names, or Dagster's selection syntax (``group:curation``, ``latents+``), as a set of names."""
    chosen, names = set[str](), set(catalog.graph)
    for text in select:
        if text in names:
            chosen.add(text)
            continue
        assets = build_definitions(catalog).assets or []
        try:
            with warnings.catch_warnings():
                # `group:x` is published syntax; Dagster's own code for it uses a parameter that it calls beta.
                warnings.simplefilter("ignore", dg.BetaWarning)
                keys = dg.AssetSelection.from_string(text).resolve(assets)  # type: ignore[arg-type]
        except (dg.DagsterError, ValueError) as error:
            raise _unknown("--select", text, names) from error
        if not keys:
            raise _no_match(text, catalog)
        chosen |= {key.to_user_string() for key in keys}
    return chosen


def selected_shards(registry: pl.DataFrame, request: Request) -> list[str]:
    """Shards whose waves run; all registered ones unless `--shards` names some.

    Raises:
        UnknownName: a shard that is not registered.
    """
    shards = registry["shard"].to_list()
    wanted = set(request.shards)
    unknown = sorted(wanted - set(shards))
    if unknown:
        raise UnknownName(f"--shards: no shard {', '.join(unknown)}; registered are {shards[0]} to {shards[-1]}")
    return [shard for shard in shards if not wanted or shard in wanted]


def require_enough_rows(catalog: Catalog, request: Request, registry: pl.DataFrame) -> None:
    """Whether the source can fill as many clusters as are asked for.

    Raises:
        UsageError: it has fewer rows.
    """
    k, rows = catalog.profile.clusters.k, int(registry["rows"].sum())
    if rows < k and "cluster_model" in selected_assets(catalog, request)[0]:
        raise UsageError(f"clusters.k is {k}, but the source has only {rows} rows: --set clusters.k={rows} or less")


def _registry(catalog: Catalog) -> pl.DataFrame:
    registry = catalog.registry()
    if registry is None:
        raise MissingInput(f"no shards are registered under {catalog.location.url}: `paris run` registers the source")
    return registry


def asked_again(catalog: Catalog, request: Request) -> Again:
    """What a request makes though it is done."""
    _, forced = selected_assets(catalog, request)
    shards = [shard for shard in selected_shards(_registry(catalog), request) if request.retry]
    failed = {shard: record.rejects for shard in shards if (record := catalog.record("raw_images", shard))}
    retried = [shard for shard, reasons in failed.items() if any(is_asked_again(reason) for reason in reasons)]
    return Again(frozenset(forced), frozenset(("raw_images", shard) for shard in retried))


def plan(catalog: Catalog, request: Request) -> list[tuple[Wave, list[Task]]]:
    """What would be made now, by wave; later waves may turn out smaller."""
    (chosen, _), again = selected_assets(catalog, request), asked_again(catalog, request)
    shards = selected_shards(_registry(catalog), request)
    done = what_is_done(catalog, catalog.shards())
    found = [(wave, wave_tasks(catalog.graph, wave, shards, chosen, again, done)) for wave in waves(catalog.graph)]
    return [(wave, tasks) for wave, tasks in found if tasks]


def partitions(tasks: Iterable[Task]) -> list[tuple[str, str]]:
    """(asset, shard) of all that tasks may make."""
    return [(asset, task.shard) for task in tasks for asset in task.assets]


def _keep_times(catalog: Catalog, report: RunReport, progress: RunProgress) -> None:
    """Also of a run that is stopped. No result depends on it, so nothing fails for it."""
    try:
        keep_times(catalog, report.tasks)
    except UserError as reason:
        progress.console.print(f"how long it took is not kept: {reason}", markup=False)


def run(
    catalog: Catalog,
    request: Request,
    progress: RunProgress,
    invocation: str | None = None,
    hire: Hire | None = None,
) -> RunReport:
    """Make what is stale. A failed shard does not stop the others; later waves leave out what then has no input, and
    are not begun where no image is left.

    Args:
        hire: gives who does the work; by default processes of this machine, as many as the request says.

    Raises:
        StorageError: a partition could not be made, and the root's store takes nothing: the others would fail as well.
    """
    report, start = RunReport(), time.monotonic()
    (chosen, _), again = selected_assets(catalog, request), asked_again(catalog, request)
    shards = selected_shards(_registry(catalog), request)
    crew = (hire or local_crew(request.workers))(catalog, progress, invocation or new_invocation())
    try:
        for wave in waves(catalog.graph):
            done = what_is_done(catalog, catalog.shards())
            tasks = wave_tasks(catalog.graph, wave, shards, chosen, again, done)
            if tasks and wave.number and nothing_left(catalog):
                break
            ready = [task for task in (ready_part(catalog, task, done, report.blocked) for task in tasks) if task]
            if not ready:
                continue
            progress.begin_wave(wave.assets, partitions(ready))
            for ended in crew.run(ready):
                report.tasks.append(ended)
                if ended.failures and catalog.location.remote:
                    catalog.location.probe()  # of a store that is broken one sentence is enough
                progress.end_task(ended.task.shard, partitions([ended.task]))
                for asset, cause in ended.failures.items():
                    progress.console.print(f"failed {asset} [{ended.task.shard}]: {cause}", style="red", markup=False)
    finally:
        crew.close()
        _keep_times(catalog, report, progress)
    report.wall_s = time.monotonic() - start
    return report

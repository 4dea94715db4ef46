"""What many shards cost around the work itself: planning, sensors, pages of Dagster's UI, a backfill, the databases.

Run: `python -m paris_assets_tests.benchmarks.bench_instance --shards 1000 10000 --storage sqlite postgres`

PostgreSQL is Debian's (`apt-get install postgresql`). The root holds records without rows, and the instance the events
that runs of its shards store (``large_root``). `own` is processor time of this process alone: code server and
PostgreSQL have their own. Of two looks at the same thing the first fills caches. Figures of the UI are of its own
queries, asked within this process.
"""

from __future__ import annotations

import argparse
import logging
import os
import resource
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any, TypeVar

import dagster as dg
import sqlalchemy as db
from dagster._core.workspace.context import WorkspaceProcessContext
from dagster._core.workspace.load_target import ModuleTarget
from dagster._daemon.backfill import execute_backfill_iteration
from dagster_graphql.test.utils import execute_dagster_graphql
from rich.console import Console

from paris_assets import sensors
from paris_assets.dag.catalog import Catalog
from paris_assets.definitions import build_definitions, open_catalog
from paris_assets.ingest.sources import register
from paris_assets.partitions import image_shards
from paris_assets.planning.registration import bind
from paris_assets.profiles import dump_profile
from paris_assets.runs.execution import new_invocation, open_instance
from paris_assets.runs.look import look_at_root
from paris_assets.runs.planned import print_plan
from paris_assets.runs.postgres import POSTGRES, keep_connections
from paris_assets.runs.progress import Estimate
from paris_assets.runs.run import Request
from paris_assets_tests.benchmarks.large_root import ROWS, carry, finish, grow, tell
from paris_assets_tests.benchmarks.ui_queries import BACKFILL, pages
from paris_assets_tests.fixtures import small_world
from paris_assets_tests.fixtures.ray_cluster import postgres, postgres_programs
from paris_assets_tests.runs.user_interface import LAUNCH_BACKFILL

ASSET = "filtered_images"
SMALL = 3  # shards of the real run
STATEMENT_MS, POOL_RECYCLE_S, MAX_OVERFLOW = 15_000, 3600, 20  # as `dagster-webserver` has them: it keeps connections
Given = TypeVar("Given")


def timed(what: str, look: Callable[[], Given]) -> Given:
    """Print how long a look takes."""
    wall, own = time.monotonic(), time.process_time()
    given = look()
    wall, own = time.monotonic() - wall, time.process_time() - own
    print(f"  {what:58} {wall:8.2f} {own:8.2f}", flush=True)
    return given


def small_run(folder: Path) -> Path:
    """A whole `paris run` of a few shards; its root."""
    profile, root = folder / "small.yaml", folder / "small"
    profile.write_text(dump_profile(small_world.profile(small_world.embedded(folder / "list.parquet", 20 * SMALL))))
    command = [sys.executable, "-m", "paris_assets.cli", "run", "--profile", str(profile), "--root", str(root)]
    subprocess.run(command, check=True, capture_output=True)
    return root


def large_root(folder: Path, shards: int) -> Catalog:
    """A finished root of so many shards without rows."""
    source, root = folder / "source", folder / "root"
    grow(source, shards, "a")
    catalog = open_catalog(str(root), small_world.profile(source, source__rows_per_shard=ROWS))
    registry = register(catalog.profile.source, catalog.registry(), catalog.location)
    timed("register", lambda: bind(catalog, registry, Console(quiet=True)))
    timed(f"(write records of {len(catalog.graph)} assets)", lambda: finish(catalog))
    return catalog


def database_mb(instance: dg.DagsterInstance) -> float:
    """Of runs and events together."""
    files = list(Path(instance.root_directory).glob("*.db"))
    if files:
        return sum(file.stat().st_size for file in files) / 1e6
    with instance.event_log_storage.index_connection() as connection:  # type: ignore[attr-defined]
        return connection.execute(db.text("SELECT pg_database_size(current_database())")).scalar_one() / 1e6


def plan(root: str) -> None:
    """Definitions and planning, as commands see them."""
    catalog = timed("open the root", lambda: open_catalog(root))
    timed("definitions", lambda: build_definitions(catalog))
    quiet = Console(quiet=True)
    timed("`paris run --dry-run`, first look of a process", lambda: print_plan(catalog, Request(), quiet))
    timed("again", lambda: print_plan(catalog, Request(), quiet))
    partitions = [(asset, shard) for asset in catalog.graph for shard in catalog.keys(asset)]
    timed("time left, told at 1,000 of the partitions of a run", lambda: _time_left(partitions))


def _time_left(partitions: list[tuple[str, str]]) -> None:
    estimate = Estimate({})
    estimate.expect(partitions)
    for asset, shard in partitions[:1000]:
        estimate.begin(asset, shard)
        estimate.end(asset, shard, made=True)
        str(estimate)


def automate(instance: dg.DagsterInstance, root: str, source: Path) -> None:
    """Looks of sensors, as the daemon's code server makes them."""
    loaded = open_catalog(root)

    def look(sensor: dg.SensorDefinition, what: str, cursor: str | None = None) -> str | None:
        context = dg.build_sensor_context(instance=instance, cursor=cursor, resources={"catalog": loaded})
        with context:
            found: Any = timed(f"sensor {sensor.name}, {what}", lambda: sensor(context))
        for request in found.dynamic_partitions_requests or []:
            instance.add_dynamic_partitions(str(image_shards.name), request.partition_keys)
        return found.cursor

    look(sensors.new_image_shards, "first look")
    look(sensors.new_image_shards, "nothing new")
    first = look(sensors.out_of_date_partitions, "first look of a process")
    look(sensors.out_of_date_partitions, "again")
    look(sensors.out_of_date_partitions, "nothing has changed", first)
    look(sensors.ended_runs, "runs have ended")
    grow(source, 1, "b")
    look(sensors.new_image_shards, "one new shard")
    look(sensors.out_of_date_partitions, "one new shard")


@contextmanager
def workspace(instance: dg.DagsterInstance, root: str) -> Iterator[WorkspaceProcessContext]:
    """The code server as the web server and the daemon have it."""
    os.environ["PARIS_ROOT"] = root
    target = ModuleTarget("paris_assets.definitions", None, os.getcwd(), None)
    with timed("start the code server", lambda: WorkspaceProcessContext(instance, target)) as opened:
        yield opened


def look_at_pages(opened: WorkspaceProcessContext, names: list[str]) -> None:
    """The UI's own queries, each by a request of its own, twice."""
    keys = [{"path": [name]} for name in names]
    for page, query, variables in pages(keys, ASSET):
        for again in ("", ", again"):
            _ask(opened, f"UI: {page}{again}", query, variables)


def _ask(opened: WorkspaceProcessContext, what: str, query: str, variables: dict[str, Any]) -> Any:
    with opened.create_request_context() as request:
        answer = timed(what, lambda: execute_dagster_graphql(request, query, variables))
    if answer.errors:
        raise RuntimeError(f"{what}: {answer.errors}")
    return answer.data


def backfill(opened: WorkspaceProcessContext, shards: list[str]) -> None:
    """A backfill of one asset, until the daemon has put all its runs into the queue."""
    chosen = {"assetSelection": [{"path": [ASSET]}], "partitionNames": shards, "tags": []}
    said = _ask(opened, f"launch a backfill of {len(shards):,} shards", LAUNCH_BACKFILL, {"params": chosen})
    number = said["launchPartitionBackfill"]["backfillId"]
    logger = logging.getLogger("backfill")
    timed("daemon: all its runs are in the queue", lambda: list(execute_backfill_iteration(opened, logger)))
    timed("daemon: one look while they run", lambda: list(execute_backfill_iteration(opened, logger)))
    queued = opened.instance.get_runs_count(dg.RunsFilter(statuses=[dg.DagsterRunStatus.QUEUED]))
    if queued != len(shards):
        raise RuntimeError(f"{queued} runs are in the queue: {opened.instance.get_backfill(number)}")
    _ask(opened, "UI: the backfill's page", BACKFILL, {"id": number})


@contextmanager
def database(storage: str) -> Iterator[str]:
    """The URL of an empty database; '' for SQLite."""
    programs = postgres_programs()
    if storage == "sqlite":
        yield ""
    elif programs is None:
        raise SystemExit("PostgreSQL is not installed: apt-get install postgresql")
    else:
        with postgres(programs) as url:
            yield url


def measure(shards: int, folder: Path, small: Path, backfilled: int) -> None:
    """All figures of one number of shards, in this process."""
    catalog = large_root(folder, shards)
    root = catalog.location.url
    with open_instance(catalog.location) as instance:
        carry(small, instance)
        runs, events = timed("(store what runs store)", lambda: tell(instance, catalog.shards()))
        size = database_mb(instance)
        print(f"  {runs} runs and {events} events a shard; {size:,.0f} MB, {1000 * size / shards:.0f} kB a shard")
        plan(root)
        with open_instance(catalog.location) as command:
            keep_connections(command)
            timed("what `paris run` and `paris dev` tell Dagster, first", lambda: _look(catalog, command))
            timed("again", lambda: _look(catalog, command))
        with open_instance(catalog.location) as shown:
            shown.optimize_for_webserver(STATEMENT_MS, POOL_RECYCLE_S, MAX_OVERFLOW)
            with workspace(shown, root) as opened:
                look_at_pages(opened, list(catalog.graph))
        with workspace(instance, root) as opened:
            automate(instance, root, folder / "source")
            if backfilled:
                backfill(opened, catalog.shards()[:backfilled])
    print(f"  this process {resource.getrusage(resource.RUSAGE_SELF).ru_maxrss >> 10} MiB")


def _look(catalog: Catalog, instance: dg.DagsterInstance) -> None:
    told = look_at_root(catalog, instance, new_invocation())
    if told[0]:
        raise RuntimeError(f"Dagster did not know {told[0]} partitions")


def main() -> None:
    """Measure each number of shards with each storage."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--shards", type=int, nargs="+", default=[1000, 10_000])
    parser.add_argument("--storage", nargs="+", choices=["sqlite", "postgres"], default=["sqlite", "postgres"])
    parser.add_argument("--small", type=Path, help="a finished root of small_world under SQLite, in place of a run")
    parser.add_argument("--backfill", type=int, default=1000, help="runs of a backfill; 0: none")
    given = parser.parse_args()
    with tempfile.TemporaryDirectory() as folder:
        small = given.small or small_run(Path(folder))
        for storage in given.storage:
            for shards in given.shards:
                with database(storage) as os.environ[POSTGRES], tempfile.TemporaryDirectory() as place:
                    print(f"{f'{shards:,} shards, {storage}':60} {'s':>8} {'own':>8}")
                    measure(shards, Path(place), small, given.backfill)


if __name__ == "__main__":
    main()

"""What `paris run` and `paris dev` do, with their words to the user."""

from __future__ import annotations

import os
import socket
import sys
import time
from contextlib import AbstractContextManager
from typing import NoReturn

import dagster as dg
from rich.console import Console
from sqlalchemy.exc import DBAPIError
from yaml import YAMLError

from paris_assets.config import Profile
from paris_assets.dag.catalog import Catalog
from paris_assets.dag.graph import descendants, order
from paris_assets.dag.s3 import open_location
from paris_assets.definitions import DEFAULT_ROOT, open_catalog
from paris_assets.errors import MissingInput, UsageError, UserError
from paris_assets.ingest.sources import register
from paris_assets.models.resolve import resolve_networks
from paris_assets.planning.home import dagster_home
from paris_assets.planning.profile_file import stored_profile
from paris_assets.planning.registration import bind, check_binding
from paris_assets.planning.run_lock import hold_root
from paris_assets.planning.waves import blocked_lines
from paris_assets.process import child_environment
from paris_assets.profiles import with_full_paths
from paris_assets.runs.doctor import absent_packages, missing_for
from paris_assets.runs.execution import end_killed_runs, new_invocation, open_instance
from paris_assets.runs.look import look_at_root
from paris_assets.runs.progress import RunProgress, open_console
from paris_assets.runs.run import Request, plan, run, selected_assets, selected_shards
from paris_assets.runs.summary import print_summary


def run_command(profile: Profile, url: str, request: Request, dry_run: bool) -> int:
    """Register the source and bring its partitions up to date; returns the exit status."""
    console, start = open_console(), time.monotonic()
    root, profile = open_location(url), with_full_paths(profile)
    if not absent_packages():  # without torch nobody knows what this machine computes in
        profile = resolve_networks(profile, stored_profile(root))
    missing = missing_for(profile)
    if missing:
        raise UsageError(f"profile {profile.name} cannot run here:\n" + "\n".join(f"  - {line}" for line in missing))
    check_binding(root, profile)
    catalog = open_catalog(root, profile)
    selected_assets(catalog, request)
    if dry_run:
        _print_plan(catalog, request, console)
        return 0
    before = stored_profile(root)
    with _alone(catalog, console):
        check_binding(root, profile)
        if stored_profile(root) not in (before, profile):
            raise UsageError(f"the settings of {root.url} were changed by the run that this one waited for: run again")
        return _bring_up_to_date(catalog, request, console, start)


def _alone(catalog: Catalog, console: Console) -> AbstractContextManager[None]:
    def waiting(holder: str) -> None:
        said = (
            f"another `paris run` ({holder}) works on {catalog.location.url}: waiting for it to end (Ctrl-C to give up)"
        )
        console.print(said, markup=False, soft_wrap=True)

    def lost(holder: str) -> None:
        said = f"stopping: {holder} has taken over {catalog.location.url}, which this run could not renew its lease on"
        console.print(said, markup=False, soft_wrap=True)

    return hold_root(catalog.location, dagster_home(catalog.location.url, catalog.location.remote), waiting, lost)


def _bring_up_to_date(catalog: Catalog, request: Request, console: Console, start: float) -> int:
    registry = register(catalog.profile.source, catalog.registry(), catalog.location)
    selected_shards(registry, request)
    k, rows = catalog.profile.clusters.k, int(registry["rows"].sum())
    if rows < k and "cluster_model" in selected_assets(catalog, request)[0]:
        raise UsageError(f"clusters.k is {k}, but the source has only {rows} rows: --set clusters.k={rows} or less")
    bind(catalog, registry, console)
    todo, invocation = plan(catalog, request), new_invocation()
    told, checked = _tell_dagster(catalog, invocation, at_end=not todo)
    _told(told, checked, console)
    if not todo:
        seconds = time.monotonic() - start
        said = f"nothing to do: every selected partition under {catalog.location.url} is up to date ({seconds:.1f} s)"
        console.print(said, markup=False, soft_wrap=True)
        return 0
    with RunProgress(console) as progress:
        report = run(catalog, request, progress, invocation)
    _look_at_end(catalog, invocation, console)
    print_summary(catalog, report, console)
    for line in blocked_lines(report.blocked):
        console.print(f"not made {line}", style="red", markup=False, soft_wrap=True)
    if report.failed:
        console.print("some partitions were not made; `paris run` tries them again", style="red")
    return 1 if report.failed else 0


def _tell_dagster(catalog: Catalog, invocation: str, at_end: bool, made: bool = False) -> tuple[int, int]:
    home = dagster_home(catalog.location.url, catalog.location.remote)
    try:
        instance = open_instance(catalog.location)
        end_killed_runs(instance)
        return look_at_root(catalog, instance, invocation, at_end, made)
    except (DBAPIError, YAMLError, dg.DagsterError) as error:
        cause = str(error.orig) if isinstance(error, DBAPIError) else str(error).partition("\n")[0]
        hint = "if it is damaged, delete it and run again; results do not depend on it"
        raise UsageError(f"Dagster's home {home} cannot be used ({cause}): {hint}") from error


def _look_at_end(catalog: Catalog, invocation: str, console: Console) -> None:
    try:
        _tell_dagster(catalog, invocation, at_end=True, made=True)
    except UserError as reason:  # what was made stays made; the next command, or a sensor, looks again
        console.print(f"Dagster does not show all of this yet: {reason}", markup=False, soft_wrap=True)


def _told(told: int, checked: int, console: Console) -> None:
    if told:
        console.print(f"told Dagster of {told} finished partitions that it did not know")
    if checked:
        console.print(f"made {checked} checks that were missing or had other bounds")


def _show_as_it_is(catalog: Catalog, console: Console) -> None:
    """Make Dagster know a root that was copied, made elsewhere, or whose home was deleted, before it is looked at."""

    def busy(holder: str) -> None:
        raise MissingInput(f"a `paris run` ({holder}) works on it, and tells Dagster itself")

    try:
        with hold_root(catalog.location, dagster_home(catalog.location.url, catalog.location.remote), busy, busy):
            _told(*_tell_dagster(catalog, new_invocation(), at_end=True), console)
    except UsageError:
        raise
    except UserError as reason:  # the page opens all the same, and its sensor looks again
        console.print(
            f"not all of {catalog.location.url} is shown as it is now: {reason}", markup=False, soft_wrap=True
        )


def _print_plan(catalog: Catalog, request: Request, console: Console) -> None:
    before, known = catalog.registry(), catalog.shards()
    registry = register(catalog.profile.source, before, catalog.location, write=False)
    selected_shards(registry, request)
    new = registry["shard"].to_list()[len(known) :]
    if new:
        console.print(f"would register {len(new)} shards: {', '.join(new[:12])}{' ...' if len(new) > 12 else ''}")
    if before is not None and not registry.head(before.height).equals(before):
        console.print("files of the source were written anew: their shards would be read again")
    todo = plan(catalog, request) if known else []
    if not todo and not new:
        console.print("nothing to do: every selected partition is up to date")
    for wave, tasks in todo:
        console.print(f"wave {wave.number}:")
        for asset in wave.assets:
            shards = [task.shard for task in tasks if asset in task.assets]
            if shards:
                console.print(f"  {asset}: {', '.join(shards[:12])}{' ...' if len(shards) > 12 else ''}")
    named = {asset for _, tasks in todo for task in tasks for asset in task.assets}
    after = set().union(*(descendants(catalog.graph, asset) for asset in named)) - named
    if after:
        console.print(f"then, where these change: {', '.join(name for name in order(catalog.graph) if name in after)}")


def open_ui(url: str, port: int) -> NoReturn:
    """Become `dagster dev` on a root's home: whoever stops this process stops it too.

    Raises:
        UsageError: the port cannot be used, or there is no run under the root, which only the default one may lack.
    """
    if not 0 < port < 1 << 16:
        raise UsageError(f"--port must be from 1 to {(1 << 16) - 1}, got {port}")
    with socket.socket() as probe:
        if probe.connect_ex(("127.0.0.1", port)) == 0:
            raise UsageError(f"port {port} is in use, perhaps by another `paris dev`: stop it or choose another --port")
    root = open_location(url)
    if stored_profile(root) is None and root.url != open_location(DEFAULT_ROOT).url:
        # Dagster would show every asset of the demo over a folder made for a slip of the pen.
        raise UsageError(f"there is no run under {root.url}: name another --root, or make one with `paris run`")
    catalog = open_catalog(root)
    _show_as_it_is(catalog, open_console())
    # The first look of a sensor at 10,000 shards, or each one at a remote root of that size, takes longer than 60 s.
    patience = {"DAGSTER_SENSOR_GRPC_TIMEOUT_SECONDS": "600"}
    environment = {**patience, **os.environ, **child_environment(), "PARIS_ROOT": catalog.location.url}
    dagster = [sys.executable, "-m", "dagster", "dev", "-m", "paris_assets.definitions", "--port", str(port)]
    os.execve(sys.executable, dagster, environment)

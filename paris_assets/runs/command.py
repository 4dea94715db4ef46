"""What `paris run` does, with its words to the user."""

from __future__ import annotations

import time
from contextlib import AbstractContextManager

import polars as pl

from paris_assets.config import Profile
from paris_assets.dag.catalog import Catalog
from paris_assets.dag.code_version import code_version
from paris_assets.dag.records import ALL
from paris_assets.dag.s3 import open_location
from paris_assets.definitions import open_catalog
from paris_assets.errors import UsageError, UserError
from paris_assets.ingest.first_look import require_face_boxes
from paris_assets.ingest.known_files import convert, readings
from paris_assets.ingest.sources import register
from paris_assets.models.resolve import resolve_networks
from paris_assets.planning.home import dagster_home
from paris_assets.planning.profile_file import stored_profile
from paris_assets.planning.registration import bind, check_binding, remove_lists
from paris_assets.planning.run_lock import hold_root
from paris_assets.planning.waves import Task, Wave, blocked_lines
from paris_assets.profiles import with_full_paths
from paris_assets.runs.cluster import Cluster, connected
from paris_assets.runs.cluster_check import checked_setup, resolved_there
from paris_assets.runs.crew import Hire, local_crew, ray_crew
from paris_assets.runs.doctor import absent_packages, missing_for
from paris_assets.runs.execution import new_invocation
from paris_assets.runs.host import refuse_numbered_gpus
from paris_assets.runs.look import tell_dagster
from paris_assets.runs.planned import print_plan, say_bare, say_idle_gpus, say_left_out
from paris_assets.runs.progress import RunConsole, RunProgress, open_console
from paris_assets.runs.rejections import nothing_left
from paris_assets.runs.run import (
    Request,
    RunReport,
    partitions,
    plan,
    require_enough_rows,
    run,
    selected_assets,
    selected_shards,
)
from paris_assets.runs.soundness import remove_empty_folders, unsound
from paris_assets.runs.summary import print_summary
from paris_assets.storage.address import refuse_unscannable
from paris_assets.storage.location import Location


def run_command(profile: Profile, url: str, request: Request, dry_run: bool, log_file: str | None = None) -> int:
    """Register the source and bring its partitions up to date; returns the exit status.

    Args:
        log_file: gets all that is said as well, and a line per shard.
    """
    console = open_console(log_file)
    try:
        return _checked_run(profile, url, request, dry_run, console)
    except UserError as error:
        if console.log_only is not None:
            console.log_only.print(f"paris: {error}", markup=False, soft_wrap=True)
        raise


def _checked_run(profile: Profile, url: str, request: Request, dry_run: bool, console: RunConsole) -> int:
    start = time.monotonic()
    root, profile = open_location(url), with_full_paths(profile)
    refuse_unscannable(root.url)
    with connected(request.ray) as cluster:
        return _run_there(root, profile, request, dry_run, console, start, cluster)


def _run_there(
    root: Location,
    profile: Profile,
    request: Request,
    dry_run: bool,
    console: RunConsole,
    start: float,
    cluster: Cluster | None,
) -> int:
    hire = None if dry_run or cluster else local_crew(request.workers)  # which comes up from here on
    profile, missing = _resolved(profile, stored_profile(root), cluster)
    if missing:
        raise UsageError(f"profile {profile.name} cannot run here:\n" + "\n".join(f"  - {line}" for line in missing))
    if cluster or request.workers > 1:
        refuse_numbered_gpus(profile)
    check_binding(root, profile)
    catalog = open_catalog(root, profile)
    selected_assets(catalog, request)
    if dry_run:
        print_plan(catalog, request, console)
        return 0
    hire = ray_crew(cluster, checked_setup(cluster, catalog)) if cluster else hire
    before = stored_profile(root)
    with alone(catalog, console):
        check_binding(root, profile)
        if stored_profile(root) not in (before, profile):
            raise UsageError(f"the settings of {root.url} were changed by the run that this one waited for: run again")
        return _bring_up_to_date(catalog, request, console, start, hire)


def _resolved(profile: Profile, stored: Profile | None, cluster: Cluster | None) -> tuple[Profile, list[str]]:
    """The profile as the machines that work compute it, and what it lacks there."""
    if cluster is not None:
        return resolved_there(cluster, profile, stored)
    if not absent_packages():  # without torch nobody knows what this machine computes in
        profile = resolve_networks(profile, stored)
    return profile, missing_for(profile)


def alone(catalog: Catalog, console: RunConsole) -> AbstractContextManager[None]:
    """Hold a root; another command that works on it is waited for."""

    def waiting(holder: str) -> None:
        said = (
            f"another `paris run` ({holder}) works on {catalog.location.url}: waiting for it to end (Ctrl-C to give up)"
        )
        console.print(said, markup=False, soft_wrap=True)

    def lost(holder: str) -> None:
        said = f"stopping: {holder} has taken over {catalog.location.url}, which this run could not renew its lease on"
        console.print(said, markup=False, soft_wrap=True)

    return hold_root(catalog.location, dagster_home(catalog.location.url, catalog.location.remote), waiting, lost)


def _bring_up_to_date(catalog: Catalog, request: Request, console: RunConsole, start: float, hire: Hire | None) -> int:
    before = catalog.registry()
    converts = code_version(convert)
    registry = register(catalog.profile.source, before, catalog.location, converts=converts)
    try:
        selected_shards(registry, request)
        require_enough_rows(catalog, request, registry)
        if catalog.profile.ingest.blurs_faces:
            require_face_boxes(catalog.profile.source, registry, catalog.location)
    except UserError:
        remove_lists(catalog.location, registry, but=before)
        raise
    bind(catalog, registry, console)
    say_left_out(registry, console)
    for line in readings(catalog.location, registry, before):
        console.print(line, markup=False, soft_wrap=True, highlight=False)
    return make_registered(catalog, request, console, start, hire)


def make_registered(
    catalog: Catalog, request: Request, console: RunConsole, start: float, hire: Hire | None = None
) -> int:
    """Bring the partitions of the registered shards up to date; returns the exit status. For who holds the root."""
    registry = catalog.registry()
    assert registry is not None
    todo, invocation = plan(catalog, request), new_invocation()
    tell_dagster(catalog, invocation, console, at_end=not todo)
    if todo:
        say_bare(registry, console)
        say_idle_gpus(catalog, request, todo, console)
        report = _make(catalog, request, console, registry, todo, invocation, hire)
        if report.failed:
            console.print("some partitions were not made; `paris run` tries them again", style="red")
            return 1
    else:
        seconds = time.monotonic() - start
        said = f"nothing to do: every selected partition under {catalog.location.url} is up to date ({seconds:.1f} s)"
        console.print(said, markup=False, soft_wrap=True)
    return 1 if unsound(catalog, request, console) else 0


def _make(
    catalog: Catalog,
    request: Request,
    console: RunConsole,
    registry: pl.DataFrame,
    todo: list[tuple[Wave, list[Task]]],
    invocation: str,
    hire: Hire | None,
) -> RunReport:
    rows = dict(registry.select("shard", "rows").iter_rows()) | {ALL: int(registry["rows"].sum())}
    planned = partitions(task for _, tasks in todo for task in tasks)
    try:
        with RunProgress(console, rows, planned) as progress:
            report = run(catalog, request, progress, invocation, hire)
    except KeyboardInterrupt:
        if not catalog.location.remote:  # which takes long to look at, and may be another's by now
            console.print("stopping: Dagster is told how the root stands (Ctrl-C again leaves it to the next command)")
            _tell_how_it_stands(catalog, invocation, console)
        raise
    remove_empty_folders(catalog.location)
    _tell_how_it_stands(catalog, invocation, console)
    if report.failed or not nothing_left(catalog):
        print_summary(catalog, report, console)
    for line in blocked_lines(report.blocked):
        console.print(f"not made {line}", style="red", markup=False, soft_wrap=True)
    return report


def _tell_how_it_stands(catalog: Catalog, invocation: str, console: RunConsole) -> None:
    """Have every asset judged as a whole, and what fails gathered, after a run that ended or was stopped."""
    try:
        tell_dagster(catalog, invocation, console, made=True)
    except UserError as reason:  # what was made stays made; the next command, or a sensor, looks again
        console.print(f"Dagster does not show all of this yet: {reason}", markup=False)

"""Bring Dagster's view of a root up to date from this process, where it is not."""

from __future__ import annotations

import dagster as dg
from rich.console import Console
from sqlalchemy.exc import DBAPIError
from yaml import YAMLError

from paris_assets.dag.catalog import Catalog
from paris_assets.dag.failed_checks import last_said
from paris_assets.definitions import asset_checks, build_definitions
from paris_assets.errors import UsageError
from paris_assets.planning.home import dagster_home
from paris_assets.planning.standing import standing_keys
from paris_assets.planning.unchecked import LOOK, in_doubt, keep_bounds, not_judged, report_finished
from paris_assets.runs.execution import end_killed_runs, execute, open_instance, tags_of
from paris_assets.runs.postgres import keep_connections


def look_at_root(
    catalog: Catalog, instance: dg.DagsterInstance, invocation: str, at_end: bool = True, made: bool = False
) -> tuple[int, int]:
    """Tell Dagster of finished partitions, and make checks that are missing or old, in one run where there are any.

    Only for who holds the root.

    Args:
        at_end: whether nothing is made after this, so that what each asset speaks of can be said.
        made: whether anything was just made, or has failed: all is looked at again.

    Returns:
        How many partitions Dagster was told of, and how many checks of tables were made.
    """
    told, checks = report_finished(catalog, instance), asset_checks(catalog.graph)
    waiting = not_judged(catalog, instance, checks)
    if waiting or made or (at_end and in_doubt(catalog, instance)):
        execute(build_definitions(catalog).resolve_job_def(LOOK), instance, tags_of(invocation))
    keep_bounds(catalog, instance)
    return told, len(waiting)


def say_unfinished(catalog: Catalog, console: Console) -> None:
    """Say which assets of all shards a run that was stopped, or that failed, has not brought up to date."""
    said = {key: last_said(open_instance(catalog.location), key) for key in standing_keys(catalog.graph)}
    older = [key.asset_key.to_user_string() for key, last in said.items() if last is not None and not last.passed]
    if older:
        command = f"`paris run --root {catalog.location.url}` goes on"
        console.print(f"not up to date: {', '.join(older)}; {command}", style="yellow", markup=False)


def tell_dagster(catalog: Catalog, invocation: str, console: Console, at_end: bool = True, made: bool = False) -> None:
    """``look_at_root`` of a root whose home may be damaged, and what a person is told of it.

    Raises:
        UsageError: Dagster's home cannot be used.
    """
    home = dagster_home(catalog.location.url, catalog.location.remote)
    try:
        instance = open_instance(catalog.location)
        keep_connections(instance)
        end_killed_runs(instance)
        told, checked = look_at_root(catalog, instance, invocation, at_end, made)
    except (DBAPIError, YAMLError, dg.DagsterError) as error:
        cause = str(error.orig) if isinstance(error, DBAPIError) else str(error).partition("\n")[0]
        hint = "if it is damaged, delete it and run again; results do not depend on it"
        raise UsageError(f"Dagster's home {home} cannot be used ({cause}): {hint}") from error
    if told:
        console.print(f"told Dagster of {told} finished partitions that it did not know")
    if checked:
        console.print(f"made {checked} checks that were missing or had other bounds")

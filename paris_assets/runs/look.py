"""Bring Dagster's view of a root up to date from this process, where it is not."""

from __future__ import annotations

import dagster as dg

from paris_assets.dag.catalog import Catalog
from paris_assets.definitions import asset_checks, build_definitions
from paris_assets.planning.unchecked import LOOK, in_doubt, keep_bounds, not_judged, report_finished
from paris_assets.runs.execution import execute, tags_of


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

"""Tags of Dagster runs: what a person filters by, and how `paris run` and sensors say what a run is to do.

Dagster hands the tags of a run on to every run that a person makes of it again, and hides those that begin with a dot.
"""

import dagster as dg

INVOCATION = "paris/invocation"
ASSETS = "paris/assets"
PARTITION = "dagster/partition"
RESUME = ".dagster/paris_resume"
FORCE = ".dagster/paris_force"
RETRY = ".dagster/paris_retry"
HOST = ".dagster/paris_host"
TRIED_AGAIN = "dagster/retry_number"  # of a run that Dagster's daemon makes again by itself


def resumed(run: dg.DagsterRun) -> bool:
    """Whether a run leaves finished partitions as they are: one of `paris run` or a sensor, not what a person makes of
    it again."""
    return RESUME in run.tags and (run.parent_run_id is None or TRIED_AGAIN in run.tags)


def of_paris_run(run: dg.DagsterRun) -> bool:
    """Whether a process of `paris run` works, or worked, on a run: it has no process of its own."""
    return INVOCATION in run.tags and run.parent_run_id is None


def named(run: dg.DagsterRun, tag: str) -> list[str]:
    """Assets that ``FORCE`` or ``RETRY`` name, if any."""
    return run.tags.get(tag, "").split(",")

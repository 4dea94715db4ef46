"""Jobs: one per stage, one of all, and the example of a schedule."""

from collections.abc import Sequence
from typing import Any

import dagster as dg

from paris_assets.dag.assets import TableAsset

ALL_STAGES = "all_stages"
OF_ALL = (
    "Every asset of the profile. The runs of `paris run` are runs of this job, each of some assets and one shard: "
    "filter by the tag paris/invocation for those of one command. Started here, it makes again whatever is chosen."
)


def stage_jobs(assets: Sequence[TableAsset]) -> list[Any]:
    """A job of every stage, numbered in the order in which data flows, and one of all assets.

    Args:
        assets: those of the profile, in their order.
    """
    groups = list(dict.fromkeys(asset.group for asset in assets))
    jobs = [dg.define_asset_job(ALL_STAGES, dg.AssetSelection.all(), description=OF_ALL)]
    for number, group in enumerate(groups, 1):
        names = [asset.name for asset in assets if asset.group == group]
        said = f"The stage {group}: {', '.join(names)}. What it reads from other stages has to be there."
        jobs.append(dg.define_asset_job(f"stage_{number}_{group}", dg.AssetSelection.assets(*names), description=said))
    return jobs


def nightly(look: dg.JobDefinition) -> dg.ScheduleDefinition:
    """An example, off until someone turns it on: every night the root is looked at as a whole."""
    return dg.ScheduleDefinition(
        name="nightly_look",
        job=look,
        cron_schedule="0 3 * * *",
        default_status=dg.DefaultScheduleStatus.STOPPED,
        description="An example of a schedule, off by default: every night at three Dagster is told of what was made "
        "elsewhere, and missing checks are made. What carries new files to expert shards are the sensors.",
    )

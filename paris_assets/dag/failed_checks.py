"""Every failed check of a root in one place: Dagster shows checks asset by asset, and of each the latest shard only."""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import Any

import dagster as dg

from paris_assets.dag.private import AssetCheckExecutionRecord, AssetCheckExecutionRecordStatus, PartitionKeyFilter
from paris_assets.dag.records import ALL

NAME = "no_failed_checks"
MOST_SHARDS = 6


@dataclass(frozen=True)
class FailedCheck:
    """A check that fails on some partitions.

    Attributes:
        shards: partitions that fail; ``all`` for an unpartitioned asset.
        evaluation: what was found on the first of them.
        hidden: whether a later evaluation, of another shard, passed: Dagster then shows the check as passed.
    """

    key: dg.AssetCheckKey
    shards: list[str]
    evaluation: dg.AssetCheckEvaluation
    hidden: bool

    @property
    def asset(self) -> str:
        """Name of the asset."""
        return self.key.asset_key.to_user_string()

    @property
    def severity(self) -> str:
        """``ERROR`` or ``WARN``."""
        return self.evaluation.severity.value

    @property
    def line(self) -> str:
        """A Markdown list item: severity, the check as a link, what was found on the first shard, and other shards."""
        asset, name = self.asset, self.key.name
        link = f"[{asset} {name}](/assets/{asset}?view=checks&checkDetail={name})"
        what, others = " ".join((self.evaluation.description or "").split()), self.shards[1:]
        more = f" and {len(others) - MOST_SHARDS:,} more" if len(others) > MOST_SHARDS else ""
        also = f" *Shards {', '.join(others[:MOST_SHARDS])}{more} fail too.*" if others else ""
        return f"- **{self.severity}** {link} {what}{also}"


def last_said(instance: dg.DagsterInstance, key: dg.AssetCheckKey) -> dg.AssetCheckEvaluation | None:
    """The latest evaluation of a check, whatever run of it is planned or under way."""
    found = last_record(instance, key)
    return found.evaluation if found else None


def last_record(instance: dg.DagsterInstance, key: dg.AssetCheckKey) -> AssetCheckExecutionRecord | None:
    """The record of that evaluation, with its time: that of a planned check holds something else in its place."""
    judged = {AssetCheckExecutionRecordStatus.SUCCEEDED, AssetCheckExecutionRecordStatus.FAILED}
    found = instance.event_log_storage.get_asset_check_execution_history(key, limit=1, status=judged)
    return found[0] if found else None


def failed_checks(instance: dg.DagsterInstance, keys: Sequence[dg.AssetCheckKey]) -> list[FailedCheck]:
    """Checks that failed on some partition as it stands, errors before warnings, those of many shards first."""
    storage = instance.event_log_storage
    found = []
    for key in keys:
        judged = storage.get_asset_check_partition_info([key])
        failed = [one for one in judged if one.is_current and one.latest_execution_status.value == "FAILED"]
        if not failed:
            continue
        shards = sorted((one.partition_key or ALL for one in failed), key=lambda key: (len(key), key))  # 99999 < 100000
        latest = max(judged, key=lambda one: one.latest_check_event_storage_id)
        # Of the first shard only: others may have failed any number of times since.
        (first,) = storage.get_asset_check_execution_history(
            key,
            limit=1,
            status={failed[0].latest_execution_status},
            partition_filter=PartitionKeyFilter(key=None if shards[0] == ALL else shards[0]),
        )
        assert first.evaluation is not None
        found.append(FailedCheck(key, shards, first.evaluation, latest not in failed))
    return sorted(found, key=lambda one: (one.severity, -len(one.shards)))


def summary(found: Sequence[FailedCheck]) -> dict[str, Any]:
    """The arguments of a check result that lists failed checks, in words that Dagster shows without a click."""
    errors = sum(one.severity == "ERROR" for one in found)
    lines = [f"{len(found)} checks fail, {errors} of them with an error:", "", *(one.line for one in found)]
    return {
        "passed": not found,
        "severity": dg.AssetCheckSeverity.ERROR if errors or not found else dg.AssetCheckSeverity.WARN,
        "description": "\n".join(lines) if found else "No check of any asset fails.",
        "metadata": {"errors": errors, "warnings": len(found) - errors},
    }


def show(context: dg.OpExecutionContext, found: Iterable[FailedCheck]) -> None:
    """Log failures again that a later shard hides, so that Dagster shows their assets as failed.

    Within a run: what is reported without one, Dagster's storage takes only once for each check and shard.
    """
    for one in found:
        if one.hidden:
            context.log_event(one.evaluation)  # type: ignore[arg-type]  # taken, but not named in its type


def failed_checks_check(asset: str, keys: Sequence[dg.AssetCheckKey]) -> dg.AssetChecksDefinition:
    """The check of ``asset`` that gathers all others: the place to look at first, and to look again by hand."""

    def check(context: dg.AssetCheckExecutionContext) -> dg.AssetCheckResult:
        found = failed_checks(context.instance, keys)
        show(context.op_execution_context, found)
        return dg.AssetCheckResult(**summary(found))

    said = "Lists every failed check of every asset, errors first, and passes when there is none."
    return dg.asset_check(asset=asset, name=NAME, description=said)(check)

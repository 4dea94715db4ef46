"""The decorators of all asset checks: a judgement on one partition, with the figures that led to it."""

from __future__ import annotations

import warnings
from collections.abc import Callable
from dataclasses import dataclass, field

import dagster as dg

from paris_assets.partitions import image_shards
from paris_assets.storage.records import ALL
from paris_assets.storage.store import Store


@dataclass(frozen=True)
class Judgement:
    """What a check found: whether it passes, one sentence, and figures that plot."""

    passed: bool
    said: str
    figures: dict[str, float | int | str] = field(default_factory=dict)


# Checks per partition work, but Dagster still calls them a preview on every definition.
warnings.filterwarnings("ignore", message="Specifying a partitions_def on an AssetCheckSpec")

Judge = Callable[[Store, str], Judgement]


def shard_check(asset: str) -> Callable[[Judge], dg.AssetChecksDefinition]:
    """A check of every shard of an asset. Its name and description are those of the function."""
    return _check(asset, image_shards)


def all_check(asset: str) -> Callable[[Judge], dg.AssetChecksDefinition]:
    """A check of an unpartitioned asset."""
    return _check(asset, None)


def _check(asset: str, partitions: dg.PartitionsDefinition | None) -> Callable[[Judge], dg.AssetChecksDefinition]:
    def decorate(judge: Judge) -> dg.AssetChecksDefinition:
        def run(context: dg.AssetCheckExecutionContext, store: dg.ResourceParam[Store]) -> dg.AssetCheckResult:
            found = judge(store, context.partition_key if partitions else ALL)
            warns = judge.__name__ in store.profile.checks.warn_only
            return dg.AssetCheckResult(
                passed=found.passed,
                severity=dg.AssetCheckSeverity.WARN if warns else dg.AssetCheckSeverity.ERROR,
                description=found.said,
                metadata=found.figures,
            )

        run.__annotations__ = {
            "context": dg.AssetCheckExecutionContext,
            "store": dg.ResourceParam[Store],
            "return": dg.AssetCheckResult,
        }
        return dg.asset_check(
            asset=asset, name=judge.__name__, description=(judge.__doc__ or "").strip(), partitions_def=partitions
        )(run)

    return decorate

"""The decorators of all asset checks: a judgement on one partition, with the figures that led to it."""

from __future__ import annotations

import warnings
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any

import dagster as dg

from paris_assets.dag.records import ALL
from paris_assets.dag.store import Store
from paris_assets.partitions import image_shards

Figures = dict[str, float | int | str]


@dataclass(frozen=True)
class Judgement:
    """What a check found.

    Attributes:
        said: a sentence: what is wrong and how many, or what is right.
        figures: numbers that plot, and the bounds that decided under the names of their settings.
        advice: what to do about it, for the reader of a failed check.
    """

    passed: bool
    said: str
    figures: Figures = field(default_factory=dict)
    advice: str = ""

    @classmethod
    def of(cls, problems: list[str], good: str, figures: Figures, advice: str = "") -> Judgement:
        """Passed unless there are problems; said are only those."""
        return cls(not problems, "; ".join(problems) or good, figures, advice)

    def sentence(self, shard: str) -> str:
        """What the UI and the command line show: where, what, and what to do when it failed."""
        said = f"{self.said[:1].upper()}{self.said[1:]}" if shard == ALL else f"Shard {shard}: {self.said}"
        return f"{said}." if self.passed or not self.advice else f"{said}. {self.advice}"


def make_again(asset: str, shard: str) -> str:
    """Advice for a partition whose bytes are wrong, which its own record does not show."""
    shards = "" if shard == ALL else f" --shards {shard}"
    return f"Make it again: `paris run --force --select {asset}{shards}`."


# Checks per partition work, but Dagster still calls them a preview on every definition.
warnings.filterwarnings("ignore", message="Specifying a partitions_def on an AssetCheckSpec")

Judge = Callable[[Store, str], Judgement]
JUDGES: dict[dg.AssetCheckKey, Judge] = {}
"""Every check that has been defined, for judging partitions outside a Dagster run."""


def shard_check(asset: str) -> Callable[[Judge], dg.AssetChecksDefinition]:
    """A check of every shard of an asset. Its name and description are those of the function."""
    return _check(asset, image_shards)


def all_check(asset: str) -> Callable[[Judge], dg.AssetChecksDefinition]:
    """A check of an unpartitioned asset."""
    return _check(asset, None)


def found(store: Store, judge: Judge, shard: str) -> dict[str, Any]:
    """What a check says of a partition as it stands, as Dagster's results and evaluations take it."""
    judged = judge(store, shard)
    warns = judge.__name__ in store.profile.checks.warn_only
    return {
        "passed": judged.passed,
        "severity": dg.AssetCheckSeverity.WARN if warns else dg.AssetCheckSeverity.ERROR,
        "description": judged.sentence(shard),
        "metadata": judged.figures,
    }


def _check(asset: str, partitions: dg.PartitionsDefinition | None) -> Callable[[Judge], dg.AssetChecksDefinition]:
    def decorate(judge: Judge) -> dg.AssetChecksDefinition:
        def run(context: dg.AssetCheckExecutionContext, store: dg.ResourceParam[Store]) -> dg.AssetCheckResult:
            if partitions and not context.has_partition_key:
                raise dg.Failure(f"{judge.__name__} judges one shard: `paris run` judges all that have not been judged")
            return dg.AssetCheckResult(**found(store, judge, context.partition_key if partitions else ALL))

        run.__annotations__ = {
            "context": dg.AssetCheckExecutionContext,
            "store": dg.ResourceParam[Store],
            "return": dg.AssetCheckResult,
        }
        JUDGES[dg.AssetCheckKey(dg.AssetKey(asset), judge.__name__)] = judge
        return dg.asset_check(
            asset=asset, name=judge.__name__, description=(judge.__doc__ or "").strip(), partitions_def=partitions
        )(run)

    return decorate

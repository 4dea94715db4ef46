"""What a launcher of runs gives a run by the assets that it makes: all of them in one process."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from typing import Any, Generic, TypeVar

import dagster as dg

from paris_assets.definitions import ASSETS
from paris_assets.errors import UsageError, did_you_mean

Need = TypeVar("Need")


@dataclass(frozen=True)
class AssetNeeds(Generic[Need]):
    """What runs need, in the words of their launcher, as ``run_launcher`` in dagster.yaml says.

    Attributes:
        assets: asset -> what a run needs that makes it.
        pools: concurrency pool of assets -> what a run needs that makes one of them; ``assets`` has the say.

    Raises:
        UsageError: an asset or pool that is none; names it.
    """

    assets: Mapping[str, Need] = field(default_factory=dict)
    pools: Mapping[str, Need] = field(default_factory=dict)

    def __post_init__(self) -> None:
        known = {asset.name: asset.pool for asset in ASSETS}
        _refuse_unknown("assets", self.assets, known)
        _refuse_unknown("pools", self.pools, {pool for pool in known.values() if pool})

    def of(self, run: dg.DagsterRun, instance: Any) -> list[Need]:
        """What the assets need that a run makes, where anything is said of them."""
        if run.execution_plan_snapshot_id is None:
            return []
        plan = instance.get_execution_plan_snapshot(run.execution_plan_snapshot_id)
        made = [step for step in plan.steps if step.key in plan.step_keys_to_execute]
        found = (self.assets.get(step.key, self.pools.get(step.pool or "")) for step in made)
        return [need for need in found if need is not None]


def needs_field(of_one: Any, words: str) -> dg.Field:
    """The configuration of ``assets`` or ``pools``: a name -> what it needs."""
    return dg.Field(dg.Map(str, of_one), is_required=False, description=f"name -> {words}")


def _refuse_unknown(setting: str, given: Iterable[str], known: Iterable[str]) -> None:
    names = sorted(known)
    for name in given:
        if name not in names:
            raise UsageError(
                f"{setting} of run_launcher in dagster.yaml names {name}{did_you_mean(name, names)}: it has to be one "
                f"of {', '.join(names)}"
            )

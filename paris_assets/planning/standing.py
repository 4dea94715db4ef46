"""Whether an asset of all shards speaks of the set as it is now: after a failed run, or growth, it may be older."""

from typing import Any

import dagster as dg

from paris_assets.dag.catalog import Catalog
from paris_assets.dag.graph import Graph, ancestors
from paris_assets.dag.records import ALL
from paris_assets.planning.waves import Done, missing_inputs, some

NAME = "up_to_date"
ADVICE = "`paris run` makes it again, or says why it cannot"


def standing_keys(graph: Graph) -> list[dg.AssetCheckKey]:
    """The check of every unpartitioned asset."""
    return [dg.AssetCheckKey(dg.AssetKey(name), NAME) for name, spec in graph.items() if not spec.partitioned]


def standing(catalog: Catalog, asset: str, done: Done) -> dict[str, Any]:
    """What the check says of an unpartitioned asset, as Dagster's results and evaluations take it.

    Args:
        done: (asset, shard) -> whether the partition is finished as it is wanted now.
    """
    problem = _problem(catalog, asset, done)
    return {
        "passed": problem is None,
        "severity": dg.AssetCheckSeverity.WARN,
        "description": f"{problem}. {ADVICE}." if problem else _speaks_of(catalog, asset, done),
    }


def standing_checks(graph: Graph) -> list[dg.AssetChecksDefinition]:
    """One for every unpartitioned asset. In the run that makes it, only itself is looked at; what ends a run looks at
    all that it is made from."""
    return [_definition(key.asset_key.to_user_string()) for key in standing_keys(graph)]


def _definition(asset: str) -> dg.AssetChecksDefinition:
    def check(context: dg.AssetCheckExecutionContext) -> dg.AssetCheckResult:
        catalog: Catalog = context.resources.catalog
        above = ancestors(catalog.graph, asset)
        trusted: Done = lambda name, shard: name in above or catalog.done(name, shard)  # noqa: E731
        return dg.AssetCheckResult(**standing(catalog, asset, trusted))

    said = "Whether this speaks of every registered shard, under the settings of now; if not, of which older set."
    return dg.asset_check(asset=asset, name=NAME, description=said, required_resource_keys={"catalog"})(check)


def _problem(catalog: Catalog, asset: str, done: Done) -> str | None:
    missing = _first(catalog, missing_inputs(catalog, asset, ALL, set(), done))
    if catalog.record(asset) is None:
        return f"Has not been made{f': {some(missing)} is missing or out of date' if missing else ''}"
    fitted_once = catalog.graph[asset].refit_on_settings_only  # and then good for shards that come later
    if missing and not fitted_once:
        return f"Holds an older set: since then {some(missing)} came or changed, and is not made"
    if not done(asset, ALL):
        return "Holds an older set: its inputs or settings have changed since"
    return None


def _first(catalog: Catalog, partitions: list[str]) -> list[str]:
    """Of partitions (``asset/shard``) that are missing those that wait for no other asset among them."""
    names = {partition.partition("/")[0] for partition in partitions}
    waiting = {name for name in names if ancestors(catalog.graph, name) & names}
    return [partition for partition in partitions if partition.partition("/")[0] not in waiting]


def _speaks_of(catalog: Catalog, asset: str, done: Done) -> str:
    shards, record = catalog.shards(), catalog.record(asset)
    if record and catalog.graph[asset].refit_on_settings_only:
        fitted_on = set(record.facts["shards"])
        later = [shard for shard in shards if shard not in fitted_on]
        if not later:
            return f"Fitted on {len(shards)} of {len(shards)} shards."
        return (
            f"Fitted on {len(shards) - len(later)} of {len(shards)} shards and kept when others come ({some(later)}): "
            f"published experts keep their meaning. Dagster calls it unsynced; `paris run --from {asset}` fits anew."
        )
    lacking = _lacking(catalog, asset, done, shards) if catalog.profile.allow_missing_shards else []
    without = f", without {some(lacking)}" if lacking else ""
    return f"Speaks of {len(shards) - len(lacking)} of {len(shards)} shards{without}."


def _lacking(catalog: Catalog, asset: str, done: Done, shards: list[str]) -> list[str]:
    above = [name for name in ancestors(catalog.graph, asset) if catalog.graph[name].partitioned]
    return [shard for shard in shards if not all(done(name, shard) for name in above)]

"""What an asset of shards holds over all of them: Dagster shows the figures of one partition, the last one made."""

from collections import Counter
from datetime import UTC, datetime
from typing import Any

import dagster as dg

from paris_assets.dag.catalog import Catalog
from paris_assets.dag.failed_checks import last_record, last_said
from paris_assets.dag.graph import Graph
from paris_assets.planning.waves import Done, some

NAME = "all_shards"
LATER = "Counted when runs have ended, by the job look_at_the_root."


def total_keys(graph: Graph) -> list[dg.AssetCheckKey]:
    """The check of every asset of shards."""
    return [dg.AssetCheckKey(dg.AssetKey(name), NAME) for name, spec in graph.items() if spec.partitioned]


def total(catalog: Catalog, asset: str, done: Done) -> dict[str, Any]:
    """What the check says of an asset of shards, as Dagster's results and evaluations take it: rows in and out, rejects
    by reason, and the shards that are missing or out of date."""
    shards = catalog.shards()
    records = [record for shard in shards if (record := catalog.record(asset, shard))]
    rows_in = sum(record.counts.get("rows_in", record.rows) for record in records)
    rejects = sum((Counter(record.rejects) for record in records), Counter[str]())
    rows = sum(int(record.facts.get("kept", record.rows)) for record in records)
    behind = [shard for shard in shards if not done(asset, shard)]
    reasons = ", ".join(f"{reason} {count:,}" for reason, count in sorted(rejects.items()))
    words = f"Over {len(records):,} of {len(shards):,} shards {rows_in:,} rows in and {rows:,} out"
    words += f"; rejected: {reasons}." if reasons else "."
    return {
        "passed": not behind,
        "severity": dg.AssetCheckSeverity.WARN,
        "description": f"Missing or out of date: {some(behind)}. {words}" if behind else words,
        "metadata": {
            "rows in, all shards": rows_in,
            "rows out, all shards": rows,
            **{f"rejected {reason}, all shards": count for reason, count in rejects.items()},
        },
    }


def last_totals(instance: dg.DagsterInstance, graph: Graph) -> dict[str, str]:
    """Asset of shards -> what was last counted over all shards, and when, where anything was."""
    found = {key.asset_key.to_user_string(): last_record(instance, key) for key in total_keys(graph)}
    return {
        asset: f"{record.evaluation.description} Counted {_minute(record.create_timestamp)}."
        for asset, record in found.items()
        if record is not None and record.evaluation is not None
    }


def _minute(timestamp: float) -> str:
    return f"{datetime.fromtimestamp(timestamp, UTC):%d %b %Y %H:%M} UTC"


def total_checks(graph: Graph) -> list[dg.AssetChecksDefinition]:
    """One for every asset of shards. A run of one shard leaves it as it is: what ends runs counts anew."""
    return [_definition(key) for key in total_keys(graph)]


def _definition(key: dg.AssetCheckKey) -> dg.AssetChecksDefinition:
    def check(context: dg.AssetCheckExecutionContext) -> dg.AssetCheckResult:
        last = last_said(context.instance, key)
        if last is None:
            return dg.AssetCheckResult(passed=True, description=LATER)
        return dg.AssetCheckResult(
            passed=last.passed, severity=last.severity, description=last.description, metadata=last.metadata
        )

    said = "Rows and rejects over all shards, and which of them are missing or out of date."
    return dg.asset_check(asset=key.asset_key, name=NAME, description=said)(check)

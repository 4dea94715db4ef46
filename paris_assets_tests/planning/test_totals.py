"""What an asset of shards says of all of them."""

from collections.abc import Iterator
from datetime import UTC, datetime
from types import SimpleNamespace
from typing import Any

import dagster as dg

from paris_assets.planning.totals import LATER, last_totals, total, total_checks, total_keys
from paris_assets_tests.fixtures.direct import GRAPH

SHARDS = ["00000", "00001", "00002"]
RECORDS = {
    "00000": SimpleNamespace(rows=9, counts={"rows_in": 10}, rejects={"timeout": 1}, facts={}),
    "00001": SimpleNamespace(
        rows=2000, counts={"rows_in": 2000}, rejects={"aspect": 4, "timeout": 2}, facts={"kept": 1994}
    ),
}


def said(*not_done: str) -> dict[str, Any]:
    catalog: Any = SimpleNamespace(shards=lambda: SHARDS, record=lambda _, shard: RECORDS.get(shard))
    return total(catalog, "raw_images", lambda _, shard: shard not in not_done)


def test_rows_and_rejects_of_all_shards_are_added() -> None:
    found = said("00002")
    assert not found["passed"]
    assert found["description"] == (
        "Missing or out of date: 00002. Over 2 of 3 shards 2,010 rows in and 2,003 out; rejected: aspect 4, timeout 3."
    )
    assert found["metadata"]["rejected timeout, all shards"] == 3
    assert found["severity"] == dg.AssetCheckSeverity.WARN
    assert said()["passed"]


def test_a_run_of_one_shard_says_again_what_was_said_last() -> None:
    """It does not look at all shards: a backfill over 10,000 would do so 10,000 times."""
    (key,) = [key for key in total_keys(GRAPH) if key.asset_key == dg.AssetKey("raw_images")]
    (check,) = [check for check in total_checks(GRAPH) if check.check_key == key]

    def asset() -> None:
        return None

    defined = dg.asset(name="raw_images")(asset)
    with dg.DagsterInstance.ephemeral() as instance:
        for expected in (LATER, "Over 3 of 3 shards 7 rows in and 7 out."):
            result = dg.materialize([defined, check], instance=instance)
            (evaluation,) = result.get_asset_check_evaluations()
            assert evaluation.description == expected
            told = dg.AssetCheckEvaluation(
                key.asset_key, key.name, passed=True, description="Over 3 of 3 shards 7 rows in and 7 out."
            )
            instance.report_runless_asset_event(told)


@dg.asset
def raw_images() -> None:
    raise RuntimeError("fails before its checks")


@dg.asset_check(asset=raw_images, name="all_shards")  # pyright: ignore[reportArgumentType]
def planned() -> dg.AssetCheckResult:
    return dg.AssetCheckResult(passed=True)


def test_what_was_counted_last_is_told_with_its_time() -> None:
    key = next(key for key in total_keys(GRAPH) if key.asset_key == dg.AssetKey("raw_images"))

    def count(context: dg.OpExecutionContext) -> Iterator[dg.AssetCheckEvaluation | dg.Output[None]]:
        yield dg.AssetCheckEvaluation(key.asset_key, key.name, True, description="Over 2 of 2 shards 4 rows.")
        yield dg.Output(None)

    count.__annotations__ = {"context": dg.OpExecutionContext}
    with dg.DagsterInstance.ephemeral() as instance:
        assert last_totals(instance, GRAPH) == {}
        job = dg.Definitions([raw_images], asset_checks=[planned]).resolve_implicit_global_asset_job_def()
        assert not job.execute_in_process(instance=instance, raise_on_error=False).success
        assert last_totals(instance, GRAPH) == {}, "it was planned"
        dg.GraphDefinition("count", node_defs=[dg.op(count)]).to_job().execute_in_process(instance=instance)
        found = last_totals(instance, GRAPH)
    assert found.keys() == {"raw_images"}
    said, _, when = found["raw_images"].partition(" Counted ")
    assert said == "Over 2 of 2 shards 4 rows."
    counted = datetime.strptime(when, "%d %b %Y %H:%M UTC.").replace(tzinfo=UTC)
    assert abs((datetime.now(UTC) - counted).total_seconds()) < 180

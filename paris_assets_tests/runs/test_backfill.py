"""One shard, one check and backfills over shards from the UI: a real web server, daemon and process per run."""

import os
import signal
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any
from unittest import mock

import dagster as dg
import pytest
import yaml

from paris_assets.cli import main
from paris_assets.dag import run_tags
from paris_assets.dag.graph import ancestors
from paris_assets.dag.jobs import ALL_STAGES
from paris_assets.definitions import open_catalog
from paris_assets.planning.unchecked import LOOK, report_finished
from paris_assets.runs.execution import INSTANCE, POOLS, open_instance
from paris_assets.runs.run import Request
from paris_assets.storage.location import Location
from paris_assets_tests.fixtures import direct, small_world
from paris_assets_tests.fixtures.small_world import contents
from paris_assets_tests.models import cheap
from paris_assets_tests.runs.user_interface import (
    LOCATION,
    PROJECT,
    TICK_S,
    UserInterface,
    daemon,
    environment,
    until,
    user_interface,
)

pytestmark = [pytest.mark.long, pytest.mark.slow]

SLICE = ["filtered_images", "duplicate_groups", "curated_images"]
CHECKS = """query($key: AssetKeyInput!) { assetCheckExecutions(assetKey: $key, checkName: "retention", limit: 9) {
  runId status partition evaluation { description } } }"""


class World:
    """A root that is finished up to the slice, whose Dagster home is new, and its UI."""

    def __init__(self, root: Path, instance: dg.DagsterInstance, ui: UserInterface) -> None:
        self.root, self.instance, self.ui = root, instance, ui

    def process(self, run: str) -> int:
        """The process that works on a run."""

        def named() -> int | None:
            events = self.instance.all_logs(run, of_type=dg.DagsterEventType.ENGINE_EVENT)
            data = [event.dagster_event.engine_event_data.metadata for event in events if event.dagster_event]
            return next((int(str(found["pid"].value)) for found in data if "pid" in found), None)

        return until(named, 120, f"the process of run {run}")

    def working(self, run: str) -> int:
        """The process of a run that has come as far as its asset."""
        steps = {dg.DagsterEventType.STEP_START}
        until(lambda: self.instance.all_logs(run, of_type=steps), 120, f"a step of run {run}")
        return self.process(run)


@pytest.fixture(scope="module")
def world(tmp_path_factory: pytest.TempPathFactory) -> Iterator[World]:
    folder = tmp_path_factory.mktemp("backfill")
    root, source = folder / "root", small_world.embedded(folder / "list.parquet", 40)
    needed = ("curated_images", *ancestors(direct.GRAPH, "curated_images"))
    direct.bring_up_to_date(small_world.profile(source), root, Request(select=needed))
    catalog = open_catalog(str(root))
    (root / ".dagster").mkdir()
    quick = {
        "run_monitoring": {**INSTANCE["run_monitoring"], "poll_interval_seconds": TICK_S},
        "run_queue": {"dequeue_interval_seconds": 1},
    }
    (root / ".dagster" / "dagster.yaml").write_text(yaml.safe_dump({**INSTANCE, **quick}))
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("DAGSTER_HOME", "")  # open_instance sets it
        with open_instance(catalog.location) as instance, user_interface(root) as ui, daemon(root):
            report_finished(catalog, instance)
            yield World(root, instance, ui)


def test_one_shard_and_one_check_by_hand(world: World) -> None:
    root, ui = world.root, world.ui
    before, made_at = contents(root), (root / "filtered_images" / "00000.parquet").stat().st_mtime_ns
    (root / "image_signals" / "00001.parquet").rename(root / "signals")
    made, refused = ui.launch(["filtered_images"], "00000"), ui.launch(["filtered_images"], "00001")
    check = ui.launch([], "00000", [("filtered_images", "retention")])
    assert [ui.finished(run) for run in (made, refused, check)] == ["SUCCESS", "FAILURE", "SUCCESS"]
    said = ui.why(refused)
    assert f"image_signals/00001 has not been made under {root}: materialise it first" in said
    (root / "signals").rename(root / "image_signals" / "00001.parquet")
    assert contents(root) == before
    assert (root / "filtered_images" / "00000.parquet").stat().st_mtime_ns > made_at
    executed = ui.ask(CHECKS, key={"path": ["filtered_images"]})["assetCheckExecutions"]
    assert {(found["runId"], found["partition"], found["status"]) for found in executed} == {
        (made, "00000", "SUCCEEDED"),
        (refused, "00001", "EXECUTION_FAILED"),
        (check, "00000", "SUCCEEDED"),
    }
    said = [found["evaluation"]["description"] for found in executed if found["evaluation"]]
    assert len(said) == 2
    assert all("images pass" in description for description in said)


@pytest.mark.extended
def test_runs_of_paris_run_are_executed_again_from_the_ui(world: World, monkeypatch: pytest.MonkeyPatch) -> None:
    """As a whole, from where one failed, and one asset of it; what one command made is found by its tag."""
    before, table = contents(world.root), world.root / "image_signals" / "00001.parquet"
    with monkeypatch.context() as patch:
        patch.setattr(cheap.Redness, "run", mock.Mock(side_effect=RuntimeError("out of memory")))
        command = ["run", "--root", str(world.root), "--select", "image_signals,content_scores", "--force"]
        assert main(command) == 1
    latest = world.instance.get_runs(dg.RunsFilter(job_name="all_stages"), limit=1)[0]
    runs = world.ui.runs("paris/invocation", latest.tags["paris/invocation"])
    origin = {"repositoryName": "__repository__", "repositoryLocationName": LOCATION}
    assert all(run["repositoryOrigin"] == origin for run in runs)
    assert {run["jobName"] for run in runs} == {"all_stages", LOOK}
    second, first = [run for run in runs if run["jobName"] == "all_stages"]
    assert (first["status"], second["status"]) == ("FAILURE", "FAILURE")
    made_at = table.stat().st_mtime_ns
    rest, steps = world.ui.again(first["runId"], "FROM_FAILURE")
    whole, _ = world.ui.again(second["runId"], "ALL_STEPS")
    one = world.ui.launch(["image_signals"], "00001", parent=second["runId"])
    assert [world.ui.finished(run) for run in (rest, whole, one)] == ["SUCCESS"] * 3
    assert "image_signals" not in steps
    assert "content_scores" in steps
    assert table.stat().st_mtime_ns > made_at, "by hand it is made again, though it is finished"
    assert contents(world.root) == before


@pytest.mark.extended
def test_a_failing_shard_fails_alone_and_is_retried_alone(world: World) -> None:
    """Shard -> all -> shard: `duplicate_groups` reads every shard of `filtered_images`."""
    before, damaged = contents(world.root), world.root / "image_signals" / "00001.parquet"
    good = damaged.read_bytes()
    damaged.write_bytes(good[:200] + bytes(64) + good[264:])
    launched = world.ui.backfill(SLICE)
    first = world.ui.ended_backfill(launched)
    assert first["status"] == "COMPLETED_FAILED"
    assert made(first) == {"filtered_images": ["00000"]}
    assert statuses(first) == {
        "filtered_images": (2, 1, 1),
        "duplicate_groups": (1, 0, 1),
        "curated_images": (2, 0, 2),
    }
    (failed,) = [run for run in first["runs"] if run["status"] == "FAILURE"]
    assert "image_signals/00001.parquet" in world.ui.why(failed["id"])

    damaged.write_bytes(good)
    second = world.ui.ended_backfill(world.ui.retry(launched))
    assert second["status"] == "COMPLETED_SUCCESS"
    assert made(second) == {
        "filtered_images": ["00001"],
        "duplicate_groups": [None],
        "curated_images": ["00000", "00001"],
    }
    ends = {name: max(run["endTime"] for run in runs_of(second, name)) for name in SLICE}
    assert min(run["startTime"] for run in runs_of(second, "curated_images")) > ends["duplicate_groups"]
    assert runs_of(second, "duplicate_groups")[0]["startTime"] > ends["filtered_images"]
    assert contents(world.root) == before


@pytest.mark.extended
def test_the_run_of_a_killed_process_is_tried_once_more(world: World) -> None:
    with Location(str(world.root)).alone("curated_images/00000.parquet"):  # where the run waits to put its table
        run = world.ui.launch(["curated_images"], "00000")
        os.kill(world.working(run), signal.SIGKILL)
        assert world.ui.finished(run) == "FAILURE"
    again = until(lambda: retries(world, run), 120, "a retry")
    assert world.ui.finished(again[0]) == "SUCCESS"
    assert len(retries(world, run)) == 1


@pytest.mark.extended
def test_a_killed_paris_run_keeps_no_place_in_a_pool(world: World) -> None:
    """`duplicate_groups` needs the pool `fit`, which lets one run in."""
    command = ["run", "--root", str(world.root), "--select", "duplicate_groups", "--force"]
    with Location(str(world.root)).alone("duplicate_groups/all.parquet"):
        process = subprocess.Popen(
            [sys.executable, "-m", "paris_assets.cli", *command],
            env=environment(world.root), cwd=PROJECT, stdout=subprocess.DEVNULL,
        )  # fmt: skip
        started = dg.RunsFilter(
            statuses=[dg.DagsterRunStatus.STARTED], tags={run_tags.RESUME: "true"}, job_name=ALL_STAGES
        )
        (left,) = until(lambda: world.instance.get_runs(started), 120, "the run of `paris run`")
        assert left.run_op_concurrency
        assert left.run_op_concurrency.all_pools == {"fit"}
        assert world.working(left.run_id) == process.pid
        process.kill()
        process.wait()
    launched = world.ui.launch(["duplicate_groups"], None)
    assert world.ui.finished(launched) == "SUCCESS"
    assert "its process" in world.ui.why(left.run_id)
    assert retries(world, left.run_id) == []


def test_the_shipped_configuration_limits_pools(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("DAGSTER_HOME", "")
    with open_instance(Location(tmp_path)) as instance:
        limits = instance.event_log_storage.get_pool_limits()
        assert {pool.name: pool.limit for pool in limits} == POOLS == {"gpu": 1, "fit": 1, "io": 4}
        assert instance.get_concurrency_config().run_queue_config.max_concurrent_runs == 4  # type: ignore[union-attr]
        instance.event_log_storage.set_concurrency_slots("gpu", 3)
    with open_instance(Location(tmp_path)) as instance:
        limits = instance.event_log_storage.get_pool_limits()
        assert {pool.name: pool.limit for pool in limits} == {**POOLS, "gpu": 3}, "a user's own limit stays"


def retries(world: World, run: str) -> list[str]:
    """Runs that Dagster launched because a run failed."""
    return [found.run_id for found in world.instance.get_runs() if found.parent_run_id == run]


def runs_of(backfill: dict[str, Any], asset: str) -> list[dict[str, Any]]:
    return [run for run in backfill["runs"] if {"path": [asset]} in run["assetSelection"]]


def made(backfill: dict[str, Any]) -> dict[str, list[str | None]]:
    """asset -> shards of the runs that succeeded."""
    found: dict[str, list[str | None]] = {}
    for name in SLICE:
        for run in runs_of(backfill, name):
            tags = {tag["key"]: tag["value"] for tag in run["tags"]}
            if run["status"] == "SUCCESS":
                found.setdefault(name, []).append(tags.get("dagster/partition"))
    return {name: sorted(shards, key=str) for name, shards in found.items()}


def statuses(backfill: dict[str, Any]) -> dict[str, tuple[int, int, int]]:
    """asset -> partitions targeted, made and failed."""
    found = {}
    for status in backfill["assetBackfillData"]["assetBackfillStatuses"]:
        if "materialized" in status:
            counts = (1, int(status["materialized"]), int(status["failed"]))
        else:
            names = ("numPartitionsTargeted", "numPartitionsMaterialized", "numPartitionsFailed")
            counts = tuple(status[name] for name in names)
        found[status["assetKey"]["path"][0]] = counts
    return found

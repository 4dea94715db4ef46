"""What each sensor says and asks for in one look, on a real instance of Dagster but without its daemon."""

from __future__ import annotations

import json
import os
import shutil
from collections.abc import Iterator
from pathlib import Path

import dagster as dg
import pytest

from paris_assets import sensors
from paris_assets.clusters import reported
from paris_assets.dag import run_tags
from paris_assets.dag.catalog import Catalog
from paris_assets.dag.private import ConsolidatedSqliteEventLogStorage
from paris_assets.dag.s3 import open_location
from paris_assets.dag.tables import Tables
from paris_assets.definitions import build_definitions, open_catalog
from paris_assets.ingest.lists.columns import SourceError
from paris_assets.ingest.sources import register
from paris_assets.partitions import image_shards
from paris_assets.planning.home import dagster_home
from paris_assets.planning.registration import bind
from paris_assets.planning.run_lock import hold_root
from paris_assets.planning.standing import standing_keys
from paris_assets.planning.unchecked import LOOK, report_finished
from paris_assets.profiles import dump_profile
from paris_assets.runs.execution import open_instance
from paris_assets.runs.run import Request
from paris_assets.storage.location import Location
from paris_assets_tests.fixtures import direct, small_world
from paris_assets_tests.fixtures.brief import brief_report
from paris_assets_tests.models import cheap

FETCHED = ["source_rows", "raw_images", "image_signals", "content_scores", "filtered_images"]
NAME = str(image_shards.name)


class World:
    """A source that grows, a root and its Dagster instance."""

    def __init__(self, source: Path, root: Path, instance: dg.DagsterInstance) -> None:
        self.source, self.root, self.instance = source, root, instance
        self.loaded = open_catalog(str(root))
        self.cursor: str | None = None

    def catalog(self) -> Catalog:
        return open_catalog(str(self.root))

    def tables(self) -> Tables:
        return Tables(self.catalog())

    def look(self, sensor: dg.SensorDefinition) -> dg.SensorResult:
        """One look of a sensor, and what the daemon does with its answer but starting runs."""
        with dg.build_sensor_context(
            instance=self.instance, cursor=self.cursor, resources={"catalog": self.loaded}
        ) as context:
            found = sensor(context)
        assert isinstance(found, dg.SensorResult)
        for request in found.dynamic_partitions_requests or []:
            if isinstance(request, dg.AddDynamicPartitionsRequest):
                self.instance.add_dynamic_partitions(NAME, request.partition_keys)
            else:
                for key in request.partition_keys:
                    self.instance.delete_dynamic_partition(NAME, key)
        self.cursor = found.cursor or self.cursor
        return found

    def register(self) -> str:
        return self._reason(self.look(sensors.new_image_shards))

    def wait(self) -> str:
        found = self.look(sensors.out_of_date_partitions)
        assert not found.run_requests
        return self._reason(found)

    def ends(self) -> str:
        return self._reason(self.look(sensors.ended_runs))

    def globals(self) -> list[str]:
        return [key.asset_key.to_user_string() for key in standing_keys(self.loaded.graph)]

    def unsynced(self) -> list[str]:
        """Assets of all shards that hold an older set."""
        latest = self.instance.event_log_storage.get_latest_asset_check_execution_by_key(
            standing_keys(self.loaded.graph)
        )
        judged = {key.asset_key.to_user_string(): record.evaluation for key, record in latest.items()}
        assert set(judged) == set(self.globals())
        return sorted(name for name, found in judged.items() if found and not found.passed)

    def _reason(self, found: dg.SensorResult) -> str:
        assert found.skip_reason
        return found.skip_reason.skip_message or ""

    def shards(self) -> list[str]:
        """Registered shards, which are also Dagster's partitions."""
        assert self.instance.get_dynamic_partitions(NAME) == self.catalog().shards()
        return self.catalog().shards()


def bind_new_rows(catalog: Catalog) -> None:
    """What another process does that registers them."""
    registry = register(catalog.profile.source, catalog.registry(), catalog.location)
    bind(catalog, registry, direct.Console(quiet=True))


@pytest.fixture(scope="module")
def finished(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Path]:
    """A finished root whose partitions were reported to a new instance, as `paris run` does."""
    folder = tmp_path_factory.mktemp("finished")
    small_world.embedded(folder / "source" / "m.parquet", 40)
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(reported, "write_report", brief_report)
        patch.setenv("DAGSTER_HOME", "")  # open_instance sets it
        direct.bring_up_to_date(small_world.profile(folder / "source"), folder / "root")
        catalog = open_catalog(str(folder / "root"))
        with open_instance(catalog.location) as instance:
            report_finished(catalog, instance)
        yield folder


@pytest.fixture
def world(finished: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[World]:
    """A copy of it in another place, to be changed."""
    monkeypatch.setenv("DAGSTER_HOME", "")
    folder = Path(shutil.copytree(finished, tmp_path / "world"))
    moved = direct.catalog_of(small_world.profile(folder / "source"), folder / "root")
    bind_new_rows(moved)
    with open_instance(moved.location) as instance:
        yield World(folder / "source", folder / "root", instance)


def test_a_finished_root_asks_for_nothing(world: World) -> None:
    assert world.register() == "no new rows; 2 shards are registered"
    assert world.wait() == "every partition is up to date"
    assert world.shards() == ["00000", "00001"]


def test_sensors_that_start_work_are_off_until_turned_on(world: World) -> None:
    found = {sensor.name: sensor for sensor in build_definitions(world.loaded).sensors or []}
    on = [name for name, sensor in found.items() if sensor.default_status == dg.DefaultSensorStatus.RUNNING]
    assert set(found) == {"new_image_shards", "out_of_date_partitions", "failed_runs", "ended_runs"}
    assert on == ["failed_runs", "ended_runs"], "those that make no table"


def test_the_root_is_looked_at_when_runs_have_ended(world: World) -> None:
    """Once for a new home of Dagster's, then after every run that is no look itself."""
    definitions = build_definitions(world.loaded)
    assert world.look(sensors.ended_runs).run_requests == [dg.RunRequest()]
    assert definitions.resolve_job_def(LOOK).execute_in_process(instance=world.instance).success
    assert world.unsynced() == []
    assert world.ends() == "no run has ended since the last look"
    small_world.embedded(world.source / "n.parquet", 20, 40)
    world.register()
    by_hand = definitions.resolve_implicit_global_asset_job_def()
    chosen = {"asset_selection": [dg.AssetKey("source_rows")], "partition_key": "00002"}
    assert by_hand.execute_in_process(instance=world.instance, **chosen).success
    assert world.look(sensors.ended_runs).run_requests == [dg.RunRequest()]
    assert definitions.resolve_job_def(LOOK).execute_in_process(instance=world.instance).success
    assert world.unsynced() == sorted(set(world.globals()) - {"cluster_model"}), "published experts stay"
    assert world.ends() == "no run has ended since the last look"


def test_new_rows_become_shards_and_runs(world: World) -> None:
    small_world.embedded(world.source / "n.parquet", 40, 40)
    assert world.register() == "registered 00002, 00003"
    assert world.shards() == ["00000", "00001", "00002", "00003"]
    asked = world.look(sensors.out_of_date_partitions).run_requests or []
    assert [request.partition_key for request in asked] == ["00002", "00003"]
    for request in asked:
        assert [key.to_user_string() for key in request.asset_selection or []] == FETCHED
        assert request.tags[run_tags.RESUME] == "true"
    assert world.register() == "no new rows; 4 shards are registered"


def test_a_list_that_is_still_written_is_waited_for(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Its end does not show, and registered too early it would be another file at every later look."""
    monkeypatch.setenv("DAGSTER_HOME", "")
    source = tmp_path / "source"
    source.mkdir()
    rows = [f'{{"url": "http://x.test/{number}.jpg", "text": "text {number}"}}\n' for number in range(40)]
    (source / "a.jsonl").write_text("".join(rows[:25]))
    Location(tmp_path / "root").put_bytes(dump_profile(small_world.profile(source)).encode(), "profile.yaml")
    with open_instance(Location(tmp_path / "root")) as instance:
        world = World(source, tmp_path / "root", instance)
        assert world.register() == "a.jsonl changed less than 60 s ago and may still be written"
        assert world.shards() == []
        (source / "a.jsonl").write_text("".join(rows))
        os.utime(source / "a.jsonl", (0, 0))
        assert world.register() == "registered 00000, 00001"
        assert world.register() == "no new rows; 2 shards are registered"


def test_nothing_is_planned_while_nothing_changes(world: World, monkeypatch: pytest.MonkeyPatch) -> None:
    world.wait()
    with monkeypatch.context() as patch:
        patch.setattr(sensors, "look_ahead", lambda *_: pytest.fail("planned again"))
        assert world.wait() == "every partition is up to date"
    (world.root / "captions" / "00001.parquet").unlink()
    monkeypatch.setattr(sensors, "LOOK_AGAIN_S", 1e-6)
    asked = world.look(sensors.out_of_date_partitions).run_requests or []
    assert [request.partition_key for request in asked] == ["00001"]


def test_a_run_under_way_is_waited_for(world: World) -> None:
    small_world.embedded(world.source / "n.parquet", 20, 40)
    world.register()
    job = build_definitions(world.catalog()).resolve_implicit_global_asset_job_def()
    chosen = frozenset([dg.AssetKey("raw_images")])
    run = world.instance.create_run_for_job(
        job, tags={"dagster/partition": "00002"}, asset_selection=chosen, status=dg.DagsterRunStatus.STARTED
    )
    assert world.wait() == "under way: source_rows and what follows [00002]"
    world.instance.report_run_canceled(run)
    assert len(world.look(sensors.out_of_date_partitions).run_requests or []) == 1


def test_partitions_and_registry_come_to_agree(world: World) -> None:
    world.instance.delete_dynamic_partition(NAME, "00001")
    unguarded = ConsolidatedSqliteEventLogStorage.add_dynamic_partitions
    unguarded(world.instance.event_log_storage, NAME, ["by hand"])  # type: ignore[arg-type]
    world.register()
    assert world.shards() == ["00000", "00001"]
    world.instance.delete_dynamic_partition(NAME, "00000")
    world.wait()
    assert sorted(world.instance.get_dynamic_partitions(NAME)) == ["00000", "00001"]


def test_a_paris_run_has_precedence(world: World) -> None:
    small_world.embedded(world.source / "n.parquet", 20, 40)
    with hold_root(Location(world.root), dagster_home(str(world.root), False), waiting=pytest.fail, lost=pytest.fail):
        assert world.register().startswith(f"{world.root} is held by process ")
        assert world.wait().endswith(": a `paris run`, or another look of a sensor")
    assert world.shards() == ["00000", "00001"]
    assert world.register() == "registered 00002"


def test_a_root_without_settings_is_left_alone(world: World) -> None:
    (world.root / "profile.yaml").unlink()
    assert "has no profile.yaml: `paris run` binds a root" in world.register()
    assert "has no profile.yaml" in world.wait()


def test_settings_that_changed_since_the_code_was_loaded_are_used(world: World) -> None:
    changed = direct.catalog_of(small_world.profile(world.source, captions__min_words=2), world.root)
    bind(changed, world.loaded.registry(), direct.Console(quiet=True))  # type: ignore[arg-type]
    asked = world.look(sensors.out_of_date_partitions).run_requests or []
    assert {request.partition_key for request in asked} == {"00000", "00001"}
    assert asked[0].asset_selection[0].to_user_string() == "captions"  # type: ignore[index]
    assert world.register() == "no new rows; 2 shards are registered"
    assert world.catalog().profile == changed.profile


def test_assets_that_were_not_there_when_the_code_was_loaded_are_not_asked_for(world: World) -> None:
    without = small_world.profile(world.source, scores={}, curation__score_rules=[])
    world.loaded = direct.catalog_of(without, world.root)
    assert "reload the code location" in world.wait()
    world.loaded = world.catalog()
    assert world.wait() == "every partition is up to date"


def test_a_source_that_is_gone_fails_the_look_and_changes_nothing(world: World) -> None:
    (world.source / "m.parquet").rename(world.source / "elsewhere.parquet")
    with pytest.raises(SourceError, match=r"m\.parquet was registered and is gone: put it back"):
        world.register()
    assert world.shards() == ["00000", "00001"]


def test_a_failed_run_is_reported_once_in_words(world: World, monkeypatch: pytest.MonkeyPatch) -> None:
    """And a web address that cannot be reached does not keep the report from the file."""
    (world.root / "image_signals" / "00001.parquet").unlink()
    monkeypatch.setenv("PARIS_FAILURE_WEBHOOK", "http://127.0.0.1:9/")
    job = build_definitions(world.catalog()).resolve_implicit_global_asset_job_def()
    result = job.execute_in_process(
        asset_selection=[dg.AssetKey("filtered_images")],
        partition_key="00001",
        instance=world.instance,
        raise_on_error=False,
    )
    context = dg.build_run_status_sensor_context(
        sensor_name="failed_runs",
        dagster_instance=world.instance,
        dagster_run=result.dagster_run,
        dagster_event=result.all_events[-1],
    ).for_run_failure()
    sensors.failed_runs(context)
    report = json.loads((world.root / ".dagster" / "failures.jsonl").read_text())
    said = f"image_signals/00001 has not been made under {world.root}: materialise it first, or let `paris run` do it"
    assert report["failed"] == [{"asset": "filtered_images", "cause": said, "image_ids": []}]
    assert (report["run_id"], report["shard"], report["cause"]) == (result.run_id, "00001", said)


def test_a_root_on_s3(s3_url: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Shards that another process has registered meanwhile are seen, and the lease is given back."""
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("DAGSTER_HOME", "")
    root, source = open_location(f"{s3_url}/sensors"), tmp_path / "source"
    small_world.embedded(source / "a.parquet", 20)
    root.put_bytes(dump_profile(small_world.profile(source)).encode(), "profile.yaml")
    with open_instance(root) as instance:
        world = World(source, tmp_path, instance)
        world.loaded = open_catalog(root.url)
        assert world.register() == "registered 00000"
        small_world.embedded(source / "b.parquet", 20, 20)
        bind_new_rows(open_catalog(root.url))
        assert world.register() == "no new rows; 2 shards are registered"
        asked = world.look(sensors.out_of_date_partitions).run_requests or []
        assert [request.partition_key for request in asked] == ["00000", "00001"]
    assert root.size("run.lock") is None


@pytest.mark.parametrize(("tags", "computed"), [({run_tags.RESUME: "true"}, False), ({}, True)])
def test_runs_of_sensors_keep_rows_of_models(
    world: World, monkeypatch: pytest.MonkeyPatch, tags: dict[str, str], computed: bool
) -> None:
    """As `paris run` does; what a person asks for is computed anew."""
    rules = [
        {"name": "short_side", "column": "short_side", "min": 32},
        {"name": "red", "column": "exposure", "max": 0.5},
    ]
    changed = small_world.profile(world.source, curation__signal_rules=rules)
    before = world.tables().read("image_embeddings", "00001")
    until_curated = ("content_scores", "filtered_images", "duplicate_groups", "curated_images")
    direct.bring_up_to_date(changed, world.root, Request(select=until_curated))
    calls: list[int] = []
    run = cheap.Colours.run
    monkeypatch.setattr(cheap.Colours, "run", lambda self, batch: calls.append(len(batch)) or run(self, batch))
    result = (
        build_definitions(world.catalog())
        .resolve_implicit_global_asset_job_def()
        .execute_in_process(
            asset_selection=[dg.AssetKey("image_embeddings")], partition_key="00001", instance=world.instance, tags=tags
        )
    )
    assert result.success
    after = world.tables().read("image_embeddings", "00001")
    assert 0 < after.height < before.height
    assert bool(calls) == computed

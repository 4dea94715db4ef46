"""What automation asks for, and in which order: by the real plan and storage, without Dagster."""

from __future__ import annotations

import shutil
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import polars as pl
import pytest

from paris_assets.clusters import reported
from paris_assets.config import Profile
from paris_assets.dag.catalog import Catalog
from paris_assets.dag.records import ALL, read_record
from paris_assets.ingest.sources import register
from paris_assets.planning import automation
from paris_assets.planning.automation import Attempt, Outlook, look_ahead
from paris_assets.planning.registration import bind
from paris_assets.planning.waves import Task
from paris_assets.storage.location import Location
from paris_assets.storage.output import Output
from paris_assets_tests.fixtures import direct, made_up, small_world
from paris_assets_tests.fixtures.brief import brief_report

FETCHED = ("source_rows", "raw_images", "image_signals", "content_scores", "filtered_images")
DESCRIBED = {"curated_images", "captions", "text_embeddings", "image_embeddings", "latents", "cluster_assignments"}
PUBLISHED = {"training_selection", "expert_shards", "router_arrays"}


class World:
    """A folder of tables, and a root that automation keeps up to date."""

    def __init__(self, folder: Path, **settings: Any) -> None:
        self.source, self.root, self.settings = folder / "source", folder / "root", settings
        self.attempts: list[Attempt] = []

    def profile(self) -> Profile:
        return small_world.profile(self.source, **self.settings)

    def catalog(self) -> Catalog:
        return direct.catalog_of(self.profile(), self.root)

    def add(self, name: str, count: int, first: int) -> None:
        """A further file, registered as the sensor does."""
        small_world.embedded(self.source / f"{name}.parquet", count, first)
        self.register()

    def register(self) -> None:
        catalog = self.catalog()
        registry = register(catalog.profile.source, catalog.registry(), catalog.location)
        bind(catalog, registry, direct.Console(quiet=True))

    def outlook(self, running: set[tuple[str, str]] | None = None) -> Outlook:
        found = look_ahead(self.catalog(), running or set(), self.attempts)
        self.attempts = found.attempts
        return found

    def settle(self, failing: Callable[[Task], bool] = lambda task: False) -> list[list[Task]]:
        """Make what is asked for until nothing is; the tasks of each round."""
        rounds = []
        while requests := self.outlook().requests:
            rounds.append(requests)
            maker = direct.Maker(self.catalog())
            for task in requests:
                if not failing(task):
                    maker.run(task)
        return rounds


@pytest.fixture(scope="module")
def finished(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Callable[[str], Path]]:
    """Folders with two shards and a finished root, by growth."""
    made: dict[str, Path] = {}

    def make(growth: str) -> Path:
        if growth not in made:
            made[growth] = tmp_path_factory.mktemp("finished")
            world = World(made[growth], duplicates__growth=growth)
            small_world.embedded(world.source / "m.parquet", 40)
            direct.bring_up_to_date(world.profile(), world.root)
        return made[growth]

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(reported, "write_report", brief_report)
        yield make


@pytest.fixture
def worlds(finished: Callable[[str], Path], tmp_path: Path) -> Callable[..., World]:
    """A copy of a finished world in another place, to be changed."""

    def copy(name: str = "world", growth: str = "keep_published") -> World:
        world = World(tmp_path / name, duplicates__growth=growth)
        shutil.copytree(finished(growth), tmp_path / name)
        world.register()
        return world

    return copy


def test_nothing_is_asked_for_on_a_finished_root(worlds: Callable[..., World]) -> None:
    outlook = worlds().outlook()
    assert (outlook.requests, outlook.attempts, outlook.blocked) == ([], [], {})
    assert outlook.in_words() == "every partition is up to date"


def test_a_new_shard_goes_wave_by_wave_and_the_model_stays(worlds: Callable[..., World]) -> None:
    world = worlds()
    model, old = read_record(Location(world.root), "cluster_model"), small_world.contents(world.root)
    world.add("n", 20, 40)
    rounds = world.settle()
    assert [{(task.shard, frozenset(task.assets)) for task in tasks} for tasks in rounds] == [
        {("00002", frozenset(FETCHED))},
        {(ALL, frozenset({"duplicate_groups"}))},
        {("00002", frozenset(DESCRIBED))},
        {(ALL, frozenset({"cluster_report", "cluster_values", "latent_report", "training_split"}))},
        {("00002", frozenset(PUBLISHED))},
        {(ALL, frozenset({"expert_summary", "pipeline_manifest"}))},
    ]
    assert rounds[0][0].assets == FETCHED
    assert read_record(Location(world.root), "cluster_model") == model
    now = small_world.contents(world.root)
    assert [path for path in old if path.endswith((".tar", ".npy")) and now[path] != old[path]] == [
        path for path in old if path.startswith("router_training/")
    ]


@pytest.mark.parametrize("growth", ["keep_published", pytest.param("rerank", marks=pytest.mark.slow)])
def test_the_result_is_that_of_a_run(worlds: Callable[..., World], growth: str) -> None:
    """Where a better copy comes and an old shard has to give way, too; and nothing is left for a run to do."""
    world, other = worlds("world", growth), worlds("other", growth)
    for grown in (world, other):
        grown.add("n", 25, 12)
    world.settle()
    direct.bring_up_to_date(other.profile(), other.root)
    mine, theirs = small_world.contents(world.root), small_world.contents(other.root)
    own_paths = {"profile.yaml", "pipeline_manifest.json"}  # both name the source's place
    assert {path for path in mine.keys() | theirs.keys() if mine.get(path) != theirs.get(path)} <= own_paths
    assert direct.bring_up_to_date(world.profile(), world.root) == set()


def test_a_failed_shard_holds_up_only_what_needs_it_and_is_not_tried_again(worlds: Callable[..., World]) -> None:
    world = worlds()
    world.add("n", 40, 40)
    rounds = world.settle(failing=lambda task: task.shard == "00003")
    assert [[task.shard for task in tasks] for tasks in rounds] == [["00002", "00003"]]
    outlook = world.outlook()
    assert outlook.failed == [Task("00003", FETCHED)]
    assert "source_rows and what follows [00003]" in outlook.in_words()
    (waiting,) = outlook.in_words().partition("; ")[2].split("; ")
    assert waiting.startswith("not made: duplicate_groups, ")
    assert "pipeline_manifest" in waiting
    assert "/00003" in waiting.rpartition(": ")[2]
    assert "/00002" not in waiting.rpartition(": ")[2]
    world.attempts = []  # the sensor's cursor is reset
    assert next(task.shard for tasks in world.settle() for task in tasks) == "00003"
    assert direct.bring_up_to_date(world.profile(), world.root) == set()


def test_the_asset_in_the_middle_that_failed_is_not_tried_again(worlds: Callable[..., World]) -> None:
    world = worlds()
    world.add("n", 20, 40)
    (first,) = world.outlook().requests
    direct.Maker(world.catalog()).run(Task(first.shard, FETCHED[:3]))
    outlook = world.outlook()
    assert (outlook.requests, outlook.failed) == ([], [Task("00002", FETCHED[3:])])
    world.settings["curation__signal_rules"] = [{"name": "short_side", "column": "short_side", "min": 30}]
    assert Task("00002", FETCHED[3:]) in world.outlook().requests


def test_an_input_that_changes_in_the_middle_is_tried_with(worlds: Callable[..., World]) -> None:
    """The tars failed for their latents, which another wave made: the selection before them stays as it is."""
    world = worlds()
    for asset in PUBLISHED:
        (world.root / asset / "00001.parquet").unlink()
    (first,) = world.outlook().requests
    assert set(first.assets) == PUBLISHED
    direct.Maker(world.catalog()).run(Task(first.shard, ("training_selection",)))
    assert world.outlook().failed == [Task("00001", tuple(name for name in first.assets if name in PUBLISHED)[1:])]
    root = made_up.MadeUpRoot(world.catalog())
    record = root.record("latents", "00001")
    assert record is not None
    rows = root.read("latents", "00001").with_columns(pl.col("crop_top") + 1)
    root.commit("latents", "00001", Output(rows=[rows], rows_in=rows.height, rejects=record.rejects))
    rounds = [{(task.shard, frozenset(task.assets)) for task in tasks} for tasks in world.settle()]
    assert {("00001", frozenset(PUBLISHED - {"training_selection"}))} in rounds
    assert world.outlook().in_words() == "every partition is up to date"


def test_a_repaired_source_is_tried_again(worlds: Callable[..., World]) -> None:
    world = worlds()
    world.add("n", 20, 40)
    assert len(world.outlook().requests) == 1
    assert not world.outlook().requests
    small_world.embedded(world.source / "n.parquet", 20, 60)
    world.register()
    assert [task.shard for task in world.outlook().requests] == ["00002"]


def test_what_runs_is_waited_for(worlds: Callable[..., World]) -> None:
    world = worlds()
    world.add("n", 40, 40)
    outlook = world.outlook(running={("raw_images", "00002")})
    assert [task.shard for task in outlook.requests] == ["00003"]
    assert outlook.running == [Task("00002", FETCHED)]
    assert world.outlook(running={("raw_images", "00002"), ("raw_images", "00003")}).requests == []


def test_no_more_are_asked_for_than_may_be_open(worlds: Callable[..., World], monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(automation, "MOST_OPEN", 2)
    world = worlds()
    world.add("n", 60, 40)
    assert [task.shard for task in world.outlook().requests] == ["00002", "00003"]
    assert [task.shard for task in world.outlook({("source_rows", "00002")}).requests] == []
    direct.Maker(world.catalog()).run(Task("00002", FETCHED))
    assert [task.shard for task in world.outlook({("source_rows", "00003")}).requests] == ["00004"]


def test_changed_settings_never_refit(worlds: Callable[..., World]) -> None:
    world = worlds()
    world.settings["clusters__k"] = 4
    outlook = world.outlook()
    assert outlook.requests == []
    assert "cluster_model/all missing or out of date" in outlook.in_words()


def test_a_model_that_is_missing_is_made(worlds: Callable[..., World]) -> None:
    world = worlds()
    (world.root / "cluster_model" / "all.parquet").unlink()
    assert Task(ALL, ("cluster_model",)) in world.outlook().requests

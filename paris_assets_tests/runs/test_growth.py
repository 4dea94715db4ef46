"""A source that grows: what a further file adds, what it leaves as it is, and what a refit redoes."""

from __future__ import annotations

import json
import shutil
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any, NamedTuple

import polars as pl
import pytest
import yaml

from paris_assets.clusters import reported
from paris_assets.dag.graph import descendants
from paris_assets.dag.records import ALL
from paris_assets.runs.run import Request
from paris_assets_tests.fixtures import direct, small_world
from paris_assets_tests.fixtures.brief import brief_report
from paris_assets_tests.runs.test_changes import table

pytestmark = [pytest.mark.long, pytest.mark.slow]

Row = tuple[bytes, str]
SHARD_ASSETS = {name for name, node in direct.GRAPH.items() if node.partitioned}
GLOBAL_ASSETS = {name for name, node in direct.GRAPH.items() if not node.partitioned}
NOT_REFITTED = GLOBAL_ASSETS - {"cluster_model"}


def photo(seed: int, side: int = 64, text: str = "") -> Row:
    """A picture; with another side a re-encoded copy of it, of more pixels."""
    return small_world.picture(seed, (side, side)), text


OLD = [photo(seed) for seed in range(30)]  # two shards of 15
NEW = [
    *(photo(seed) for seed in range(100, 108)),
    photo(3, 96),
    photo(4, 96),
    photo(104, 96),
    photo(5, text="the fifth picture again"),
]


def add(source: Path, name: str, rows: list[Row]) -> None:
    """A further file of the source: a table, or images where the source is a folder of images."""
    if source.name == "images":
        for number, (data, _) in enumerate(rows):
            (source / f"{name}-{number:03d}.jpg").write_bytes(data)
        return
    images, texts = zip(*rows, strict=True)
    columns = {"image": pl.Series(images, dtype=pl.Binary), "text": texts}
    pl.DataFrame(columns).write_parquet(source / f"{name}.parquet")


class World(NamedTuple):
    """A source, and the root of a finished run on it."""

    source: Path
    root: Path
    settings: dict[str, Any]

    def run(self, request: Request | None = None, **settings: Any) -> set[direct.Partition]:
        profile = small_world.profile(self.source, **self.settings, **settings)
        return direct.bring_up_to_date(profile, self.root, request)

    def grow(self, rows: list[Row], name: str = "n", **settings: Any) -> set[direct.Partition]:
        add(self.source, name, rows)
        return self.run(**settings)

    def fresh(self, folder: Path) -> Path:
        """The root of a fresh run on the source as it is."""
        direct.bring_up_to_date(small_world.profile(self.source, **self.settings), folder)
        return folder

    def shards(self) -> list[str]:
        return pl.read_parquet(self.root / "shards.parquet")["shard"].to_list()

    def manifest(self) -> dict[str, Any]:
        return json.loads((self.root / "pipeline_manifest.json").read_text())


@pytest.fixture(scope="module", autouse=True)
def _brief() -> Iterator[None]:
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(reported, "write_report", brief_report)
        yield


Worlds = Callable[..., World]


@pytest.fixture(scope="module")
def finished(tmp_path_factory: pytest.TempPathFactory) -> Callable[[str, str], World]:
    """Finished runs by kind of source and growth, each made once."""
    made: dict[tuple[str, str], World] = {}

    def make(kind: str, growth: str) -> World:
        if (kind, growth) not in made:
            folder = tmp_path_factory.mktemp("finished")
            settings = {"source__rows_per_shard": 15, "duplicates__growth": growth}
            world = World(folder / kind, folder / "root", settings)
            world.source.mkdir()
            add(world.source, "m", OLD)
            world.run()
            made[kind, growth] = world
        return made[kind, growth]

    return make


@pytest.fixture
def worlds(finished: Callable[[str, str], World], tmp_path: Path) -> Worlds:
    """A copy of a finished world in another place, to be changed."""

    def copy(growth: str = "keep_published", kind: str = "tables") -> World:
        world = finished(kind, growth)
        source, root = (Path(shutil.copytree(path, tmp_path / path.name)) for path in (world.source, world.root))
        profile = yaml.safe_load((root / "profile.yaml").read_text())
        profile["source"]["path"] = str(source)
        (root / "profile.yaml").write_text(yaml.safe_dump(profile, sort_keys=False))
        copied = World(source, root, world.settings)
        assert copied.run() == set()
        return copied

    return copy


def of(assets: set[str], shards: list[str]) -> set[direct.Partition]:
    return {(asset, shard) for asset in assets for shard in ([ALL] if asset in GLOBAL_ASSETS else shards)}


def tars(root: Path) -> dict[str, str]:
    """sha256 of every file that experts and router are trained on, shard by shard."""
    return {
        path: digest
        for path, digest in small_world.contents(root).items()
        if path.startswith(("expert_shards/", "router_arrays/"))
        and path not in ("expert_shards/empty_prompt.npy", "expert_shards/README.md")
    }


def keepers(root: Path) -> dict[int, int]:
    """Source row -> source row of the image that stands for it."""
    groups = table(root, "duplicate_groups")
    kept = groups.filter("keeper").select("group_id", kept="source_row")
    assert kept["group_id"].is_unique().all()
    return dict(groups.join(kept, on="group_id").select("source_row", "kept").sort("source_row").iter_rows())


def test_a_new_file_adds_files_and_changes_none(worlds: Worlds) -> None:
    world = worlds()
    registry = pl.read_parquet(world.root / "shards.parquet")
    stamps, published = direct.stamps(world.root), tars(world.root)
    groups = table(world.root, "duplicate_groups")
    assert world.grow(NEW) == of(NOT_REFITTED | SHARD_ASSETS, ["00002"])
    assert pl.read_parquet(world.root / "shards.parquet")[:2].equals(registry)
    assert world.shards() == ["00000", "00001", "00002"]
    touched = direct.touched(stamps, direct.stamps(world.root)) & stamps.keys()
    named = direct.owners(world.root)
    assert {named[path] for path in touched - direct.FIXED} == of(NOT_REFITTED, [])
    assert tars(world.root).items() > published.items()
    assert table(world.root, "duplicate_groups").filter(pl.col("shard") < "00002").equals(groups)
    assert world.manifest()["shards_fitted_on"] == ["00000", "00001"]
    assert world.manifest()["shards"] == ["00000", "00001", "00002"]
    assert world.run() == set()


def test_a_curated_image_stays_when_a_better_copy_comes(worlds: Worlds) -> None:
    world = worlds()
    world.grow(NEW)
    found = keepers(world.root)
    assert {row: kept for row, kept in found.items() if row != kept} == {38: 3, 39: 4, 34: 40, 41: 5}
    texts = table(world.root, "curated_images").filter(pl.col("alt_texts").list.len() > 0)
    assert texts.is_empty(), "a published row has changed"


@pytest.mark.extended
def test_rerank_keeps_the_better_copy_and_redoes_only_its_shards(worlds: Worlds, tmp_path: Path) -> None:
    """And then, with a refit, nothing tells that the source has grown."""
    world = worlds("rerank")
    stamps, before = direct.stamps(world.root), direct.records(world.root)
    arrays = small_world.contents(world.root)
    made = world.grow(NEW)
    found = keepers(world.root)
    assert {row: kept for row, kept in found.items() if row != kept} == {3: 38, 4: 39, 34: 40, 41: 5}
    redone = {"curated_images", "captions", "text_embeddings", "image_embeddings", "latents"}
    assigned = {"cluster_assignments", "training_selection", "expert_shards", "router_arrays"}
    assert made == of(NOT_REFITTED | SHARD_ASSETS, ["00002"]) | of(redone | assigned, ["00000"])
    after = direct.records(world.root)
    assert after["cluster_model", ALL] == before["cluster_model", ALL]
    paths = [path for path in stamps if "00001" in path]
    assert len(paths) > 10
    assert not direct.touched(stamps, direct.stamps(world.root)) & set(paths)
    grown = small_world.contents(world.root)
    assert not [path for path in arrays if path.startswith("router_arrays/00001/") and grown[path] != arrays[path]]
    fresh = small_world.contents(world.fresh(tmp_path / "fresh"))
    upstream = direct.GRAPH.keys() - descendants(direct.GRAPH, "cluster_model")
    for asset in upstream:
        assert {path: grown[path] for path in grown if path.startswith(f"{asset}/")} == {
            path: fresh[path] for path in fresh if path.startswith(f"{asset}/")
        }, asset
    world.run(Request(start="cluster_model"))
    assert small_world.contents(world.root) == fresh


def test_refit_redoes_what_follows_and_nothing_before(worlds: Worlds) -> None:
    world = worlds()
    world.grow(NEW)
    before, stamps = direct.records(world.root), direct.stamps(world.root)
    made = world.run(Request(start="cluster_model"))
    assert made == of(descendants(direct.GRAPH, "cluster_model"), world.shards())
    after = direct.records(world.root)
    assert after["cluster_model", ALL].content != before["cluster_model", ALL].content
    assert world.manifest()["shards_fitted_on"] == world.manifest()["shards"] == world.shards()
    named = direct.owners(world.root)
    written = direct.touched(stamps, direct.stamps(world.root)) - direct.FIXED
    assert {named[path] for path in written if path in named} == made
    assert world.run() == set()


def test_force_makes_everything_again_with_the_same_bytes(worlds: Worlds) -> None:
    """Of a grown root as well: the groups that were settled stay so. Only the fit then knows the new images."""
    world = worlds()
    world.grow(NEW)
    world.run(Request(start="cluster_model"))
    before = small_world.contents(world.root)
    assert world.run(Request(force=True)) == of(SHARD_ASSETS | GLOBAL_ASSETS, world.shards())
    assert small_world.contents(world.root) == before


def test_growing_twice(worlds: Worlds, tmp_path: Path) -> None:
    """The first growth's images are published when the second comes; the order of registration stays."""
    world = worlds()
    world.grow(NEW)
    published = tars(world.root)
    groups = table(world.root, "duplicate_groups")
    later = [photo(200), photo(201), photo(100, 96), photo(3, 128), photo(202)]
    world.grow(later, "o")
    assert table(world.root, "duplicate_groups").filter(pl.col("shard") < "00003").equals(groups)
    found = keepers(world.root)
    assert {row: found[row] for row in range(42, 47)} == {42: 42, 43: 43, 44: 30, 45: 3, 46: 46}
    assert tars(world.root).items() > published.items()
    assert world.manifest()["shards_fitted_on"] == ["00000", "00001"]
    assert world.manifest()["shards"] == ["00000", "00001", "00002", "00003"]


@pytest.mark.extended
def test_rerank_does_not_depend_on_how_the_source_grew(worlds: Worlds, tmp_path: Path) -> None:
    world = worlds("rerank")
    world.grow(NEW)
    world.grow([photo(200), photo(100, 96), photo(3, 128)], "o")
    world.run(Request(start="cluster_model"))
    assert small_world.contents(world.root) == small_world.contents(world.fresh(tmp_path / "fresh"))


def test_a_changed_setting_decides_the_groups_afresh(worlds: Worlds, tmp_path: Path) -> None:
    """Of a grown root too: the result is that of a fresh run, better copies included."""
    world = worlds()
    world.grow(NEW)
    assert keepers(world.root)[38] == 3
    strict: dict[str, Any] = {"duplicates__radius": 6, "clusters__k": 2}
    world.run(**strict)
    assert keepers(world.root)[3] == 38
    changed = World(world.source, tmp_path / "fresh", world.settings | strict)
    changed.run()
    assert small_world.contents(world.root) == small_world.contents(changed.root)


def test_a_setting_without_effect_before_growth_withdraws_nothing(worlds: Worlds) -> None:
    """A rule that changes no verdict leaves the groups settled."""
    world = worlds()
    rules = [{"name": "short_side", "column": "short_side", "min": 33}]
    world.run(curation__signal_rules=rules)
    published = tars(world.root)
    world.grow(NEW, curation__signal_rules=rules)
    assert keepers(world.root)[38] == 3
    assert tars(world.root).items() > published.items()


@pytest.mark.parametrize("growth", ["keep_published", "rerank"])
def test_a_new_shard_of_nothing_but_copies(worlds: Worlds, tmp_path: Path, growth: str) -> None:
    world = worlds(growth)
    published = tars(world.root)
    world.grow([(data, "the same again") for data, _ in OLD[:10]])
    assert table(world.root, "curated_images").height == len(OLD)
    assert pl.read_parquet(world.root / "curated_images" / "00002.parquet").is_empty()
    added = {path for path in tars(world.root) if path not in published}
    assert {path.split("/")[1] for path in added} == {"00002", "00002.parquet"}
    kept = {path: digest for path, digest in tars(world.root).items() if not path.endswith(".parquet")}
    assert kept.items() >= {path: digest for path, digest in published.items() if not path.endswith(".parquet")}.items()
    texts = table(world.root, "curated_images").filter(pl.col("alt_texts").list.len() > 0).height
    assert texts == (10 if growth == "rerank" else 0)
    if growth == "rerank":
        world.run(Request(start="cluster_model"))
        assert small_world.contents(world.root) == small_world.contents(world.fresh(tmp_path / "fresh"))


def test_a_new_file_that_sorts_before_the_old_one(worlds: Worlds) -> None:
    world = worlds()
    published = tars(world.root)
    old = table(world.root, "curated_images").filter(pl.col("source_row") < len(OLD))
    world.grow(NEW, "a")
    registry = pl.read_parquet(world.root / "shards.parquet")
    assert registry["file"].to_list() == ["m.parquet", "m.parquet", "a.parquet"]
    assert registry["source_row"].to_list() == [0, 15, 30]
    assert table(world.root, "curated_images").filter(pl.col("source_row") < len(OLD)).equals(old)
    assert tars(world.root).items() > published.items()


@pytest.mark.parametrize("name", ["n", "a"])
def test_a_folder_of_images_grows(worlds: Worlds, name: str) -> None:
    """Images that come later are a further shard, wherever their names sort."""
    world = worlds(kind="images")
    stamps, published = direct.stamps(world.root), tars(world.root)
    made = world.grow(NEW, name)
    assert made == of(NOT_REFITTED | SHARD_ASSETS, ["00002"])
    assert tars(world.root).items() > published.items()
    assert not [
        path for path in direct.touched(stamps, direct.stamps(world.root)) if path.startswith("raw_images/00001")
    ]
    assert keepers(world.root)[38] == 3


@pytest.mark.parametrize("begun", [False, True])
def test_a_shard_that_is_missing_is_growth_when_it_comes(worlds: Worlds, begun: bool) -> None:
    """With `allow_missing_shards` the others are published first; what they published stays."""
    world = worlds()
    add(world.source, "n", NEW)
    if begun:
        world.run(Request(select=("source_rows", "raw_images"), shards=("00002",)), allow_missing_shards=True)
    world.run(Request(shards=("00000", "00001")), allow_missing_shards=True)
    assert world.shards() == ["00000", "00001", "00002"]
    assert world.manifest()["shards_missing"] == ["00002"]
    published = tars(world.root)
    world.run(allow_missing_shards=True)
    assert world.manifest()["shards_missing"] == []
    assert tars(world.root).items() > published.items()
    assert keepers(world.root)[38] == 3


@pytest.mark.slow
def test_numbers_stay_through_a_new_fit(worlds: Worlds) -> None:
    world = worlds()
    world.grow(NEW)
    before = table(world.root, "cluster_assignments").select("image_id", "cluster")
    world.run(clusters__keep_numbers=True)
    after = table(world.root, "cluster_assignments").join(before, on="image_id", suffix="_before")
    numbers = direct.records(world.root)["cluster_model", ALL].facts["numbers"]
    assert numbers["agreement"] == after.select((pl.col("cluster") == pl.col("cluster_before")).mean()).item()
    contents = small_world.contents(world.root)
    world.run(Request(start="cluster_model"), clusters__keep_numbers=True)
    assert small_world.contents(world.root) == contents


@pytest.mark.slow
def test_a_reduction_stays_when_the_source_grows(worlds: Worlds) -> None:
    """New rows are brought into the space of the fit, and the manifest names it."""
    world, reduced = worlds(), dict[str, Any](clusters__reduce="pca", clusters__dims=4, clusters__sweep=[2, 3])
    world.run(**reduced)
    before, model = table(world.root, "cluster_assignments"), direct.records(world.root)["cluster_model", ALL]
    world.grow(NEW, **reduced)
    assert direct.records(world.root)["cluster_model", ALL] == model
    after = table(world.root, "cluster_assignments")
    assert after.height > before.height
    assert after.filter(pl.col("image_id").is_in(before["image_id"].to_list())).equals(before)
    assert world.manifest()["cluster_reduction"]["reduced_dimensions"] == 4
    assert direct.records(world.root)["cluster_report", ALL].facts["recommended_k"] in (2, 3)

"""`paris takedown`: images go from everything that was made of them, all else stays, and they do not come back."""

from __future__ import annotations

import hashlib
import json
import shutil
from collections.abc import Sequence
from pathlib import Path

import polars as pl
import pytest

from paris_assets.cli import main
from paris_assets.config import Profile
from paris_assets.dag.tables import Tables
from paris_assets.dag.takedowns import TAKEDOWNS, TakedownError
from paris_assets.definitions import ASSETS, open_catalog
from paris_assets.errors import UsageError
from paris_assets.runs.takedown import TakedownRequest, record
from paris_assets.runs.taken_down import find, holders, left_over, read_named
from paris_assets_tests.fixtures import direct, made_up, small_world
from paris_assets_tests.runs.test_concepts import add
from paris_assets_tests.runs.test_concepts import profile as with_concepts

PUBLISHED = ("expert_shards", "router_arrays")


@pytest.fixture
def root(small_finished: Path, tmp_path: Path) -> Path:
    return Path(shutil.copytree(small_finished, tmp_path / "root"))


@pytest.fixture
def profile(small_source: Path) -> Profile:
    return small_world.profile(small_source)


def published_ids(root: Path, shard: str = "*") -> list[str]:
    files = sorted((root / "router_arrays").glob(f"{shard}.parquet"))
    return pl.concat([pl.read_parquet(file) for file in files])["image_id"].to_list()


def ask(root: Path, *named: str, copies: bool = True) -> bool:
    """Record a request, as the command does before it makes anything again."""
    catalog = open_catalog(str(root))
    found = find(Tables(catalog), read_named(named), copies)
    return record(catalog, found, TakedownRequest(named, "asked", copies))


def held(root: Path, image_ids: Sequence[str]) -> set[str]:
    """Files under a root that hold an id in their bytes."""
    texts = [image_id.encode() for image_id in image_ids]
    files = [path for path in root.rglob("*") if path.is_file() and ".dagster" not in path.parts]
    found = {str(path.relative_to(root)) for path in files if any(text in path.read_bytes() for text in texts)}
    return found | set(holders(Tables(open_catalog(str(root))), image_ids))


def test_an_image_goes_from_everything_and_all_else_stays(
    root: Path, profile: Profile, capsys: pytest.CaptureFixture[str]
) -> None:
    gone, before = published_ids(root, "00001")[2], small_world.contents(root)
    body = (root / "raw_images/00001.tar").read_bytes()
    ledger = pl.read_parquet(root / "raw_images/00001.parquet").row(by_predicate=pl.col("image_id") == gone, named=True)
    picture = body[ledger["offset"] : ledger["offset"] + ledger["size_bytes"]]
    assert hashlib.sha256(picture).hexdigest() == ledger["sha256"]
    assert held(root, [gone])
    assets = ("duplicate_groups", "training_split", "latents", "captions", "cluster_assignments")
    tables = {asset: direct.table(root, asset) for asset in assets}
    assert ask(root, gone)
    made = direct.bring_up_to_date(profile, root)
    assert held(root, [gone]) == {TAKEDOWNS}
    assert picture not in (root / "raw_images/00001.tar").read_bytes()
    after = small_world.contents(root)
    changed = {path for path in before if after.get(path) != before[path]}
    # Of other shards nothing is another; of tables of all shards only those with a row per image, and what tells of it.
    assert not {path for path in changed if "/00000" in path or "/00002" in path}
    assert {asset for asset, key in made if key == "all"} == {
        "duplicate_groups", "training_split", "cluster_values", "cluster_report", "latent_report", "expert_summary",
        "pipeline_manifest",
    }  # fmt: skip
    assert after["cluster_model/all.parquet"] == before["cluster_model/all.parquet"]
    row = pl.read_parquet(root / "raw_images/00001.parquet").filter(source_row=ledger["source_row"]).row(0, named=True)
    assert (row["status"], row["reason"], row["image_id"], row["sha256"], row["offset"]) == (
        "failed", "takedown", None, None, None,
    )  # fmt: skip
    for asset, rows in tables.items():
        assert direct.table(root, asset).equals(rows.filter(pl.col("image_id") != gone)), asset
    assert direct.bring_up_to_date(profile, root) == set()
    assert main(["verify", str(root)]) == 0
    manifest = json.loads((root / "pipeline_manifest.json").read_text())
    assert manifest["counts"]["raw_images"]["rejects"]["takedown"] == 1
    assert manifest["takedowns"] | {"sha256": ""} == {"requests": 1, "images": 1, "sha256": ""}
    assert gone not in (root / "pipeline_manifest.json").read_text()
    capsys.readouterr()


@pytest.mark.slow
def test_a_run_that_begins_with_the_list_writes_the_same_tars(
    small_source: Path, root: Path, profile: Profile, tmp_path: Path
) -> None:
    """What the touched files would have been: those of a run that never kept the image, all else decided as it was."""
    gone = published_ids(root, "00002")[0]
    ask(root, gone)
    direct.bring_up_to_date(profile, root)
    fresh = tmp_path / "fresh"
    fresh.mkdir()
    listed = json.loads((root / TAKEDOWNS).read_text())
    (fresh / TAKEDOWNS).write_text(json.dumps(listed))
    direct.bring_up_to_date(profile, fresh)
    ours, theirs = small_world.contents(root), small_world.contents(fresh)
    for path in ("raw_images/00002.tar", "raw_images/00002.parquet", "image_signals/00002.parquet"):
        assert ours[path] == theirs[path], path


@pytest.mark.slow
def test_it_goes_on_where_it_was_stopped(root: Path, profile: Profile) -> None:
    first, second = published_ids(root, "00000")[0], published_ids(root, "00001")[0]
    ask(root, first)
    catalog = direct.catalog_of(profile, root)
    maker = direct.Maker(catalog)
    maker.make("raw_images", "00000")  # and here the process is killed
    maker.files.close()
    assert catalog.done("raw_images", "00000")
    assert ask(root, second), "another request comes before the first is done"
    assert not ask(root, first), "the same request again changes nothing"
    direct.bring_up_to_date(profile, root)
    assert held(root, [first, second]) == {TAKEDOWNS}
    assert main(["verify", str(root)]) == 0


@pytest.mark.slow
def test_the_same_bytes_do_not_come_back_under_another_name(root: Path, small_source: Path, tmp_path: Path) -> None:
    rows = pl.read_parquet(small_source)
    gone = published_ids(root, "00000")[0]
    ask(root, gone)
    folder = tmp_path / "source"
    folder.mkdir()
    shutil.copy(small_source, folder / "a.parquet")
    grown = tmp_path / "grown"
    profile = small_world.profile(str(folder / "*.parquet"))
    direct.bring_up_to_date(profile, grown)
    assert ask(grown, gone)
    direct.bring_up_to_date(profile, grown)
    body = next(data for data in rows["image"].drop_nulls() if hashlib.sha256(data).hexdigest()[:32] == gone)
    new = pl.DataFrame({"uid": ["other.jpg"], "image": [body], "text": ["the same picture under another name"]})
    pl.concat([new, rows.head(3).with_columns(uid=pl.lit("again"))]).write_parquet(folder / "b.parquet")
    direct.bring_up_to_date(profile, grown)
    ledger = pl.read_parquet(sorted((grown / "raw_images").glob("*.parquet"))[-1])
    assert ledger.filter(uid="other.jpg")["reason"].to_list() == ["takedown"]
    assert held(grown, [gone]) == {TAKEDOWNS}


@pytest.mark.slow
def test_copies_go_as_well_unless_they_are_to_stay(root: Path, profile: Profile) -> None:
    groups = pl.read_parquet(root / "duplicate_groups/all.parquet")
    near = groups.filter(method="phash").row(0, named=True)
    keeper = groups.filter(pl.col("group_id") == near["group_id"], pl.col("keeper")).row(0, named=True)
    other = Path(shutil.copytree(root, root.parent / "other"))
    ask(root, keeper["image_id"])
    direct.bring_up_to_date(profile, root)
    assert held(root, [keeper["image_id"], near["image_id"]]) == {TAKEDOWNS}
    ask(other, keeper["image_id"], copies=False)
    direct.bring_up_to_date(profile, other)
    assert held(other, [keeper["image_id"]]) == {TAKEDOWNS}
    taken = pl.read_parquet(other / "duplicate_groups/all.parquet").filter(image_id=near["image_id"])
    assert taken["keeper"].to_list() == [True]
    assert near["image_id"] in published_ids(other)
    assert main(["verify", str(other)]) == 0


def test_what_can_be_named(root: Path, tmp_path: Path) -> None:
    tables = Tables(open_catalog(str(root)))
    ledger = direct.table(root, "raw_images").filter(status="ok")
    one, two = ledger.row(0, named=True), ledger.row(5, named=True)
    with (root / "raw_images/00000.tar").open("rb") as tar:
        found = pl.read_parquet(root / "raw_images/00000.parquet").filter(status="ok").row(0, named=True)
        tar.seek(found["offset"])
        picture = tmp_path / "picture.jpg"
        picture.write_bytes(tar.read(found["size_bytes"]))
    listed = tmp_path / "list.txt"
    listed.write_text(f"# asked on Monday\n{one['uid']}\n\n{two['image_id'].upper()}\n")
    assert find(tables, read_named([str(picture)]), False).image_ids == [found["image_id"]]
    both = find(tables, read_named([str(listed)]), False)
    assert set(both.image_ids) == {one["image_id"], two["image_id"]}
    assert set(both.rows["source_row"]) >= {one["source_row"], two["source_row"]}
    assert find(tables, read_named([f"row:{one['source_row']}"]), False).image_ids == [one["image_id"]]
    unknown = find(tables, read_named(["http://elsewhere.example/1.jpg", "0" * 32]), False)
    assert (unknown.image_ids, unknown.urls) == (["0" * 32], ["http://elsewhere.example/1.jpg"])
    assert unknown.rows.is_empty()
    with pytest.raises(UsageError, match=r"nothing known of 'nobody\.jpg'"):
        find(tables, read_named(["nobody.jpg"]), False)
    (tmp_path / "bytes").write_bytes(b"\xff\xfe\x00\x01")
    with pytest.raises(UsageError, match="neither an image nor UTF-8 text"):
        read_named([str(tmp_path / "bytes")])


def test_what_would_be_fetched_again_is_refused(root: Path, profile: Profile) -> None:
    gone = published_ids(root)[0]
    catalog = open_catalog(
        str(root), profile.model_copy(update={"ingest": profile.ingest.model_copy(update={"max_bytes": 5000})})
    )
    found = find(Tables(catalog), read_named([gone]), True)
    with pytest.raises(UsageError, match=r"nothing was done: raw_images \[0000\d\] is out of date"):
        record(catalog, found, TakedownRequest([gone]))
    assert not (root / TAKEDOWNS).exists()
    assert record(catalog, found, TakedownRequest([gone], record_only=True))


def test_a_broken_list_stops_everything(root: Path) -> None:
    (root / TAKEDOWNS).write_text("[]")
    with pytest.raises(TakedownError, match="is no list of takedowns"):
        open_catalog(str(root)).wanted("raw_images", "00000")


@pytest.mark.slow
def test_what_is_counted_over_all_images_is_not_counted_anew(tmp_path: Path) -> None:
    """Weights of all samples would change with the count of a concept, and the bound of a share with one image."""
    add(tmp_path / "list", "m", range(30))
    profile = with_concepts(tmp_path / "list", clusters__keep_fraction=0.7, clusters__prefer="near")
    direct.bring_up_to_date(profile, tmp_path / "root")
    root, before = tmp_path / "root", small_world.contents(tmp_path / "root")
    gone = published_ids(root, "00001")[0]
    decided = ("concept_counts", "cluster_values")
    tables = [pl.read_parquet(root / asset / "all.parquet") for asset in decided]
    ask(root, gone)
    direct.bring_up_to_date(profile, root)
    assert held(root, [gone]) == {TAKEDOWNS}
    for asset, rows in zip(decided, tables, strict=True):
        assert pl.read_parquet(root / asset / "all.parquet").equals(rows)
    after = small_world.contents(root)
    assert not {path for path in before if "/00000" in path and after.get(path) != before[path]}
    assert after["analysis/concepts.html"] == before["analysis/concepts.html"]
    assert main(["verify", str(root)]) == 0
    assert direct.bring_up_to_date(profile, root) == set()


@pytest.mark.slow
def test_the_command_from_end_to_end(root: Path, profile: Profile, capfd: pytest.CaptureFixture[str]) -> None:
    gone, before = published_ids(root, "00001")[0], small_world.contents(root)
    assert main(["takedown", gone, "--root", str(root), "--dry-run"]) == 0
    said = capfd.readouterr().err
    assert "would take down 1 image, 1 source row, shards 00001" in said
    assert "in router_arrays [00001]: router_arrays/00001/clip.npy" in said
    assert "in expert_shards [00001]: among expert_shards/cluster_" in said
    assert "made again, without them: cluster_report, expert_summary, latent_report, pipeline_manifest" in said
    assert small_world.contents(root) == before
    assert main(["takedown", gone, "--root", str(root), "--record-only"]) == 0
    assert main(["verify", str(root)]) == 1
    assert "expected takedowns of 1 images, found one from before the last was asked for" in capfd.readouterr().out
    assert main(["takedown", gone, "--root", str(root), "--reason", "asked"]) == 0
    said = capfd.readouterr().err
    assert "all of this was taken down before" in said
    assert "they are in no table and no published file" in said
    assert held(root, [gone]) == {TAKEDOWNS}
    assert direct.bring_up_to_date(profile, root) == set()
    assert main(["inspect", gone, "--root", str(root)]) == 1
    assert f"image {gone} was taken down, asked at " in capfd.readouterr().out
    assert main(["takedown", "nobody.jpg", "--root", str(root)]) == 2


def test_files_that_the_profile_no_longer_makes_are_named(tmp_path: Path) -> None:
    store = made_up.flat_root(tmp_path, probe={})
    store.put("training_probe", pl.DataFrame({"image_id": ["a", "b"]}))
    assert left_over(store.tables, ASSETS, ["a"]) == []
    later = store.under(probe=None).tables
    assert left_over(later, ASSETS, ["a"]) == ["training_probe/*.parquet", "analysis/training_probe.*"]
    assert left_over(later, ASSETS, ["c"]) == left_over(later, ASSETS, []) == []


@pytest.mark.slow
def test_settings_that_change_meanwhile_decide_anew(root: Path, small_source: Path, profile: Profile) -> None:
    """What was asked for and not finished pins nothing once settings are others: the result is that of a fresh run."""
    gone = published_ids(root, "00000")[1]
    ask(root, gone)
    stricter = small_world.profile(
        small_source, curation__signal_rules=[{"name": "short_side", "column": "short_side", "min": 64}]
    )
    direct.bring_up_to_date(stricter, root)
    assert held(root, [gone]) == {TAKEDOWNS}
    assert main(["verify", str(root)]) == 0
    groups = pl.read_parquet(root / "duplicate_groups/all.parquet")
    kept = direct.table(root, "filtered_images").filter("kept")
    assert set(groups["image_id"]) == set(kept["image_id"])

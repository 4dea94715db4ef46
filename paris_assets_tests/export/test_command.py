"""`paris export`: what is written where, what is gone on with, and what is refused."""

from __future__ import annotations

import json
import os
from collections.abc import Callable
from pathlib import Path
from typing import Any
from unittest import mock

import polars as pl
import pyarrow.parquet as pq
import pytest

from paris_assets.cli import main
from paris_assets.errors import FileError, MissingInput, UsageError
from paris_assets.export import command
from paris_assets.export.command import export_command
from paris_assets.storage.location import Location
from paris_assets_tests.export import world
from paris_assets_tests.fixtures.made_up import SHARD, MadeUpRoot

Stamps = dict[str, tuple[int, int]]


@pytest.fixture
def store(tmp_path: Path) -> MadeUpRoot:
    return world.finished(tmp_path / "root")


@pytest.fixture
def out(tmp_path: Path) -> Path:
    return tmp_path / "out"


def export(store: MadeUpRoot, out: Path, only: Any = "kept", images: bool = False) -> None:
    assert export_command(store.catalog, Location(out), only, images) == 0


def written(out: Path) -> Stamps:
    files = [path for path in out.rglob("*") if path.is_file()]
    return {str(path.relative_to(out)): (path.stat().st_ino, path.stat().st_mtime_ns) for path in files}


def table(out: Path, shard: str) -> Path:
    return out / f"image_profiles/{shard}.parquet"


def test_a_file_per_shard_and_what_the_folder_holds(
    store: MadeUpRoot, out: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    export(store, out)
    assert set(written(out)) == {"export.json", *(f"image_profiles/{shard}.parquet" for shard in world.SHARDS)}
    assert not (out / ".scratch").exists()
    statement = json.loads((out / "export.json").read_text())
    root = str(Path(store.root.url).resolve())
    assert statement == {
        "format": "parquet", "table": "image_profiles", "root": root, "only": "kept", "images": False,
        "card": False,
    }  # fmt: skip
    rows = pl.read_parquet(out / "image_profiles" / "*.parquet")
    assert rows["image_id"].to_list() == [name for shard in world.SHARDS for name in world.names(shard)[: world.KEPT]]
    assert rows.schema["image_clip_emb_vit_l_14"] == pl.Array(pl.Float32, world.DIM)
    said = capsys.readouterr().out
    assert said.startswith("12 images in 2 files, ")
    assert f'datasets.load_dataset("parquet", data_files="{out}/image_profiles/*.parquet")' in said
    assert "without columns" not in said


def test_images_are_the_files_as_fetched(store: MadeUpRoot, out: Path) -> None:
    export(store, out, "all", images=True)
    file = pq.ParquetFile(table(out, SHARD))
    found = file.read(["image_id", "image"]).to_pylist()
    assert [row["image"]["path"] for row in found] == [f"{row['image_id']}.jpg" for row in found]
    assert sorted(row["image"]["bytes"] for row in found) == sorted(world.files(SHARD))
    features = json.loads((file.schema_arrow.metadata or {})[b"huggingface"])
    assert features["info"]["features"] == {"image": {"_type": "Image"}}


def test_descriptions_travel_with_the_columns(store: MadeUpRoot, out: Path) -> None:
    export(store, out)
    field = pq.read_schema(table(out, SHARD)).field("img_vd_noise")
    assert field.metadata[b"description"] == b"degradation_noise, else noise over 50 grey levels, 0-1"


def test_what_is_there_stays_and_what_changed_is_written_again(
    store: MadeUpRoot, out: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    export(store, out)
    before = written(out)
    export(store, out)
    assert written(out) == before
    assert "2 of them there before" in capsys.readouterr().out
    captions = store.read("captions", "00001").with_columns(caption=pl.lit("another"))
    world.put(store, "captions", "00001", captions)
    export(store, out)
    after = written(out)
    assert {name for name in after if after[name] != before[name]} == {"image_profiles/00001.parquet"}
    assert pl.read_parquet(table(out, "00001"))["caption"].unique().to_list() == ["another"]


@pytest.mark.parametrize(
    "damage",
    [os.unlink, lambda path: path.write_bytes(path.read_bytes()[:500]), lambda path: path.write_bytes(b"")],
    ids=["gone", "cut off", "empty"],
)
def test_a_file_that_is_not_whole_is_written_again(
    store: MadeUpRoot, out: Path, damage: Callable[[Path], object]
) -> None:
    export(store, out)
    whole = table(out, SHARD).read_bytes()
    damage(table(out, SHARD))
    export(store, out)
    assert table(out, SHARD).read_bytes() == whole


def test_an_export_that_stops_leaves_whole_files_and_is_gone_on_with(store: MadeUpRoot, out: Path) -> None:
    def stops(path: Path, *rest: Any) -> None:
        if table(out, SHARD).exists():
            path.write_bytes(b"half")
            raise KeyboardInterrupt
        written_whole(path, *rest)

    written_whole = command.write_parquet
    with mock.patch.object(command, "write_parquet", stops), pytest.raises(KeyboardInterrupt):
        export(store, out)
    first = written(out)
    assert set(first) == {"export.json", f"image_profiles/{SHARD}.parquet"}
    export(store, out)
    assert written(out).items() > first.items()
    assert pl.read_parquet(table(out, "00001")).height == world.KEPT


def test_a_table_that_changes_meanwhile_is_not_mixed_with_the_others(store: MadeUpRoot, out: Path) -> None:
    def meanwhile(path: Path, *rest: Any) -> None:
        written_whole(path, *rest)
        captions = store.read("captions", SHARD).with_columns(caption=pl.lit("another"))
        world.put(store, "captions", SHARD, captions)

    written_whole = command.write_parquet
    with (
        mock.patch.object(command, "write_parquet", meanwhile),
        pytest.raises(MissingInput, match="tables of shard 00000 were made again while it was exported"),
    ):
        export(store, out)
    assert not table(out, SHARD).exists()


def test_places_that_are_refused(store: MadeUpRoot, out: Path, tmp_path: Path) -> None:
    full = tmp_path / "full"
    full.mkdir()
    (full / "mine.txt").write_text("mine")
    with pytest.raises(UsageError, match="holds files, and no export of this command: name a new or empty folder"):
        export(store, full)
    assert [path.name for path in full.iterdir()] == ["mine.txt"]
    for within in (Path(store.root.url), Path(store.root.url) / "export"):
        with pytest.raises(UsageError, match="is within the root"):
            export(store, within)
    file = tmp_path / "file"
    file.write_text("")
    with pytest.raises(FileError, match="file"):
        export(store, file)
    export(store, out)
    with pytest.raises(UsageError, match="holds an export of images False, not of images True: name another folder"):
        export(store, out, images=True)
    (out / "export.json").write_text("{")
    with pytest.raises(UsageError, match="cannot be read as JSON: delete the export, or name another"):
        export(store, out)


def test_a_table_that_is_missing_is_named_unless_the_profile_allows_it(
    store: MadeUpRoot, out: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    store.root.delete("curated_images/00001.parquet")
    with pytest.raises(MissingInput, match="curated_images/00001 has not been made"):
        export(store, out)
    assert not out.exists()
    export(store.under(picture_embeddings=world.ENCODERS, scores=world.SCORES, allow_missing_shards=True), out)
    assert sorted(path.name for path in (out / "image_profiles").iterdir()) == [f"{SHARD}.parquet"]
    assert "left out: 1 shards that are not finished (00001)" in capsys.readouterr().out


def test_a_later_stage_that_is_not_finished_gives_no_columns(
    store: MadeUpRoot, out: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    store.root.delete("cluster_assignments/00001.parquet")
    export(store, out)
    assert "without columns of cluster_assignments, not finished for every shard" in capsys.readouterr().out
    assert "cluster" not in pl.read_parquet_schema(table(out, SHARD))
    assert "caption" in pl.read_parquet_schema(table(out, SHARD))


def test_shards_of_other_columns_are_refused(store: MadeUpRoot, out: Path) -> None:
    world.put(store, "image_signals", "00001", store.read("image_signals", "00001").drop("own"))
    with pytest.raises(MissingInput, match=r"shard 00001 has other columns than the first one \(own\)"):
        export(store, out)


def test_without_a_run_there_is_nothing_to_export(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    root, out = str(tmp_path / "none"), str(tmp_path / "out")
    assert main(["export", "--format", "parquet", "--root", root, "--out", out]) == 2
    assert "there is no run under" in capsys.readouterr().err
    assert not (tmp_path / "out").exists()


@pytest.mark.parametrize("given", [["--format", "mds", "--out", "x"], ["--format", "parquet"], ["--out", "x"]])
def test_formats_are_named_and_so_is_the_folder(given: list[str], capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit) as end:
        main(["export", *given])
    assert end.value.code == 2
    assert "parquet" in capsys.readouterr().err

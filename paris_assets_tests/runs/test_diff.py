"""`paris diff`: what went in, what came out, and what became of each image."""

from __future__ import annotations

import json
import shutil
from collections.abc import Callable
from pathlib import Path
from typing import Any

import polars as pl
import pytest

from paris_assets.cli import main
from paris_assets.dag.tables import Tables
from paris_assets.definitions import open_catalog
from paris_assets.runs.takedown import TakedownRequest, record
from paris_assets.runs.taken_down import find, read_named
from paris_assets.verification.differences import Change, changes, files, stages
from paris_assets_tests.fixtures import direct, small_world

Diff = Callable[..., tuple[int, dict[str, Any]]]


@pytest.fixture
def diff(capsys: pytest.CaptureFixture[str]) -> Diff:
    def run(before: Path, after: Path) -> tuple[int, dict[str, Any]]:
        capsys.readouterr()
        status = main(["diff", str(before), str(after), "--json"])
        return status, json.loads(capsys.readouterr().out)

    return run


def test_nested_values() -> None:
    old, new = {"a": {"b": 1, "c": [1]}, "d": 2, "same": 0}, {"a": {"b": 2, "c": [1, 2]}, "e": {}, "same": 0}
    assert changes(old, new) == [
        Change("a.b", 1, 2), Change("a.c", [1], [1, 2]), Change("d", 2, None), Change("e", None, {}),
    ]  # fmt: skip


def test_counts_and_files() -> None:
    fetched = {"in": 4, "out": 3, "rejects": {"http_404": 1}}
    old = {"raw_images": fetched, "captions": {"in": 3, "out": 3, "rejects": {}}}
    new = {**old, "raw_images": {"in": 4, "out": 2, "rejects": {"http_404": 1, "takedown": 1}}}
    ((asset, counts),) = stages(old, new, ["raw_images"])
    assert asset == "raw_images"
    assert counts == [Change("out", 3, 2), Change("rejects.takedown", None, 1)]
    assert [stage.asset for stage in stages({name: {"in": 1} for name in "abc"}, {}, ["c", "a"])] == ["c", "a", "b"]
    one = [{"path": "a", "sha256": "1"}, {"path": "b", "sha256": "1"}]
    other = [{"path": "b", "sha256": "2"}, {"path": "c", "sha256": "1"}]
    assert files(one, other) == (["c"], ["a"], ["b"], 0)


def test_what_a_takedown_and_other_settings_change(
    small_finished: Path, small_source: Path, tmp_path: Path, diff: Diff, capsys: pytest.CaptureFixture[str]
) -> None:
    other = Path(shutil.copytree(small_finished, tmp_path / "other"))
    status, found = diff(small_finished, other)
    assert (status, found["same"]) == (0, True)
    catalog = open_catalog(str(other))
    gone = pl.read_parquet(other / "router_arrays/00001.parquet")["image_id"][2]
    record(catalog, find(Tables(catalog), read_named([gone]), True), TakedownRequest([gone]))
    direct.bring_up_to_date(small_world.profile(small_source, curation__score_rules=[]), other)
    status, found = diff(small_finished, other)
    assert status == 1
    names = {change["name"]: change for change in found["values"]}
    assert names["settings.curation.score_rules"]["after"] == []
    assert found["code"] == []
    assert found["source_rows"] == []
    raw = {change["name"]: (change["before"], change["after"]) for change in found["stages"]["raw_images"]}
    assert raw["rejects.takedown"] == (None, 1)
    assert [(row["image_id"], row["stage"], row["reason"]) for row in found["images"]["lost"]] == [
        (gone, "raw_images", "takedown")
    ]
    assert found["images"]["gained"] == []
    assert "raw_images/00001.tar" not in found["files"]["changed"], "what is published, no more"
    assert main(["diff", str(small_finished), str(other)]) == 1
    said = capsys.readouterr().out
    assert "images lost: 1 (in B: raw_images takedown 1)" in said
    assert "raw_images: out 51 -> 50; rejects.takedown none -> 1" in said
    back = diff(other, small_finished)[1]["images"]
    assert [row["reason"] for row in back["gained"]] == ["takedown"]


def test_manifests_without_tables(small_finished: Path, tmp_path: Path, diff: Diff) -> None:
    text = (small_finished / "pipeline_manifest.json").read_text()
    (tmp_path / "old.json").write_text(text)
    assert diff(tmp_path / "old.json", small_finished)[0] == 0
    held = json.loads(text)
    held["images_per_cluster"]["0"] += 1
    held["files"] = held["files"][1:]
    (tmp_path / "old.json").write_text(json.dumps(held))
    status, found = diff(tmp_path / "old.json", small_finished)
    assert (status, found["images"], len(found["files"]["added"])) == (1, None, 1)
    assert [change["name"] for change in found["figures"]] == ["images_per_cluster.0"]
    assert main(["diff", str(tmp_path / "absent"), str(small_finished)]) == 2

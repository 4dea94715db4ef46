"""`paris inspect` tells how each image ended, and which one was kept instead."""

import json
from pathlib import Path

import numpy as np
import polars as pl
import pytest

from paris_assets.dag.records import ALL
from paris_assets.experts.manifest import MANIFEST
from paris_assets.experts.published_settings import published_settings
from paris_assets.runs.inspect import describe, find_occurrences, print_history
from paris_assets.runs.outcome import why_first
from paris_assets_tests.fixtures import made_up
from paris_assets_tests.fixtures.made_up import SHARD, MadeUpRoot

IMAGES = 24
OTHER = "00001"
RULES = [
    {"name": "too_small", "column": "short_side", "min": 160},
    {"name": "too_wide", "column": "aspect", "max": 3.0},
    {"name": "blurred", "column": "blur", "min": 10},
]
FAR = "e" * 32  # an image of the second shard that is a copy of image 3
SMALL, BROKEN = "d" * 32, "c" * 32


@pytest.fixture(scope="module")
def store(tmp_path_factory: pytest.TempPathFactory) -> MadeUpRoot:
    """24 published images in one shard; in another a failed fetch, rejects, copies and a row that is not fetched."""
    settings = {"curation.signal_rules": RULES, "experts.max_samples": 5}
    store = made_up.flat_root(tmp_path_factory.mktemp("story"), **settings)
    names = made_up.publishable(store, IMAGES)
    registry = pl.DataFrame({"shard": [SHARD, OTHER, "00002"], "file": "", "rows": 24, "source_row": [0, 24, 48]})
    made_up.put_registry(Path(store.root.url), registry)
    _put_ledgers(store, names)
    _put_verdicts(store, names)
    made_up.publish(store)
    index = store.read("expert_shards", SHARD).select("path", "samples")
    labels = {"path": [f"router_arrays/{shard}/labels.npy" for shard in (SHARD, OTHER)], "samples": [IMAGES, 0]}
    store.put("pipeline_manifest", pl.concat([index, pl.DataFrame(labels)]))
    return store


def _ledger(rows: list[dict]) -> pl.DataFrame:
    blank = {
        "uid": None,
        "image_id": None,
        "reason": None,
        "http_status": 200,
        "attempts": 1,
        "width": 300,
        "height": 200,
    }
    schema = {"uid": pl.String, "image_id": pl.String, "reason": pl.String, "status": pl.String}
    return pl.DataFrame([{**blank, "status": "ok", "text": "x", **row} for row in rows], schema_overrides=schema)


def _put_ledgers(store: MadeUpRoot, names: list[str]) -> None:
    first = [
        {"source_row": row, "image_id": name, "url": f"http://photos.example/{row}"} for row, name in enumerate(names)
    ]
    failed = {"status": "failed", "reason": "http_503", "http_status": 503, "attempts": 3}
    second = [
        {"source_row": 24, "url": "http://photos.example/24", **failed},
        {"source_row": 25, "url": "http://photos.example/25", "image_id": SMALL, "width": 400, "height": 100},
        {"source_row": 26, "url": "http://photos.example/26", "image_id": BROKEN},
        {"source_row": 27, "url": "http://photos.example/27", "image_id": FAR, "width": 150},
        {"source_row": 28, "url": "http://photos.example/28", "image_id": names[5]},
    ]
    store.put("raw_images", _ledger(first))
    store.put("raw_images", _ledger(second), OTHER)
    for shard, start in ((SHARD, 0), (OTHER, 24), ("00002", 48)):
        rows = pl.DataFrame({"source_row": range(start, start + 24)}).with_columns(
            uid=pl.lit(None, pl.String),
            url=pl.format("http://photos.example/{}", "source_row"),
            text=pl.lit("x"),
            aesthetic=pl.lit(None, pl.Float64),
            locator=pl.lit(None, pl.String),
        )
        store.put("source_rows", rows, shard)


def _put_verdicts(store: MadeUpRoot, names: list[str]) -> None:
    signals = {"image_id": [SMALL, BROKEN], "blur": [3.5, None], "error": [None, "image file is truncated"]}
    store.put("image_signals", pl.DataFrame(signals), OTHER)
    verdicts = pl.DataFrame(
        {
            "image_id": [SMALL, BROKEN, FAR, names[5]],
            "kept": [False, False, True, True],
            "reason": ["too_small", "undecodable", None, None],
            "value": [100.0, None, None, None],
            "reasons": [["too_small", "too_wide", "blurred", "gone"], ["undecodable"], [], []],
        },
        schema_overrides={"reasons": pl.List(pl.String)},
    )
    store.put("filtered_images", verdicts, OTHER)
    groups = pl.DataFrame(
        {
            "image_id": [*names, FAR, names[5]],
            "shard": [SHARD] * IMAGES + [OTHER] * 2,
            "source_row": [*range(IMAGES), 27, 28],
            "group_id": [*names, names[3], names[5]],
            "keeper": [True] * IMAGES + [False] * 2,
            "distance": [None] * IMAGES + [4, 0],
            "method": [None] * IMAGES + ["phash", "exact"],
        }
    )
    store.put("duplicate_groups", groups)


def told(store: MadeUpRoot, wanted: str, capsys: pytest.CaptureFixture[str]) -> str:
    assert print_history(store.tables, wanted) == 0
    return capsys.readouterr().out


def test_a_failed_fetch_has_its_reason_and_attempts(store: MadeUpRoot, capsys: pytest.CaptureFixture[str]) -> None:
    said = told(store, "http://photos.example/24", capsys)
    assert "=> not fetched: http_503 (HTTP 503, 3 attempts)" in said
    assert "(source row 24, shard 00001)" in said


def test_a_change_that_is_not_finished_is_said(store: MadeUpRoot, capsys: pytest.CaptureFixture[str]) -> None:
    assert "not finished" not in told(store, "row:2", capsys)
    settings = published_settings(store.profile)
    for now, said in ((settings, False), (settings | {"clusters": {"k": 99}}, True)):
        store.root.put_bytes(json.dumps({"settings": now}).encode(), MANIFEST)
        first = told(store, "row:2", capsys).splitlines()[0]
        assert first.startswith("note: clusters changed since the last manifest") == said
    store.root.delete(MANIFEST)


def test_every_failing_rule_has_its_value_and_bound(store: MadeUpRoot, capsys: pytest.CaptureFixture[str]) -> None:
    said = told(store, SMALL, capsys)
    assert (
        "=> rejected by rule too_small: short_side is 100, below 160 (--set curation.signal_rules.too_small.min="
        in said
    )
    assert "=> rejected by rule too_wide: aspect is 4, above 3 (--set curation.signal_rules.too_wide.max=...)\n" in said
    assert "=> rejected by rule blurred: blur is 3.5, below 10 (--set " in said
    assert "=> rejected by rule gone, which the profile no longer has\n" in said
    assert "=> rejected by rule undecodable: image file is truncated" in told(store, BROKEN, capsys)


def test_a_copy_names_what_was_kept_and_why(store: MadeUpRoot, capsys: pytest.CaptureFixture[str]) -> None:
    keeper = made_up.ids(IMAGES)[3]
    said = told(store, FAR, capsys)
    assert f"=> dropped as a copy (phash, distance 4 bits) of {keeper}, source row 3 in shard 00000" in said
    assert "http://photos.example/3, which ranks first: 60000 pixels against 30000" in said


def test_an_exact_copy_is_kept_through_another_row(store: MadeUpRoot, capsys: pytest.CaptureFixture[str]) -> None:
    name = made_up.ids(IMAGES)[5]
    said = told(store, "row:28", capsys)
    assert f"the same bytes are kept through another source row: {name}, source row 5 in shard 00000" in said
    both = told(store, name, capsys)
    assert both.startswith("2 source rows, 1 different images")
    assert both.count("  =>") == 1 + 6
    assert "published in cluster 1" in both


def test_a_published_image_has_its_tar_its_members_and_its_rows(
    store: MadeUpRoot, capsys: pytest.CaptureFixture[str]
) -> None:
    name = made_up.ids(IMAGES)[13]
    said = told(store, name[:8], capsys)
    # The seventh image of cluster 1, five to a tar.
    path = "expert_shards/cluster_1/00000-00001.tar"
    assert f"=> published in cluster 1: {path}\n" in said
    offset = next(
        line.split(" at ")[1] for line in said.splitlines() if f"=> {name}.latent.npy: 8320 bytes at " in line
    )
    latent = store.root.read(path)[int(offset) :][128:8320]
    assert latent == store.read("latents", SHARD)["latent_256"].to_numpy()[13].tobytes()
    row = "row 13 of router_arrays/00000, row 13 of router_training"
    assert f"=> {row} (validation)\n" in said or f"=> {row} (training)\n" in said
    assert "latent_256: 4 x 32 x 32 float16, norm " in said
    assert "embedding: 5 x 3 float16, norm " in said


def test_an_image_that_is_not_selected(store: MadeUpRoot, capsys: pytest.CaptureFixture[str]) -> None:
    selection = store.read("training_selection", SHARD)
    try:
        for reason, value in (("low_value_cluster", "low"), ("beyond_keep_fraction", "high")):
            store.put("training_selection", selection.with_columns(selected=False, reason=pl.lit(reason)))
            values = {"cluster": [0], "value": value, "reason": "1 images, fewer than 2", "distance_bound": 0.25}
            store.put("cluster_values", pl.DataFrame(values))
            said = told(store, "row:2", capsys)
            assert f"=> not selected for training: {reason} (" in said
            decided = (
                "cluster 0: 1 images, fewer than 2" if value == "low" else "distance 0.5, cluster 0 keeps up to 0.25"
            )
            assert decided in said
    finally:
        store.put("training_selection", selection)


def test_an_image_without_latent(store: MadeUpRoot, capsys: pytest.CaptureFixture[str]) -> None:
    latents, arrays = store.read("latents", SHARD), store.read("router_arrays", SHARD)
    try:
        store.put("latents", latents[1:])
        store.put("router_arrays", arrays[1:])
        said = told(store, "row:0", capsys)
        assert "=> no latent, so it is not published: 300 x 200 pixels, resolution 256, --set latents.up" in said
    finally:
        store.put("latents", latents)
        made_up.publish(store)


def test_what_is_not_made_yet(store: MadeUpRoot, capsys: pytest.CaptureFixture[str], tmp_path: Path) -> None:
    said = told(store, "http://photos.example/50", capsys)
    assert "(source row 50, shard 00002)" in said
    assert "=> not fetched yet: `paris run` goes on with it" in said
    fresh = made_up.flat_root(tmp_path)
    made_up.put_registry(tmp_path, pl.DataFrame({"shard": [SHARD], "file": "", "rows": 24, "source_row": [0]}))
    fresh.put("raw_images", _ledger([{"source_row": 0, "image_id": "a" * 32, "url": None}]))
    said = told(fresh, "aaaaaa", capsys)
    assert "=> not yet published: raw_images is the last table that knows it; `paris run` goes on" in said


@pytest.mark.parametrize("wanted", ["ffffffffff", "http://photos.example/none", "row:999", "row:x", "abc", ""])
def test_what_is_not_known(store: MadeUpRoot, capsys: pytest.CaptureFixture[str], wanted: str) -> None:
    assert print_history(store.tables, wanted) == 1
    assert f"nothing known of {wanted!r}" in capsys.readouterr().out


def test_nothing_is_registered(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    store = made_up.flat_root(tmp_path)
    (tmp_path / "shards.parquet").unlink()
    assert print_history(store.tables, "row:0") == 1
    assert "nothing known" in capsys.readouterr().out


def test_a_source_row_looks_into_its_own_shard_only(store: MadeUpRoot, monkeypatch: pytest.MonkeyPatch) -> None:
    looked: list[str] = []
    record = store.catalog.record
    monkeypatch.setattr(store.catalog, "record", lambda asset, key=ALL: looked.append(key) or record(asset, key))
    assert find_occurrences(store.tables, "row:25")["image_id"].to_list() == [SMALL]
    assert set(looked) == {OTHER}


def test_why_a_copy_ranks_first() -> None:
    row = {"aesthetic": None, "width": 10, "height": 10, "image_id": "b"}
    assert why_first({**row, "aesthetic": 5.5}, row) == "aesthetic score 5.5 against none"
    assert why_first({**row, "width": 11}, row) == "110 pixels against 100"
    assert why_first({**row, "image_id": "a"}, row).startswith("the smaller image_id")
    assert why_first(row, {**row, "aesthetic": 5.5, "image_id": "c"}) == "it was published before this one came"


def test_arrays_are_summed_up() -> None:
    assert describe(np.array([3, 4], np.float16)) == "2 float16, norm 5, mean 3.5, deviation 0.5"
    assert describe(np.zeros((2, 3), np.uint8)) == "2 x 3 uint8"

"""`paris export --format webdataset`: image tars by uid, as DataComp's trainer and resharder read them."""

from __future__ import annotations

import hashlib
import json
import tarfile
from pathlib import Path

import polars as pl
import pytest

from paris_assets.cli import main
from paris_assets.errors import UsageError
from paris_assets.export import webdataset
from paris_assets.export.webdataset import webdataset_command
from paris_assets.pool.schema import POOL_SCORES
from paris_assets.storage.location import Location
from paris_assets_tests.export import world
from paris_assets_tests.fixtures.made_up import MadeUpRoot

LOST = 3


@pytest.fixture
def store(tmp_path: Path) -> MadeUpRoot:
    """All but one of 16 rows are selected; one of those has no image, and two rows show the same one."""
    store = world.finished(tmp_path / "root", **{"pool.select": ["no_filter"]})
    ledger = store.read("raw_images", "00000")
    first, failed = ledger["image_id"][0], pl.col("source_row") == LOST
    again = pl.col("source_row") == 1
    columns = ("image_id", "offset", "stored_bytes", "stored_sha256")
    changed = ledger.with_columns(
        *(pl.when(again).then(pl.lit(ledger[name][0])).otherwise(name).alias(name) for name in columns),
        status=pl.when(failed).then(pl.lit("failed")).otherwise("status"),
        reason=pl.when(failed).then(pl.lit("http_404")).otherwise("reason"),
        stored_format=pl.lit("jpeg"),
    )
    assert first == changed["image_id"][1]
    files = {"raw_images/00000.tar": Path(f"{store.root.url}/raw_images/00000.tar")}
    copy = tmp_path / "copy.tar"
    copy.write_bytes(files["raw_images/00000.tar"].read_bytes())
    store.put("raw_images", changed, "00000", files={"raw_images/00000.tar": copy})
    rows = [
        {"shard": f"{n // 8:05d}", "source_row": n, "uid": f"{n * 2**60:032x}", "selected": n != 9} for n in range(16)
    ]
    scores = POOL_SCORES.frame(rows).with_columns(few=pl.col("source_row") < 2)
    store.put("pool_scores", scores.with_columns(**{"random-0": pl.col("source_row") != 2}))
    return store


def read(tar: Path) -> dict[str, dict[str, bytes]]:
    """key -> extension -> content."""
    samples: dict[str, dict[str, bytes]] = {}
    with tarfile.open(tar) as opened:
        for member in opened:
            key, _, extension = member.name.partition(".")
            file = opened.extractfile(member)
            assert file is not None
            samples.setdefault(key, {})[extension] = file.read()
    return samples


def test_samples_by_uid_with_statistics_and_a_list_of_what_is_missing(
    store: MadeUpRoot, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr(webdataset, "SAMPLES", 6)
    out = tmp_path / "out"
    assert webdataset_command(store.catalog, Location(out), "selection") == 0
    tars = sorted(out.glob("*.tar"))
    assert [tar.name for tar in tars] == ["00000000.tar", "00000001.tar", "00000002.tar"]
    parts = [read(tar) for tar in tars]
    successes = [json.loads(tar.with_name(f"{tar.stem}_stats.json").read_text())["successes"] for tar in tars]
    assert successes == [len(part) for part in parts] == [6, 6, 2]
    samples = {key: value for part in parts for key, value in part.items()}
    assert set(samples) == {f"{n * 2**60:032x}" for n in range(16) if n not in (LOST, 9)}
    images = {n: store.read("raw_images", f"{n // 8:05d}").filter(source_row=n)["stored_sha256"][0] for n in range(16)}
    for key, sample in samples.items():
        told, number = json.loads(sample["json"]), int(key, 16) // 2**60
        assert set(sample) == {"jpg", "json", "txt"}
        assert hashlib.sha256(sample["jpg"]).hexdigest() == images[number]
        assert (told["uid"], told["source_row"], told["caption"]) == (key, number, sample["txt"].decode())
        assert told["url"] == f"http://photos.example/{number // 8:05d}/{number % 8}.jpg"
    assert (out / "missing.csv").read_text() == f"uid,reason\n{LOST * 2**60:032x},http_404\n"
    assert f"1 rows of selection have no image, listed in {out}/missing.csv" in capsys.readouterr().out


def test_the_same_bytes_again_and_a_stopped_export_goes_on(
    store: MadeUpRoot, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(webdataset, "SAMPLES", 6)
    one, two = tmp_path / "one", tmp_path / "two"
    for out in (one, two):
        webdataset_command(store.catalog, Location(out), "selection")
    whole = {path.name: path.read_bytes() for path in one.iterdir()}
    assert whole == {path.name: path.read_bytes() for path in two.iterdir()}
    (two / "00000001_stats.json").unlink()  # killed before it was written
    (two / "00000001.tar").write_bytes(b"half")
    before = (two / "00000000.tar").stat().st_mtime_ns
    webdataset_command(store.catalog, Location(two), "selection")
    assert whole == {path.name: path.read_bytes() for path in two.iterdir()}
    assert (two / "00000000.tar").stat().st_mtime_ns == before


def test_a_subset_or_a_control_by_its_name_and_no_other(store: MadeUpRoot, tmp_path: Path) -> None:
    webdataset_command(store.catalog, Location(tmp_path / "few"), "few")
    assert set(read(tmp_path / "few" / "00000000.tar")) == {"0" * 32, f"{2**60:032x}"}
    webdataset_command(store.catalog, Location(tmp_path / "random"), "random-0")
    with pytest.raises(
        UsageError, match=r"--subset fewer \(did you mean 'few'\?\): this root has selection, few, random-0"
    ):
        webdataset_command(store.catalog, Location(tmp_path / "x"), "fewer")
    with pytest.raises(UsageError, match="holds an export of subset few"):
        webdataset_command(store.catalog, Location(tmp_path / "few"), "selection")


@pytest.mark.parametrize(
    ("asked", "said"),
    [
        (["parquet", "--subset", "few"], "--subset goes with --format webdataset, not with parquet"),
        (["webdataset", "--images"], "--images goes with --format parquet"),
        (["webdataset", "--only", "all"], "--only goes with --format parquet"),
        (["energon", "--card"], "--card goes with --format parquet"),
        (["hf", "--base", "."], "--base goes with --format wids"),
        (["wids", "--license", "mit"], "--license goes with --format hf or parquet"),
        (["parquet", "--license", "mit"], "--license goes with --card"),
    ],
)
def test_what_goes_with_one_format_is_refused_for_the_other(
    asked: list[str], said: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert main(["export", "--root", str(tmp_path), "--out", str(tmp_path / "out"), "--format", *asked]) == 2
    assert said in capsys.readouterr().err


def test_a_root_without_a_pool_says_so(tmp_path: Path) -> None:
    store = world.finished(tmp_path / "root")
    with pytest.raises(UsageError, match="subsets of a pool, which this root's profile does not have"):
        webdataset_command(store.catalog, Location(tmp_path / "out"), "selection")

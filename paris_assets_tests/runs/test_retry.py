"""`paris run --retry transient`: what failed for a reason that passes is fetched again, and all else is left alone."""

from __future__ import annotations

import json
from pathlib import Path

import polars as pl
import pytest

from paris_assets.config import Profile
from paris_assets.images.tars import read_images
from paris_assets.ingest.fetched import is_asked_again, is_transient
from paris_assets.planning.run_times import known_times
from paris_assets.runs.command import run_command
from paris_assets.runs.run import Request
from paris_assets_tests.fixtures import direct, small_world

ROWS = 45
ASSETS = ("source_rows", "raw_images", "image_signals")


def fetch(profile: Profile, root: Path, retry: bool = False) -> None:
    assert run_command(profile, str(root), Request(select=ASSETS, retry=retry), dry_run=False) == 0


def ledger(root: Path, shard: str) -> pl.DataFrame:
    return pl.read_parquet(root / "raw_images" / f"{shard}.parquet")


def bodies(root: Path, shard: str) -> dict[str, bytes]:
    rows = ledger(root, shard).filter(status="ok").select("image_id", "offset", "stored_bytes", "stored_sha256")
    return dict(read_images(root / "raw_images" / f"{shard}.tar", rows))


@pytest.fixture
def profile(tmp_path: Path) -> Profile:
    """Three shards; rows 7 and 27 meet a server that is out of order, row 17 and 37 name nothing."""
    source = small_world.web(tmp_path / "source", ROWS)
    behaviours = {f"/{row:05d}.jpg": {"fail_first": 99, "status": 503} for row in (7, 27)}
    (source.parent / "site" / "server.json").write_text(json.dumps(behaviours))
    return small_world.profile(source, ingest__retries=0)


@pytest.mark.slow
def test_only_what_failed_for_a_reason_that_passes_is_fetched_again(profile: Profile, tmp_path: Path) -> None:
    site, root = Path(str(profile.ingest.serve)), tmp_path / "root"
    fetch(profile, root)
    before, stamps = {shard: ledger(root, shard) for shard in ("00000", "00001", "00002")}, direct.stamps(root)
    reasons = pl.concat(before.values()).filter(status="failed").select("source_row", "reason")
    no_images = {row: "not_an_image" for row in (15, 19, 35, 39)}
    assert dict(reasons.iter_rows()) == no_images | {7: "http_503", 17: "http_404", 27: "http_503", 37: "http_404"}
    times = known_times(root / ".dagster").filter(asset="raw_images")
    assert times["shard"].to_list() == [*before]

    (site / "server.json").write_text("{}")
    for row in (17, 37):  # what was gone for good is there now, and is not asked for
        (site / f"{row:05d}.jpg").write_bytes(small_world.picture(row))
    for file in ("00000.jpg", "00021.jpg"):  # what has arrived is not asked for again
        (site / file).write_bytes(b"another file by now")
    fetch(profile, root, retry=True)

    for shard, row in (("00000", 7), ("00001", 27)):
        now = ledger(root, shard)
        others = pl.col("source_row") != row
        assert now.filter(others).drop("offset").equals(before[shard].filter(others).drop("offset"))
        assert now.filter(~others)["status"].to_list() == ["ok"]
        assert small_world.picture(row) in bodies(root, shard).values()
        assert len(bodies(root, shard)) == now["image_id"].drop_nulls().n_unique()
        signals = pl.read_parquet(root / "image_signals" / f"{shard}.parquet")
        assert set(signals["image_id"]) == set(now["image_id"].drop_nulls())
    changed = {path for path in direct.touched(stamps, direct.stamps(root)) if path.startswith(ASSETS)}
    assert {path.partition("/")[2].partition(".")[0] for path in changed} == {"00000", "00001"}
    assert not any(path.startswith("source_rows") for path in changed)
    assert known_times(root / ".dagster").filter(asset="raw_images").equals(times), (
        "one image says nothing of how long a shard takes"
    )


@pytest.mark.extended
def test_nothing_is_kept_of_a_list_that_was_written_anew_or_beside_a_lost_tar(profile: Profile, tmp_path: Path) -> None:
    root, source = tmp_path / "root", Path(profile.source.path)
    fetch(profile, root)
    images = dict(ledger(root, "00000").filter(status="ok").select("url", "image_id").iter_rows())
    rows = pl.read_parquet(source)
    pl.concat([rows[:20].reverse(), rows[20:]]).write_parquet(source)
    (root / "raw_images" / "00001.tar").unlink()
    fetch(profile, root, retry=True)
    assert dict(ledger(root, "00000").filter(status="ok").select("url", "image_id").iter_rows()) == images
    assert len(bodies(root, "00001")) == ledger(root, "00001")["image_id"].drop_nulls().n_unique()


@pytest.mark.extended
def test_what_is_forced_is_fetched_as_a_whole(profile: Profile, tmp_path: Path) -> None:
    root = tmp_path / "root"
    fetch(profile, root)
    times = known_times(root / ".dagster").filter(asset="raw_images")
    (Path(str(profile.ingest.serve)) / "00000.jpg").write_bytes(small_world.picture(99))
    asked = Request(select=ASSETS, shards=("00000",), force=True, retry=True)
    assert run_command(profile, str(root), asked, dry_run=False) == 0
    assert small_world.picture(99) in bodies(root, "00000").values()
    now = known_times(root / ".dagster").filter(asset="raw_images")
    later = dict(zip(now["shard"], now["start"] > times["end"].max(), strict=True))
    assert later == {"00000": True, "00001": False, "00002": False}


@pytest.mark.slow
def test_nothing_is_made_when_nothing_failed_for_such_a_reason(
    profile: Profile, tmp_path: Path, capfd: pytest.CaptureFixture[str]
) -> None:
    root = tmp_path / "root"
    (Path(str(profile.ingest.serve)) / "server.json").write_text("{}")
    fetch(profile, root)
    stamps = direct.stamps(root)
    capfd.readouterr()
    fetch(profile, root, retry=True)
    assert "nothing to do" in capfd.readouterr().err
    assert direct.stamps(root) == stamps


def test_which_reasons_pass() -> None:
    assert all(map(is_transient, ["timeout", "connection", "http_429", "http_500", "http_503", "http_599"]))
    final = ["http_404", "http_410", "not_an_image", "too_large", "bad_scheme", "private_address", "http_5", "timeouts"]
    assert not any(map(is_transient, final))
    assert [reason for reason in final if is_asked_again(reason)] == ["private_address"]
    assert is_asked_again("http_503")

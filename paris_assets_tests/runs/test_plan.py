"""`paris plan` on sources and roots: what it samples, what it knows of earlier runs, what it refuses."""

from __future__ import annotations

import io
import json
import re
import shutil
import tarfile
from pathlib import Path
from typing import Any

import polars as pl
import pytest

from paris_assets.cli import main
from paris_assets.config import Profile
from paris_assets.definitions import open_catalog
from paris_assets.demo.server import serve
from paris_assets.forecast import disk
from paris_assets.forecast.assumptions import SHIPPED, assumptions
from paris_assets.forecast.flow import CONSTANT
from paris_assets.forecast.forecast import Given, Stage, disk_bytes, forecast
from paris_assets.forecast.given import given_of
from paris_assets.forecast.hardware import shipped_hardware
from paris_assets.forecast.machines import Machines
from paris_assets.forecast.measured import measured, rows_out
from paris_assets.planning.run_times import SCHEMA, TABLE
from paris_assets.profiles import dump_profile
from paris_assets.runs.doctor import examine
from paris_assets.runs.run import Request
from paris_assets_tests.fixtures import direct, small_world

LARGER = 100


def given_here(root: Path, rows: int, *assume: str) -> Given:
    catalog = open_catalog(str(root))
    return given_of(catalog, rows, False, assumptions(assume, catalog.graph))


def written(tmp_path: Path, profile: Profile) -> str:
    path = tmp_path / "small.yaml"
    path.write_text(dump_profile(profile))
    return str(path)


def planned(capsys: pytest.CaptureFixture[str], *arguments: str) -> dict[str, Any]:
    """What `paris plan --json` prints."""
    assert main(["plan", "--json", *arguments]) == 0
    return json.loads(capsys.readouterr().out)


@pytest.mark.slow
def test_one_run_tells_the_bytes_and_rows_of_a_larger_one(small_finished: Path, tmp_path: Path) -> None:
    source = small_world.embedded(tmp_path / "source" / "list.parquet", LARGER)
    direct.bring_up_to_date(small_world.profile(source), tmp_path / "root")
    larger = measured(open_catalog(str(tmp_path / "root")))
    before = given_here(small_finished, LARGER)
    found = disk_bytes(before)
    assert found.keys() == larger.keys()
    assert before.embedded
    for name in found.keys() - set(CONSTANT):  # pages and grids of pictures grow until they are full
        assert found[name] == pytest.approx(larger[name].size_bytes, rel=0.2), name
    tables = [name for name in found if name not in CONSTANT]
    whole = sum(larger[name].size_bytes for name in tables)
    assert sum(found[name] for name in tables) == pytest.approx(whole, rel=0.1)
    table = shipped_hardware()
    stages = forecast(before, Machines("cpu", table["cpu"], table["cpu"], 2, 0.04)).stages
    for stage in stages:
        if before.graph[stage.asset].partitioned:
            assert stage.rows_out == pytest.approx(larger[stage.asset].rows, rel=0.15), stage.asset
            assert stage.sources["bytes"].startswith("measured in this root"), stage.asset


def test_what_was_measured_under_other_settings_does_not_count(small_finished: Path) -> None:
    catalog = open_catalog(str(small_finished))
    longer = {"text": catalog.profile.text.model_copy(update={"tokens": 48})}
    known = measured(open_catalog(str(small_finished), catalog.profile.model_copy(update=longer)))
    assert {"text_embeddings", "expert_summary"} == measured(catalog).keys() - known.keys() - {"pipeline_manifest"}
    other = {"embedder": catalog.profile.embedder.model_copy(update={"device": "cuda", "precision": "bf16"})}
    moved = open_catalog(str(small_finished), catalog.profile.model_copy(update=other))
    assert measured(moved).keys() == measured(catalog).keys(), "what a network runs on changes no bytes and rows"


def test_what_a_user_gives_comes_before_what_was_measured(small_finished: Path) -> None:
    found = given_here(small_finished, 6000, "readable=0.5", "image_bytes=100000")
    table = shipped_hardware()
    stages = forecast(found, Machines("cpu", table["cpu"], table["cpu"], 2, 0.04)).stages
    raw = next(stage for stage in stages if stage.asset == "raw_images")
    assert raw.rows_out == 3000
    assert raw.size_bytes == pytest.approx(3000 * 100_000, rel=0.02)
    curated = next(stage for stage in stages if stage.asset == "curated_images")
    assert curated.rows_out / curated.rows_in == pytest.approx(found.measured["curated_images"].share)


def test_times_of_earlier_runs_count_on_their_own_hardware(small_finished: Path, tmp_path: Path) -> None:
    root = Path(shutil.copytree(small_finished, tmp_path / "root"))
    home = root / ".dagster"
    home.mkdir(exist_ok=True)
    noon = 1_790_000_000.0
    times = [
        ("image_embeddings", shard, 20, noon, noon + seconds, "{}", "1 x NVIDIA A40")
        for shard, seconds in (("00000", 4), ("00001", 4), ("00002", 1))
    ]
    times += [("filtered_images", "00000", 20, noon, noon + 3, "{}", "4 x cpu")]
    times += [("filtered_images", "00001", 20, noon, noon + 5, "{}", "2 x cpu")]
    pl.DataFrame(times, schema=SCHEMA, orient="row").write_parquet(home / TABLE)
    source, catalog = given_here(root, 6000), open_catalog(str(root))
    table, known = shipped_hardware(), measured(catalog)
    images = known["image_embeddings"].rows
    on = {
        name: {
            stage.asset: stage for stage in forecast(source, Machines(name, table[name], table["cpu"], 1, 1.0)).stages
        }
        for name in ("a40", "h100", "cpu")
    }
    embedded = on["a40"]["image_embeddings"]
    # Three workers with a GPU each, of which one was done soon: its GPU, and any others of the machine, were idle.
    assert embedded.gpu_h * 3600 == pytest.approx((4 + 4 + 1) / images * embedded.rows_out)
    assert "measured in this root on 2026-09-21, 3 partitions" in embedded.sources["hours"]
    assert on["h100"]["image_embeddings"].gpu_h == 0
    assert on["h100"]["image_embeddings"].unknown, "a class of one's own is known where it ran"
    for name in on:  # cores are cores
        assert on[name]["filtered_images"].core_h == pytest.approx(on["a40"]["filtered_images"].core_h)
    filtered = on["a40"]["filtered_images"]
    kept = sum(rows_out(record) for shard in ("00000", "00001") if (record := catalog.record("filtered_images", shard)))
    assert filtered.core_h * 3600 == pytest.approx((3 * 4 + 5 * 2) / kept * filtered.rows_out)
    assert on["cpu"]["image_embeddings"].unknown, "what a GPU took says nothing of the cores beside it"


def test_one_partition_that_compiled_for_all_tells_no_hours(small_finished: Path, tmp_path: Path) -> None:
    root = Path(shutil.copytree(small_finished, tmp_path / "root"))
    (root / ".dagster").mkdir(exist_ok=True)
    noon, seconds = 1_790_000_000.0, {"00000": 21.9, "00001": 0.15, "00002": 0.14}
    times = [("image_signals", shard, 20, noon, noon + took, "{}", "2 x cpu") for shard, took in seconds.items()]
    pl.DataFrame(times, schema=SCHEMA, orient="row").write_parquet(root / ".dagster" / TABLE)
    table, source = shipped_hardware(), given_here(root, 6000)
    assert source.measured["image_signals"].partition_s == pytest.approx(0.15)
    stages = forecast(source, Machines("cpu", table["cpu"], table["cpu"], 2, 0.04)).stages
    signals = next(stage for stage in stages if stage.asset == "image_signals")
    assert signals.core_h * 3600 < 6000 * 0.005
    assert "hours" not in signals.sources


def fetched_twelve(tmp_path: Path, **settings: Any) -> Path:
    root = tmp_path / "fetched"
    source = small_world.web(tmp_path, 12)
    with serve(tmp_path / "site") as server:
        resolved = {small_world.HOST: server}
        profile = small_world.profile(source, ingest__serve=None, ingest__resolve=resolved, **settings)
        direct.bring_up_to_date(profile, root, Request(select=("source_rows", "raw_images")))
    (root / ".dagster").mkdir(exist_ok=True)
    return root


@pytest.fixture
def fetched(tmp_path: Path) -> Path:
    """A root of twelve urls, whose source and pictures were fetched."""
    return fetched_twelve(tmp_path)


def test_rows_for_which_nothing_was_asked_are_no_requests(tmp_path: Path) -> None:
    unwanted = tmp_path / "unwanted.txt"
    unwanted.write_text("".join(f"http://{small_world.HOST}/{row:05d}.jpg\n" for row in range(8)))
    root = fetched_twelve(tmp_path, ingest__opt_out=[str(unwanted)], ingest__concurrency=2)
    noon = 1_790_000_000.0
    times = [("raw_images", "00000", 12, noon, noon + 6, "{}", "2 x cpu")]
    pl.DataFrame(times, schema=SCHEMA, orient="row").write_parquet(root / ".dagster" / TABLE)
    found = given_here(root, 1000).figures["request_s"]
    assert found.value == pytest.approx(6 * 2 / 4), "four urls, two at a time"
    assert found.source.endswith("1 partition of 4 urls")


def test_waiting_for_the_network_is_no_work_of_cores(fetched: Path) -> None:
    """Half a second in which all twelve requests were under way: half a second of each, whatever was asked before."""
    noon, table = 1_790_000_000.0, shipped_hardware()
    times = [("raw_images", "00000", 12, noon, noon + 0.5, "{}", "2 x cpu")]
    pl.DataFrame(times, schema=SCHEMA, orient="row").write_parquet(fetched / ".dagster" / TABLE)
    shipped, source = SHIPPED["request_s"].value, given_here(fetched, 1_000_000)
    assert source.figures["request_s"].value == pytest.approx(0.5)
    assert source.figures["request_s"].source == "measured in this root on 2026-09-21, 1 partition of 12 urls"
    assert given_here(fetched, 10, "request_s=3").figures["request_s"].value == 3

    def raw(found: Given, cores: int, workers: int) -> Stage:
        stages = forecast(found, Machines("cpu", table["cpu"], table["cpu"], cores, 0.04), workers).stages
        return next(stage for stage in stages if stage.asset == "raw_images")

    concurrency = source.profile.ingest.concurrency
    one, many, four = raw(source, 2, 1), raw(source, 64, 1), raw(source, 64, 4)
    assert one.wall_h * 3600 == pytest.approx(1e6 * 0.5 / concurrency)
    assert (many.wall_h, four.wall_h) == pytest.approx((one.wall_h, one.wall_h / 4)), "workers ask, and cores do not"
    (fetched / ".dagster" / TABLE).unlink()
    before = raw(given_here(fetched, 1_000_000), 2, 1)
    assert (one.core_h, one.wall_h) == pytest.approx((before.core_h, before.wall_h * 0.5 / shipped))
    assert "hours" not in one.sources


def test_of_many_urls_only_as_many_were_under_way_as_a_worker_asks_for(fetched: Path) -> None:
    noon = 1_790_000_000.0
    catalog = open_catalog(str(fetched))
    concurrency = catalog.profile.ingest.concurrency
    times = [("raw_images", "00000", 100 * concurrency, noon, noon + 30, "{}", "2 x cpu")]
    pl.DataFrame(times, schema=SCHEMA, orient="row").write_parquet(fetched / ".dagster" / TABLE)
    assert given_here(fetched, 1000).figures["request_s"].value == pytest.approx(0.3)


def test_a_root_that_is_not_there_yet_is_named(
    small_finished: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    typo, begun = str(tmp_path / "typo"), str(small_finished)

    def first_line(*arguments: str) -> str:
        assert main(["plan", *arguments]) == 0
        return capsys.readouterr().out.splitlines()[0]

    said = first_line("--root", typo)
    assert said.startswith("profile demo, 264 rows of ")
    assert said.endswith(f"root {typo} (does not exist yet: nothing of it is measured)")
    (tmp_path / "typo").mkdir()
    assert first_line("--root", typo).endswith(f"root {typo} (no run has begun there: nothing of it is measured)")
    assert first_line("--root", begun, "--rows", "1000") == f"profile small, 1,000 rows, as given, root {begun}"
    found = planned(capsys, "--root", begun)
    assert (found["root"], found["root_lacks"]) == (begun, None)
    assert found["source"] == open_catalog(begun).profile.source.path
    assert planned(capsys, "--root", typo)["root_lacks"].startswith("no run has begun there")


def test_a_folder_tars_and_embedded_images_are_sampled(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    pictures = [data for _, data, _ in small_world.rows(5) if data]
    mean = sum(map(len, pictures)) / len(pictures)
    (tmp_path / "photos").mkdir()
    with tarfile.open(tmp_path / "a.tar", "w") as tar:
        for number, data in enumerate(pictures):
            (tmp_path / "photos" / f"{number}.jpg").write_bytes(data)
            member = tarfile.TarInfo(f"{number}.jpg")
            member.size = len(data)
            tar.addfile(member, io.BytesIO(data))
    pl.DataFrame({"image": pictures, "text": "one two three"}).write_parquet("list.parquet")
    root = ["--root", str(tmp_path / "root")]
    for source in ("photos", "list.parquet"):
        found = planned(capsys, "--source", source, *root)
        assert found["rows"] == len(pictures)
        assert found["figures"]["image_bytes"]["value"] == pytest.approx(mean)
        assert (found["embedded"], found["requests"]) == (True, 0)
    in_tar = planned(capsys, "--source", "a.tar", *root)["figures"]["image_bytes"]["value"]
    assert in_tar == pytest.approx((tmp_path / "a.tar").stat().st_size / len(pictures))
    more = planned(capsys, "--source", "photos", "--rows", "1000", "--assume", "image_bytes=5000", *root)
    assert (more["rows"], more["figures"]["image_bytes"]["source"]) == (1000, "given on the command line")
    assert not (tmp_path / "root").exists()


def test_urls_are_asked_for_only_where_that_is_wished(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    source = small_world.web(tmp_path, 40)
    texts = ["a dog on a beach" if number % 4 else "DSC_0001.jpg" for number in range(40)]
    pl.read_parquet(source).with_columns(TEXT=pl.Series(texts)).write_parquet(source)
    settings = small_world.profile(source, source__rows_per_shard=40)
    common = ["--profile", written(tmp_path, settings), "--root", str(tmp_path / "root")]
    without = planned(capsys, *common)
    assert without["figures"]["image_bytes"]["value"] == SHIPPED["image_bytes"].value
    assert without["requests"] == pytest.approx(40 * SHIPPED["tries"].value)
    assert without["figures"]["captioned"]["value"] == 0.25
    probed = planned(capsys, *common, "--probe", "20")
    files = [data or b"" for _, data, _ in small_world.rows(20)]
    sizes = [len(data) for data in files if data and not data.startswith(b"<html>")]
    assert len(sizes) == 18
    assert probed["figures"]["fetched"]["value"] == pytest.approx(len(sizes) / 20)
    assert probed["figures"]["image_bytes"]["value"] == pytest.approx(sum(sizes) / len(sizes))
    assert "20 urls that a probe asked for" in probed["figures"]["fetched"]["source"]


def test_the_words_name_hardware_totals_and_sources(
    small_finished: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    assert main(["plan", "--root", str(small_finished), "--rows", "1000", "--hardware", "h100", "--price", "2.5"]) == 0
    said = capsys.readouterr().out
    assert "1 x h100:" in said
    assert "GPUs at $2.5 an hour each: given" in said
    assert re.search(r"bytes of 1\d assets: measured in this root, 3 partitions", said)
    assert "not counted: embedder:" in said
    assert "the disk is too small" not in said
    assert main(["plan", "--root", str(small_finished), "--rows", "1000"]) == 0
    assert "on other hardware: 1 x a40" in capsys.readouterr().out


def test_a_disk_that_is_too_small_is_said_by_plan_and_doctor(
    small_finished: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(disk, "free_space", lambda _: 1000)
    found = planned(capsys, "--root", str(small_finished), "--rows", "100000")
    (warning,) = found["warnings"]
    assert warning.startswith("the disk is too small: 1 kB free at")
    catalog = open_catalog(str(small_finished))
    capsys.readouterr()
    examine(catalog.profile, str(small_finished))
    there = sum(disk_bytes(given_here(small_finished, 60)).values())
    assert f"60 rows need about {round(there) >> 20} MiB" in capsys.readouterr().out


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        (["--hardware", "h10"], r"no 'h10' (did you mean 'h100'?)"),
        (["--rows", "-5"], "--rows must be at least 1, got -5"),
        (["--count", "0"], "--count must be at least 1, got 0"),
        (["--workers", "0"], "--workers must be at least 1, got 0"),
        (["--probe", "-1"], "--probe must be at least 0"),
        (["--price", "-1"], "--price takes dollars per hour"),
        (["--assume", "keep=1"], "--assume: no 'keep' (did you mean 'kept'?)"),
        (["--source", "nothing.parquet"], "nothing.parquet"),
    ],
)
def test_what_cannot_be_is_refused(
    arguments: list[str], said: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert main(["plan", "--root", str(tmp_path / "root"), *arguments]) == 2
    assert said in capsys.readouterr().err


def test_without_rows_and_source_there_is_no_forecast(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    (tmp_path / "bare.yaml").write_text("name: bare\n")
    assert main(["plan", "--profile", "bare.yaml", "--root", "root"]) == 2
    assert "no source: give --source, or --rows" in capsys.readouterr().err

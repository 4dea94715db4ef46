"""Rows, bytes, hours and dollars, without a root: known answers, published figures, and what has to add up."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from paris_assets.definitions import asset_graph
from paris_assets.errors import UsageError
from paris_assets.forecast.assumptions import SHIPPED, assumptions
from paris_assets.forecast.disk import bytes_there
from paris_assets.forecast.flow import CONSTANT
from paris_assets.forecast.forecast import Forecast, Given, disk_bytes, forecast
from paris_assets.forecast.hardware import chosen_hardware, hardware_table, shipped_hardware
from paris_assets.forecast.machines import AtWork, Machines
from paris_assets.forecast.measured import Measured
from paris_assets.forecast.said import as_json, in_bytes, in_count, in_hours, in_words
from paris_assets.forecast.sizes import all_kept, bytes_per_row
from paris_assets.profiles import load_profile, shipped_profiles
from paris_assets.runs.space import row_bytes

ALL = ("fetched=1", "readable=1", "passing=1", "kept=1", "unique=1", "covered=1", "captioned=1")
"""Nothing is lost, and every image is captioned by a network, as in the pipeline that the figures below are of."""
PARIS_ROWS = 11_000_000
L4 = "named: L4, memory_gb: 24, bandwidth_gb_s: 300, dollars_per_hour: 0.5"


def given(name: str = "paris", rows: float = 1e6, assume: tuple[str, ...] = (), **settings: Any) -> Given:
    profile = load_profile(name, {key.replace("__", "."): value for key, value in settings.items()})
    graph = asset_graph(profile)
    return Given(profile, graph, rows, embedded=False, figures=assumptions(assume, graph))


def machines(name: str = "a40", count: int = 1) -> Machines:
    table = shipped_hardware()
    return Machines(name, table[name], table["cpu"], count, table[name].dollars_per_hour)


def hours(found: Forecast, asset: str) -> float:
    return next(stage.gpu_h for stage in found.stages if stage.asset == asset)


def test_times_of_other_hardware_with_a_longer_name_are_not_taken() -> None:
    known = Measured(None, 0, 1, 1, {"NVIDIA RTX A4000": 9.0, "NVIDIA A40-48Q": 2.0, "cpu": 5.0})
    assert [known.unit_s(named) for named in ("A40", "a4000", "RTX A4000", "T4", "cpu")] == [2.0, 9.0, 9.0, None, 5.0]


def test_files_that_go_while_they_are_counted_count_nothing(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "a" / "b").mkdir(parents=True)
    (tmp_path / "a" / "b" / "c").write_bytes(b"123")
    (tmp_path / "link").symlink_to(tmp_path / "gone")
    listed = [*tmp_path.rglob("*"), tmp_path / "a" / "removed"]
    monkeypatch.setattr(Path, "rglob", lambda *_: iter(listed))
    assert bytes_there(tmp_path) == 3


@pytest.mark.parametrize("asked", ["short_side=1", "0.5", "rate.caption=3"])
def test_unknown_figures_are_named(asked: str) -> None:
    with pytest.raises(UsageError, match=r"--assume"):
        assumptions([asked], ["captions"])


@pytest.mark.parametrize(
    ("asked", "said"),
    [
        ("fetchd=0.5", r"no 'fetchd' \(did you mean 'fetched'\?\)"),
        ("rate.caption=3", r"\(did you mean 'rate\.captions'\?\)"),
        ("fetched=1.5", "it is a share"),
        ("utilisation=0", "above 0"),
        ("fetched=-1", "above 0"),
        ("image_bytes=nan", "above 0"),
        ("kept=half", "takes a number, not 'half'"),
        ("kept", "takes NAME=VALUE"),
    ],
)
def test_what_is_wrong_with_a_figure_is_said(asked: str, said: str) -> None:
    with pytest.raises(UsageError, match=said):
        assumptions([asked], ["captions"])


def test_rows_follow_the_shares_and_requests_the_urls() -> None:
    found = {stage.asset: stage for stage in forecast(given(rows=1000), machines()).stages}
    share = {name: each.value for name, each in SHIPPED.items()}
    curated = 1000 * share["fetched"] * share["kept"] * share["unique"]
    assert found["raw_images"].rows_out == pytest.approx(1000 * share["fetched"])
    assert found["content_scores"].rows_out == pytest.approx(1000 * share["fetched"] * share["passing"])
    assert found["captions"].rows_out == found["text_embeddings"].rows_in == pytest.approx(curated)
    assert found["expert_shards"].rows_out == pytest.approx(curated * share["covered"])
    assert found["raw_images"].requests == pytest.approx(1000 * share["tries"])
    assert sum(stage.requests for stage in found.values()) == found["raw_images"].requests
    held = {stage.asset: stage for stage in forecast(replace(given(rows=1000), embedded=True), machines()).stages}
    assert held["raw_images"].requests == held["raw_images"].fetched_bytes == 0
    assert held["raw_images"].rows_out == pytest.approx(1000 * share["readable"])


def test_a_sample_of_paris_takes_what_its_members_take_in_a_tar() -> None:
    """77 x 768 and 4 x 32 x 32 values of two bytes with headers, a caption, metadata, in blocks of 512."""
    each = bytes_per_row(load_profile("paris"))
    assert each["expert_shards"] == 4 * 512 + (118_272 + 128 + 384) + (8_192 + 128 + 384) + 512 + 1024
    assert each["router_arrays"] == 8_192 + 2 * 768 + 2 * 768 + 8 + 32 + 1 + 40
    assert each["latents"] == 8_192 + 40


def test_the_published_row_of_11_million_images_is_reproduced() -> None:
    """Bagel Labs' pipeline: 11M images, about 450 A40-hours of captions and 1.9 TB.

    The bytes: what it stores, pictures of 256 x 256 as JPEGs of about 30 kB, training tars and router arrays. The
    hours: its rate of 6.8 images per second and GPU, which BLIP-2 has in batches of four to five.
    """
    made = disk_bytes(given(rows=PARIS_ROWS, assume=(*ALL, "image_bytes=30000")))
    stored = sum(made[name] for name in ("raw_images", "expert_shards", "router_arrays"))
    assert stored == pytest.approx(1.9e12, rel=0.05)
    by_rate = forecast(given(rows=PARIS_ROWS, assume=(*ALL, "rate.captions=6.8")), machines())
    assert hours(by_rate, "captions") == pytest.approx(450, rel=0.01)
    four, five, sixteen = (
        hours(
            forecast(given(rows=PARIS_ROWS, assume=ALL, captions__captioner__batch_size=size), machines()), "captions"
        )
        for size in (4, 5, 16)
    )
    assert five < 450 < four
    assert 2.5 < 450 / sixteen < 3.5, "what the profile's batches save"


def test_captions_of_its_demo_take_as_long_as_it_measured() -> None:
    """20.5 minutes for 10,000 images on T4s of which one was at work, text embeddings included."""
    fp16 = {"captions__captioner__precision": "fp16", "text__encoder__precision": "fp16"}
    found = forecast(given(rows=10_000, assume=ALL, **fp16), machines("t4"))
    minutes = 60 * (hours(found, "captions") + hours(found, "text_embeddings"))
    assert minutes == pytest.approx(20.5, rel=0.15)


def test_hours_of_gpus_stay_and_the_wall_falls_with_more_of_them() -> None:
    source = given(rows=1e6, assume=("fetch_ms=0.001", "request_s=0.001"))
    one, eight = (forecast(source, machines(count=count), workers=count) for count in (1, 8))
    assert one.total("gpu_h") == pytest.approx(eight.total("gpu_h"))
    assert one.total("wall_h") / eight.total("wall_h") == pytest.approx(8, rel=0.05)
    assert eight.dollars == pytest.approx(one.dollars, rel=0.05)
    assert one.dollars == pytest.approx(one.total("wall_h") * 0.4)


@pytest.mark.parametrize(
    ("workers", "rows", "at_work", "said"),
    [
        (1, 1e6, 1, ["1 of 8 GPUs at work, the others idle and paid for", "100 shards", ": --workers 8 uses 8"]),
        (8, 1e6, 8, []),
        (32, 1e6, 8, []),
        (8, 25_000, 3, ["3 of 8 GPUs at work", "3 shards and --workers 8", "3 of 8 workers have work"]),
        (2, 25_000, 2, ["2 of 8 GPUs at work", ": --workers 3 uses 3"]),
    ],
)
def test_a_gpu_works_where_there_is_a_worker_with_a_shard_for_it(
    workers: int, rows: float, at_work: int, said: list[str]
) -> None:
    source = given(rows=rows, assume=("fetch_ms=0.001", "request_s=0.001", "decode_ms=0"))
    found = forecast(source, machines(count=8), workers)
    captions = next(stage for stage in found.stages if stage.asset == "captions")
    assert captions.wall_h == pytest.approx(captions.gpu_h / at_work)
    assert captions.gpu_h == pytest.approx(hours(forecast(source, machines()), "captions")), "work is work"
    assert found.dollars == pytest.approx(found.total("wall_h") * 8 * 0.4), "what idles is rented, too"
    lines = " / ".join(found.at_work.idle())
    assert all(part in lines for part in said)
    assert bool(lines) == bool(said)
    assert as_json(source, found, [], [])["hardware"][0]["idle"] == found.at_work.idle()


def test_a_worker_has_its_share_of_the_cores_whether_others_have_work_or_not() -> None:
    cpus = machines("cpu", count=64)
    assert [AtWork(cpus, 8, shards).cores(True, on_gpu=False) for shards in (100, 8, 2, 1)] == [64, 64, 16, 64]
    assert AtWork(cpus, 8, 2).cores(False, on_gpu=False) == 64, "a step over all shards has the machine"
    assert AtWork(cpus, 1, 2).cores(True, on_gpu=False) == 64
    two = machines(count=2)
    assert [AtWork(two, 8, shards).cores(True, on_gpu=True) for shards in (100, 1)] == [16, 8]
    assert AtWork(two, 8, 1).cores(True, on_gpu=False) == 2


def test_no_more_partitions_are_in_the_making_than_there_are_shards() -> None:
    """5,000 rows are one shard of at most 10,000: pictures that eight workers cannot fetch eight times."""
    for rows, workers, at_once in ((5000, 8, 1.0), (5000, 1, 1.0), (15_000, 8, 1.0), (80_000, 4, 0.5), (80_000, 99, 1)):
        found = forecast(given(rows=rows), machines(), workers)
        largest = max(stage.size_bytes for stage in found.stages)
        assert found.peak_bytes - found.total("size_bytes") == pytest.approx(at_once * largest), (rows, workers)


def test_shards_of_a_source_that_was_looked_at_count_as_they_are() -> None:
    tars = replace(given(rows=8000), registered=8)
    assert (given(rows=8000).shards, tars.shards) == (1, 8)
    assert forecast(tars, machines(count=8), 8).at_work.gpus(True) == 8


def test_what_took_no_longer_than_to_begin_tells_no_hours_of_many_rows() -> None:
    """Twelve rows of a list in 0.13 s of two cores would be six hours for a million."""
    cpus, plain = machines("cpu", count=2), given(rows=1e6)

    def core_h(asset: str, partition_s: float) -> tuple[float, str]:
        known = {asset: Measured(None, 0, 12, 1, {"cpu": 0.0213}, "2026-09-21", partition_s)}
        found = forecast(replace(plain, measured=known), cpus)
        return next((each.core_h, each.sources.get("hours", "")) for each in found.stages if each.asset == asset)

    shipped = next(stage.core_h for stage in forecast(plain, cpus).stages if stage.asset == "source_rows")
    assert core_h("source_rows", 0.13) == (pytest.approx(shipped, rel=0.1), "")
    hours_, source = core_h("source_rows", 2.0)
    assert hours_ == pytest.approx(1e6 * 0.0213 / 3600)
    assert source.startswith("measured in this root")
    shipped = next(stage.core_h for stage in forecast(plain, cpus).stages if stage.asset == "duplicate_groups")
    assert core_h("duplicate_groups", 2.5) == (pytest.approx(shipped, rel=0.2), ""), "of a hundred times its rows"
    assert core_h("text_embeddings", 0.13)[1].startswith("measured in this root"), "networks may have no formula"


@pytest.mark.parametrize(
    ("name", "asset", "assume", "seen"),
    [
        ("z_image", "picture_embeddings", (), 1.0),
        ("z_image", "content_scores", (), 1.0),
        ("lavenderflow", "latents", (), 1.0),
        ("paris", "captions", ("captioned=0.25",), 0.25),
        ("paris", "captions", ("captioned=0",), 0.0),
    ],
)
def test_a_rate_is_of_images_however_many_networks_see_them(
    name: str, asset: str, assume: tuple[str, ...], seen: float
) -> None:
    found = forecast(given(name, assume=(f"rate.{asset}=10", *assume)), machines())
    stage = next(stage for stage in found.stages if stage.asset == asset)
    assert stage.gpu_h * 3600 == pytest.approx(stage.rows_out * seen / 10)


def test_a_network_that_runs_on_cores_alone_was_measured_on_cores() -> None:
    source = given("demo", rows=1000)
    known = {"content_scores": Measured(None, 0, 250, 1, {"cpu": 0.5}, "2026-09-21", 60.0)}
    for name in ("a40", "cpu"):
        found = forecast(replace(source, measured=known), machines(name))
        scores = next(stage for stage in found.stages if stage.asset == "content_scores")
        assert (scores.gpu_h, scores.core_h * 3600) == (0, pytest.approx(0.5 * scores.rows_out)), name
        assert scores.sources["hours"].startswith("measured in this root")


def test_a_cpu_has_no_gpu_hours_and_what_is_not_known_is_said() -> None:
    found = forecast(given("demo", rows=1000), machines("cpu", count=2))
    assert found.total("gpu_h") == 0
    assert not any(stage.unknown for stage in found.stages)
    own = given("demo", rows=1000, embedder={"implementation": "paris_assets_tests.models.cheap:Colours"})
    (said,) = [said for stage in forecast(own, machines()).stages for said in stage.unknown]
    assert said == "embedder: paris_assets_tests.models.cheap:Colours is not known before it ran"


def test_what_a_card_cannot_do_is_said_with_what_to_set() -> None:
    on_t4 = forecast(given(), machines("t4"))
    (lack,) = [lack for stage in on_t4.stages for lack in stage.lacks]
    assert "15 GB in fp32 do not fit 16 GB: --set captions.captioner.precision=fp16" in lack
    asked = given(embedder__precision="bf16", captions__captioner__precision="fp16")
    (lack,) = [lack for stage in forecast(asked, machines("t4")).stages for lack in stage.lacks]
    assert lack == "embedder: no bf16 there: --set embedder.precision=fp16"


@pytest.mark.parametrize("name", shipped_profiles())
def test_every_profile_has_a_forecast(name: str) -> None:
    source = given(name)
    found = forecast(source, machines())
    assert [stage.asset for stage in found.stages] == [*disk_bytes(source)]
    assert {stage.asset for stage in found.stages} == set(source.graph)
    assert found.peak_bytes > found.total("size_bytes") > 1e9
    idle = {stage.asset for stage in found.stages if not stage.size_bytes} - set(CONSTANT)
    assert not idle, "every table has a size"
    said = as_json(source, found, [], [])
    assert said["hardware"][0]["dollars"] == pytest.approx(found.dollars)


def test_the_look_before_a_run_has_the_same_bytes() -> None:
    source = given(rows=1, assume=ALL)
    pages = sum(size for name, size in disk_bytes(source).items() if name in CONSTANT)
    every = all_kept(bytes_per_row(source.profile), source.graph)
    assert sum(disk_bytes(source).values()) - pages == pytest.approx(every)
    assert row_bytes(source.profile) == round(every)


def test_hardware_is_named_or_a_file(tmp_path: Any) -> None:
    assert chosen_hardware("H100")[0] == "h100"
    with pytest.raises(
        UsageError, match=r"no 'h10' \(did you mean 'h100'\?\); there are a40, a100, h100, h200, t4, cpu"
    ):
        chosen_hardware("h10")
    mine = tmp_path / "mine.yaml"
    mine.write_text("l4: {named: L4, memory_gb: 24, bandwidth_gb_s: 300, tflops: {fp16: 121}, dollars_per_hour: 0.5}\n")
    name, table = chosen_hardware(str(mine))
    assert (name, table[name].precision("auto"), table[name].precision("fp16")) == ("l4", "fp16", "fp16")
    unsourced = Machines(name, table[name], shipped_hardware()["cpu"], 1, 0.5)
    assert in_words(forecast(given(), unsourced)).endswith("(GPUs at $0.5 an hour each)")


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("[", "is not valid YAML: line 1, column 2: while parsing a flow node: expected the node content"),
        ("[]", "names no hardware"),
        ("l4: {named: L4}", r"l4\.memory_gb: Field required"),
        ("l4: {named: L4, memory_gb: -1}", r"l4\.memory_gb: Input should be greater than 0"),
        ("l4: {named: L4, memory_gb: .inf}", r"l4\.memory_gb: Input should be a finite number"),
        (f"l4: {{{L4}, tflops: {{fp16: 0}}}}", r"l4\.tflops\.fp16: Input should be greater than 0"),
        (f"l4: {{{L4}, tflops: {{fp16: .nan}}}}", r"l4\.tflops\.fp16: Input should be a finite number"),
        (f"l4: {{{L4}, tflops: {{fp16: 1}}, cores: 0}}", r"l4\.cores: Input should be greater than 0"),
    ],
)
def test_what_is_wrong_with_a_file_of_hardware_is_said(tmp_path: Any, text: str, said: str) -> None:
    (tmp_path / "mine.yaml").write_text(text)
    with pytest.raises(UsageError, match=said):
        hardware_table(tmp_path / "mine.yaml")


def test_numbers_are_short() -> None:
    assert [in_bytes(size) for size in (0, 950, 1.5e6, 2.34e11, 2.5e15)] == [
        "0 B", "950 B", "1.5 MB", "234 GB", "2,500 TB",
    ]  # fmt: skip
    assert [in_count(count) for count in (0, 99_999, 123_456, 11e6, 5.8e9)] == ["0", "99,999", "123k", "11M", "5.8G"]
    assert [in_hours(each) for each in (0.001, 0.5, 12.34, 1234)] == ["3.6 s", "30 min", "12.3 h", "1,234 h"]

"""How long stages, assets and operators took: for the summary of a run, and the page."""

from __future__ import annotations

import re
from pathlib import Path

import polars as pl
import pytest
from hypothesis import given
from hypothesis import strategies as st

from paris_assets.errors import FileError
from paris_assets.planning.home import TIMES
from paris_assets.planning.run_times import SCHEMA, TABLE, Unit, covered, unit_of
from paris_assets.planning.waves import Task
from paris_assets.runs.progress import RunProgress, open_console
from paris_assets.runs.run import RunReport, _keep_times
from paris_assets.runs.task_report import TaskReport
from paris_assets.runs.times import keep_times, noted, page, stages, times_page
from paris_assets_tests.fixtures import made_up
from paris_assets_tests.fixtures.made_up import MadeUpRoot

SPENT = {"Entropy": {"records": 10, "seconds": 3.0, "wall_s": 1.5}}


@pytest.fixture
def store(tmp_path: Path) -> MadeUpRoot:
    store = made_up.flat_root(tmp_path)
    made_up.put_registry(tmp_path, pl.DataFrame({"shard": ["00000", "00001"], "file": "", "rows": 1}))
    for shard in store.shards():
        store.put("image_signals", pl.DataFrame({"image_id": made_up.ids(10)}), shard, rows_in=12)
        store.put("content_scores", pl.DataFrame({"image_id": made_up.ids(4)}), shard, facts={"sketch": {}})
    (tmp_path / ".dagster").mkdir()
    return store


def report(shard: str, start: float) -> TaskReport:
    """Two seconds of signals and one of scores."""
    spans = {"image_signals": (start, start + 2), "content_scores": (start + 2, start + 3)}
    worker = dict.fromkeys(spans, "3 x cpu")
    return TaskReport(Task(shard, tuple(spans)), spans, {"image_signals": SPENT}, computed_on=worker)


@given(st.lists(st.tuples(st.integers(0, 60), st.integers(0, 20)), max_size=12))
def test_overlapping_spans_are_counted_once(pairs: list[tuple[int, int]]) -> None:
    spans = [(start, start + length) for start, length in pairs]
    assert covered(spans) == len({second for start, end in spans for second in range(start, end)})


def test_rates_are_by_the_clock_on_the_wall_and_operators_have_their_share(store: MadeUpRoot) -> None:
    side_by_side = [report("00000", 100), report("00001", 101)]
    (signals,) = stages(noted(store.catalog, side_by_side), ["image_signals", "content_scores"])
    measured, scored = signals.parts
    assert (signals.name, signals.records, signals.wall_s, signals.seconds) == ("signals", 24, 4, 6)
    assert (measured.records, measured.wall_s, measured.seconds, measured.partitions) == (24, 3, 4, 2)
    assert measured.rate == 8
    assert (scored.records, scored.wall_s, scored.rate) == (8, 2, 4)
    (entropy,) = measured.parts
    # Three of four seconds of both processes, while one of them was at work for three.
    assert (entropy.records, entropy.seconds, entropy.wall_s) == (20, 6, 3 * 3 / 4)
    assert scored.parts == []


def test_times_of_runs_add_up_and_the_last_of_a_partition_counts(store: MadeUpRoot) -> None:
    keep_times(store.catalog, [report("00000", 100)])
    path = keep_times(store.catalog, [report("00001", 200), report("00000", 300)])
    assert path is not None
    assert path == times_page(store.catalog) == Path(store.root.url) / ".dagster" / TIMES
    known = pl.read_parquet(path.parent / TABLE)
    assert dict(known.schema) == SCHEMA
    assert known.filter(asset="image_signals").select("shard", "start").rows() == [("00000", 300), ("00001", 200)]
    before = path.read_text()
    assert keep_times(store.catalog, [TaskReport(Task("00000", ("captions",)))]) is None
    assert path.read_text() == before


def test_of_a_partition_that_kept_rows_the_time_of_all_of_them_stays(store: MadeUpRoot) -> None:
    keep_times(store.catalog, [report("00000", 100)])
    again, first = report("00000", 200), report("00001", 300)
    again.stood = first.stood = {"image_signals"}
    keep_times(store.catalog, [again, first])
    table = pl.read_parquet(Path(store.root.url) / ".dagster" / TABLE)
    assert table.select("asset", "shard", "start").rows() == [
        ("content_scores", "00000", 202), ("content_scores", "00001", 302), ("image_signals", "00000", 100),
    ]  # fmt: skip
    assert noted(store.catalog, [again]).filter(asset="image_signals")["start"].to_list() == [200], "a summary has it"


def test_what_did_the_work_says_what_it_is(store: MadeUpRoot, monkeypatch: pytest.MonkeyPatch) -> None:
    """The parts of a task ran on other machines than the one that notes their times."""
    monkeypatch.setenv("OMP_NUM_THREADS", "64")
    whole, scored = report("00000", 100), report("00000", 200)
    whole.spans, whole.computed_on = {"image_signals": (100, 102)}, {"image_signals": "3 x cpu"}
    scored.spans, scored.computed_on = {"content_scores": (202, 203)}, {"content_scores": "1 x NVIDIA A40"}
    whole.add(scored)
    found = noted(store.catalog, [whole]).select("asset", "computed_on").rows()
    assert found == [("image_signals", "3 x cpu"), ("content_scores", "1 x NVIDIA A40")]
    assert [unit_of(words) for _, words in found] == [Unit("cpu", 3), Unit("NVIDIA A40", 1)]


@pytest.mark.parametrize("found", [b"", b"no parquet", None], ids=["empty", "damaged", "of other columns"])
def test_times_that_cannot_be_read_are_counted_anew(store: MadeUpRoot, found: bytes | None) -> None:
    table = Path(store.root.url) / ".dagster" / TABLE
    if found is None:
        pl.DataFrame({"asset": ["x"]}).write_parquet(table)
    else:
        table.write_bytes(found)
    keep_times(store.catalog, [report("00000", 100)])
    assert pl.read_parquet(table).height == 2


def test_the_page_has_a_row_for_each_and_loads_nothing(store: MadeUpRoot) -> None:
    shown = stages(noted(store.catalog, [report("00000", 100)]), ["image_signals", "content_scores"])
    text = page(shown, {"image_signals": 2, "content_scores": 2}, "<root>")
    rows = re.findall(r'<tr class="(\w+)"><td>([^<]*)</td><td>([^<]*)</td>', text)
    assert rows == [
        ("stage", "signals", "12"), ("asset", "image_signals", "12"), ("operator", "Entropy", "10"),
        ("asset", "content_scores", "4"),
    ]  # fmt: skip
    assert "1 of 2" in text
    assert "&lt;root&gt;" in text
    assert "http" not in text
    assert "<script" not in text


def test_a_place_that_cannot_be_written_is_said_and_fails_no_run(
    store: MadeUpRoot, capfd: pytest.CaptureFixture[str]
) -> None:
    home = Path(store.root.url) / ".dagster"
    home.rmdir()
    home.write_text("no folder")
    with pytest.raises(FileError, match=r"run_times\.parquet cannot be written"):
        keep_times(store.catalog, [report("00000", 100)])
    _keep_times(store.catalog, RunReport([report("00000", 100)]), RunProgress(open_console()))
    assert "how long it took is not kept" in capfd.readouterr().err

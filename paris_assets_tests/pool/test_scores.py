from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import polars as pl
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from paris_assets.pool.drawn import share_of
from paris_assets.pool.pool_table import UnusablePool, read_pool, uid_digits, uid_halves
from paris_assets.pool.selection import selected
from paris_assets.storage.shards import Shards
from paris_assets_tests.pool.choosing import known, pool, scores, table, uid, uids

ROWS = table()
EACH: dict[str, Any] = {
    "no_filter": "no_filter",
    "basic": {"rule": "basic", "min_words": 2, "min_side": 120},
    "threshold": {"rule": "clip_score", "min": 0.2},
    "top": {"rule": "clip_score", "top": 0.3},
    "window": {"rule": "clip_score", "arch": "b32", "window": [0.01, 0.3]},
    "laion2b": "laion2b",
    "text_based": "text_based",
    "bounds": {"rule": "bounds", "column": "words", "min": 3},
    "values": {"rule": "bounds", "column": "language", "values": ["de"]},
    "judged": "judged",
    "dedup": {"rule": "dedup", "cosine": 0.97},
    "near": {"rule": "prune", "fraction": 0.37},
    "density": {"rule": "prune", "fraction": 0.37, "allocation": "density"},
    "balance": {"rule": "balance", "per_entry": 20},
    "words": {"rule": "balance", "per_entry": 10, "words": ["photo", "number 3", "number 5"]},
    "random": {"rule": "random", "fraction": 0.41},
}


@pytest.mark.parametrize("name", EACH)
def test_no_order_of_files_shards_and_rows_changes_what_is_chosen(name: str, tmp_path: Path) -> None:
    asked = pool(EACH[name], subsets={"both": ["no_filter", EACH[name], {"rule": "random", "fraction": 0.5}]})
    rows, facts = scores(known(ROWS), asked, tmp_path)
    again, same = scores(known(ROWS, shards=5, order=3), asked, tmp_path)
    flags = ["selected", "both", "random-0", "random-1", "random-2"]
    columns = ["uid", *flags, "reason", "value", "rank"]
    assert rows.select(columns).sort("uid").equals(again.select(columns).sort("uid"))
    assert facts["subsets"] == same["subsets"]
    assert name == "no_filter" or 0 < rows["selected"].sum() < rows.height
    assert rows.filter(pl.col("selected") != pl.col("reason").is_null()).is_empty()


def reference(name: str) -> set[str]:
    """The published rules once more, row by row."""
    kept = set()
    for row in ROWS.iter_rows(named=True):
        short, long = sorted((row["source_width"], row["source_height"]))
        english = row["language"] == "en"
        verdicts = {
            "basic": english and row["words"] > 2 and row["characters"] > 5 and short >= 200 and long / short <= 3.0,
            "laion2b": english and row["clip_b32"] >= 0.28,
            "text_based": english and row["wordnet"],
            "judged": row["concept"] in (0, 2),
            "no_filter": True,
        }
        if verdicts[name]:
            kept.add(row["uid"])
    return kept


@pytest.mark.parametrize("name", ["no_filter", "basic", "laion2b", "text_based", "judged"])
def test_named_selectors_follow_the_published_rules(name: str, tmp_path: Path) -> None:
    assert uids(scores(known(ROWS), pool(name), tmp_path)[0]) == reference(name)


@pytest.mark.parametrize("share", [0.0, 0.29, 0.3, 0.005, 1.0])
@pytest.mark.parametrize("of", ["pool", "remaining", "fill"])
def test_a_share_is_exact_with_ties_by_uid(share: float, of: str, tmp_path: Path) -> None:
    first = {"rule": "bounds", "column": "words", "min": 3}
    rows, facts = scores(known(ROWS), pool(first, {"rule": "clip_score", "top": share, "of": of}), tmp_path)
    left = ROWS if of == "pool" else ROWS.filter(pl.col("words") >= 3)
    count = round(share * 1000) * (left if of == "remaining" else ROWS).height // 1000
    best = left.sort("clip_l14", "uid", descending=[True, False]).head(count).filter(pl.col("words") >= 3)
    assert uids(rows) == set(best["uid"])
    told = facts["subsets"]["selection"]["steps"][1]
    if 0 < count < left.height:
        assert told["threshold"] == left.sort("clip_l14", descending=True)["clip_l14"][count - 1]


@given(st.integers(0, 1000), st.integers(0, 10**7))
def test_a_share_is_the_floor_of_what_is_written(thousandths: int, count: int) -> None:
    assert share_of(count, thousandths / 1000) == thousandths * count // 1000


def test_the_window_leaves_out_the_best(tmp_path: Path) -> None:
    rows, _ = scores(known(ROWS), pool({"rule": "clip_score", "window": [0.01, 0.3]}), tmp_path)
    assert sorted(rows.filter("selected")["rank"]) == list(range(2, 60))


def test_missing_scores_drop_their_rows_by_name_and_are_never_made_up(tmp_path: Path) -> None:
    without = ROWS.with_columns(clip_l14=pl.when(pl.col("source_row") % 4 != 0).then("clip_l14"))
    rows, facts = scores(known(without), pool({"rule": "clip_score", "top": 1.0}), tmp_path)
    assert set(rows.filter(pl.col("reason") == "clip_score_missing")["source_row"]) == set(range(0, 200, 4))
    assert rows["selected"].sum() == 150
    assert facts["subsets"]["selection"]["dropped"] == {"clip_score_missing": 50}
    none = ROWS.with_columns(clip_l14=pl.lit(None, pl.Float64))
    with pytest.raises(UnusablePool, match="step clip_score needs clip_l14, which no row of the pool has"):
        scores(known(none), pool({"rule": "clip_score", "top": 0.3}), tmp_path)


def test_a_threshold_outside_the_range_and_an_unknown_column_are_refused(tmp_path: Path) -> None:
    with pytest.raises(UnusablePool, match=r"clip_l14 of at least 0\.9.*between 0\.05 and 0\.35"):
        scores(known(ROWS), pool({"rule": "clip_score", "min": 0.9}), tmp_path)
    with pytest.raises(UnusablePool, match=r"no column word.*did you mean 'words'"):
        scores(known(ROWS), pool({"rule": "bounds", "column": "word", "min": 1}), tmp_path)
    with pytest.raises(UnusablePool, match="language holds String"):
        scores(known(ROWS), pool({"rule": "bounds", "column": "language", "min": 1}), tmp_path)


@pytest.mark.parametrize("step", [{"rule": "clip_score"}, {"rule": "bounds", "column": "clip_l14"}])
def test_a_score_of_single_precision_meets_the_bound_that_it_equals(step: dict[str, Any], tmp_path: Path) -> None:
    lists = pl.Series(np.array([0.281, 0.295, 0.2], np.float32).repeat([50, 50, 100]))  # 0.281 is rounded downwards
    rows = ROWS.with_columns(clip_l14=lists.cast(pl.Float64))
    assert scores(known(rows), pool({**step, "min": 0.281}), tmp_path)[0]["selected"].sum() == 100
    assert scores(known(rows), pool({**step, "min": 0.295}), tmp_path)[0]["selected"].sum() == 50


def test_steps_of_one_name_are_told_apart(tmp_path: Path) -> None:
    names = ["a-2", "a", "a", "a_missing"]
    steps = [{"rule": "random", "fraction": 0.5, "name": name} for name in names]
    _, facts = scores(known(ROWS), pool(*steps), tmp_path)
    assert list(facts["subsets"]["selection"]["dropped"].values()) == [100, 50, 25, 13]


def test_every_control_is_of_the_selections_size_and_another_draw(tmp_path: Path) -> None:
    rows, _ = scores(known(ROWS), pool({"rule": "clip_score", "top": 0.3}, controls=4), tmp_path)
    drawn = [frozenset(uids(rows, f"random-{number}")) for number in range(4)]
    assert {len(each) for each in drawn} == {60}
    assert len(set(drawn)) == 4
    other, _ = scores(known(ROWS), pool({"rule": "clip_score", "top": 0.3}, controls=4), tmp_path, seed=1)
    assert uids(other, "random-0") != uids(rows, "random-0")


def test_controls_are_not_biased_towards_any_part_of_the_pool(tmp_path: Path) -> None:
    many = table(20_000).with_columns(uid=pl.Series([f"{number:032x}" for number in range(20_000)]))
    rows, _ = scores(known(many), pool({"rule": "random", "fraction": 0.3}, controls=1), tmp_path)
    for column in ("selected", "random-0"):
        halves = rows.group_by(pl.col("source_row") < 10_000).agg(pl.col(column).sum())[column]
        assert abs(int(halves[0]) - int(halves[1])) < 6 * np.sqrt(20_000 * 0.3 * 0.7)
    both = rows.filter("selected", "random-0").height  # drawn apart: a share of 0.09
    assert abs(both - 1800) < 6 * np.sqrt(1800)


def test_reasons_are_those_of_the_first_step_that_drops(tmp_path: Path) -> None:
    steps = [
        {"rule": "bounds", "column": "words", "min": 3},
        {"rule": "bounds", "column": "words", "min": 5, "name": "long"},
    ]
    rows, facts = scores(known(ROWS), pool(*steps), tmp_path)
    said = dict(rows.drop_nulls("reason").group_by("reason").len().iter_rows())
    assert said == {
        "words": ROWS.filter(pl.col("words") < 3).height, "long": ROWS.filter(pl.col("words").is_in([3, 4])).height
    }  # fmt: skip
    assert facts["subsets"]["selection"]["dropped"] == said
    assert rows.filter(pl.col("reason") == "words")["value"].max() == 2


def test_the_selection_of_a_shard_is_its_part(tmp_path: Path) -> None:
    rows, _ = scores(known(ROWS), pool("laion2b"), tmp_path)
    part = rows.filter(pl.col("shard") == "00001")
    output = selected(part.lazy())
    (found,) = output.rows  # type: ignore[misc]
    assert found["source_row"].to_list() == part["source_row"].to_list()
    assert output.facts["kept"] + sum(output.rejects.values()) == part.height == output.rows_in


ENDS = ["0" * 32, "0" * 31 + "1", "f" * 32, "0" * 16 + "f" * 16, "f" * 16 + "0" * 16, "8" + "0" * 31]


@settings(max_examples=50, deadline=None)
@given(st.lists(st.integers(0, 2**128 - 1).map("{:032x}".format), max_size=20))
def test_uids_survive_as_numbers(given_uids: list[str]) -> None:
    series = pl.Series("uid", [*ENDS, *given_uids])
    high, low = uid_halves(series)
    assert [(int(h) << 64) | int(x) for h, x in zip(high, low, strict=True)] == [int(each, 16) for each in series]
    assert uid_digits(high, low).to_list() == series.to_list()


def source(*given_uids: str | None) -> Shards:
    count = len(given_uids)
    rows = {"source_row": range(count), "uid": given_uids, "url": ["u"] * count, "locator": None, "text": ["t"] * count}
    return Shards.of({"00000": pl.DataFrame(rows, schema_overrides={"uid": pl.String, "locator": pl.String})})


@pytest.mark.parametrize("wrong", ["A" * 32, "0" * 31, "g" * 32, ""])
def test_a_uid_that_is_no_32_lower_case_digits_is_refused(wrong: str) -> None:
    with pytest.raises(UnusablePool, match=r"row 1 of the source \(shard 00000\).*32 lower-case hex digits"):
        read_pool(source(uid(0), wrong))


def test_given_uids_are_unique_and_made_ones_are_of_url_and_text() -> None:
    with pytest.raises(UnusablePool, match="rows 0 and 2 of the source have the uid"):
        read_pool(source(uid(0), uid(1), uid(0)))
    read = read_pool(source(None, uid(1), None))
    assert read.uids(slice(0, 1))[0] == "d5f8d50c29883bfe847cfc51ccaa1ab2"  # sha256 of "u\\nt"
    assert read.repeated.tolist() == [False, False, True]

"""Pruning and balancing, and what settings refuse."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import polars as pl
import pytest
from hypothesis import given
from hypothesis import strategies as st
from pydantic import ValidationError

from paris_assets.pool.allocation import floors, water_filled
from paris_assets.pool.pool_table import UnusablePool
from paris_assets.settings.pool import Pool
from paris_assets_tests.pool.choosing import STEP, known, pool, scores, table, uids

ROWS = table(400)


def prune(tmp_path: Path, rows: pl.DataFrame = ROWS, **how: Any) -> tuple[pl.DataFrame, dict[str, Any]]:
    got, facts = scores(known(rows), pool({"rule": "prune", **how}), tmp_path)
    return got, facts["subsets"]["selection"]["steps"][0]


@pytest.mark.parametrize("allocation", ["ranking", "even", "size", "density"])
@pytest.mark.parametrize("fraction", [0.0, 0.01, 0.29, 0.5, 0.999, 1.0])
def test_pruning_keeps_exactly_a_share_the_best_of_each_concept_and_the_floor(
    allocation: str, fraction: float, tmp_path: Path
) -> None:
    skewed = ROWS.with_columns(concept=pl.when(pl.col("source_row") > 120).then(0).otherwise("concept").cast(pl.Int32))
    got, _ = prune(tmp_path, skewed, fraction=fraction, allocation=allocation, floor=0.5, prefer="near")
    total = int(np.floor(fraction * 400 + 1e-9))
    assert got["selected"].sum() == total
    joined = got.join(skewed.select("source_row", "concept", "distance"), on="source_row")
    for _, rows in joined.group_by("concept"):
        kept = int(rows["selected"].sum())
        assert kept >= min(rows.height, int(0.5 * total / 4))
        assert uids(rows) == set(rows.sort("distance", "uid").head(kept)["uid"])
    if allocation == "ranking" and fraction == 0.5:
        none, _ = prune(tmp_path, skewed, fraction=fraction, floor=0, prefer="near")
        assert uids(none) == set(skewed.sort("distance", "uid").head(total)["uid"])


def test_far_is_refused_where_rows_are_scarce_unless_forced(tmp_path: Path) -> None:
    with pytest.raises(UnusablePool, match=r"prefers far, but each row kept is seen 2\.00 times.*100 rows.*scarce"):
        prune(tmp_path, fraction=0.5, prefer="far")
    got, told = prune(tmp_path, fraction=0.5, prefer="far", force=True, floor=0)
    assert uids(got) == set(ROWS.sort("distance", "uid", descending=[True, False]).head(200)["uid"])
    assert told["prefer"] == "far"
    _, auto = prune(tmp_path, fraction=0.5)
    assert auto["prefer"] == "near"
    assert "scarce" in auto["because"]


def test_auto_prefers_far_where_rows_are_plenty(tmp_path: Path) -> None:
    many = table(45_000)
    _, told = prune(tmp_path, many, fraction=0.5, samples_seen=22_500)
    assert told["prefer"] == "far"
    assert "plenty" in told["because"]
    assert prune(tmp_path, many, fraction=0.5, samples_seen=22_501)[1]["prefer"] == "near"
    assert prune(tmp_path, table(39_000), fraction=0.5, samples_seen=9)[1]["prefer"] == "near"


@given(
    st.lists(st.tuples(st.integers(0, 60), st.floats(0.01, 50)), min_size=1, max_size=12),
    st.floats(0, 1),
    st.floats(0, 1),
)
def test_water_fills_between_floors_and_sizes(concepts: list[tuple[int, float]], share: float, floor: float) -> None:
    sizes = np.array([size for size, _ in concepts])
    weights = np.array([weight for _, weight in concepts])
    total = int(share * sizes.sum())
    least = floors(sizes, total, floor)
    quota = water_filled(weights, least, sizes, total)
    assert quota.sum() == total
    assert (quota >= least).all()
    assert (quota <= sizes).all()
    free = (quota > least + 1) & (quota < sizes - 1)  # one level of water, to a row
    levels = [((quota[at] - 1) / weights[at], (quota[at] + 1) / weights[at]) for at in np.flatnonzero(free)]
    if levels:
        assert max(low for low, _ in levels) <= min(high for _, high in levels) * (1 + 1e-9)


def test_balancing_thins_large_concepts_to_about_the_count_and_leaves_small_ones(tmp_path: Path) -> None:
    rows = table(20_000).with_columns(concept=pl.when(pl.col("source_row") < 50).then(1).otherwise(0).cast(pl.Int32))
    got, facts = scores(known(rows), pool({"rule": "balance", "per_entry": 1000}), tmp_path)
    assert got.head(50)["selected"].all()
    assert abs(int(got.slice(50)["selected"].sum()) - 1000) < 6 * np.sqrt(1000)
    assert facts["subsets"]["selection"]["steps"][0]["thinned"] == 1


def test_a_row_of_several_words_has_the_chance_of_any_of_them(tmp_path: Path) -> None:
    texts = pl.Series(["Cat, dog", "cat", "category", "a DOG!", None])
    rows = table(5).with_columns(text=texts)
    words = {"rule": "balance", "per_entry": 1, "words": ["cat", "dog", "emu"]}
    got, facts = scores(known(rows), pool(words), tmp_path)
    assert got["value"].to_list() == pytest.approx([0.75, 0.5, 0, 0.5, 0])
    assert not got.filter(pl.col("source_row").is_in([2, 4]))["selected"].any()
    assert facts["subsets"]["selection"]["steps"][0]["entries"] == 2


def test_entries_of_several_words_and_signs_are_found(tmp_path: Path) -> None:
    texts = pl.Series(["A polar-bear, asleep", "polar night, bear", "t-shirt", "shirt", "polar  bear POLAR BEAR"])
    words = {"rule": "balance", "per_entry": 9, "words": ["polar bear", "T-shirt!"]}
    got, _ = scores(known(table(5).with_columns(text=texts)), pool(words), tmp_path)
    assert got["selected"].to_list() == [True, False, True, False, True]


@pytest.mark.parametrize(
    ("step", "said"),
    [
        ("clip", "'clip' is no selector"),
        ({"rule": "basics"}, "did you mean 'basic'"),
        ({"rule": "clip_score"}, "one of min, top and window, not none"),
        ({"rule": "clip_score", "min": 0.2, "top": 0.3}, "not min and top"),
        ({"rule": "clip_score", "min": 28}, "less than or equal to 1"),
        ({"rule": "clip_score", "window": [0.3, 0.01]}, "the smaller share comes first"),
        ({"rule": "bounds", "column": "words"}, "take min and max, or values"),
        ({"rule": "bounds", "column": "words", "min": 3, "max": 2}, "min 3.0 is above max 2.0"),
        ({"rule": "prune", "fraction": 1.2}, "less than or equal to 1"),
        ({"rule": "balance", "per_entry": 1, "words": ["cat", " - "]}, "' - ' has no letter and no digit"),
        ({"rule": "dedup", "name": "near/copies"}, "String should match pattern"),
        ({"rule": "dedup", "cosin": 0.9}, "Extra inputs are not permitted"),
    ],
)  # fmt: skip
def test_steps_that_cannot_be_meant_are_refused(step: Any, said: str) -> None:
    with pytest.raises(ValidationError, match=said):
        STEP.validate_python(step)


@pytest.mark.parametrize(
    ("settings", "said"),
    [
        ({"select": ["judged"]}, "judged needs concepts: set pool.concepts"),
        ({"subsets": {"x": [{"rule": "prune", "fraction": 0.5}]}}, "prune needs concepts"),
        ({"select": ["judged"], "concepts": {}}, "judged needs verdicts: set pool.judge"),
        ({"select": ["text_based"]}, "text_based compares words with nouns: set pool.captions.wordnet"),
        ({"select": ["dedup"], "concepts": {}, "vectors": {"image": None}}, "dedup needs vectors of image"),
        ({"subsets": {"random-3": ["basic"]}}, "cannot be called 'random-3'"),
        ({"subsets": {"../x": ["basic"]}}, "cannot be called"),
        ({"subsets": {"selected": ["basic"]}}, "cannot be called"),
        ({"select": ["basic"], "controls": 0}, "greater than or equal to 1"),
    ],
)  # fmt: skip
def test_settings_that_contradict_each_other_are_refused(settings: dict[str, Any], said: str) -> None:
    with pytest.raises(ValidationError, match=said):
        Pool.model_validate(settings)

"""Sketches of columns, and how far apart shards are by them."""

from __future__ import annotations

import math
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import polars as pl
import pytest
from hypothesis import given
from hypothesis import strategies as st
from scipy import stats

from paris_assets.dag.checks import CheckOutcome
from paris_assets.dag.records import Records
from paris_assets.signals import checks
from paris_assets.signals.distribution import ATOMS, SKETCH, shift, sketch, sketched
from paris_assets.storage.output import Output
from paris_assets_tests.fixtures import made_up
from paris_assets_tests.fixtures.made_up import MadeUpRoot

VALUES = st.lists(st.sampled_from([None, 0.0, 1.0, 2.5, 7.0]) | st.floats(-100, 100), min_size=1, max_size=200)
SHARDS = [f"{number:05d}" for number in range(4)]


def distance(one: list[float | None], other: list[float | None]) -> float:
    found = shift(sketch(pl.Series(one, dtype=pl.Float64)), [sketch(pl.Series(other, dtype=pl.Float64))])
    assert found is not None
    return found.distance


@given(VALUES, VALUES)
def test_the_distance_is_that_of_kolmogorov_and_smirnov_to_a_thirtysecond(
    one: list[float | None], other: list[float | None]
) -> None:
    lacking = [values.count(None) / len(values) for values in (one, other)]
    # What is unknown lies above all that is known.
    ranked = [[math.inf if value is None else value for value in values] for values in (one, other)]
    found: Any = stats.ks_2samp(ranked[0], ranked[1], method="asymp")
    exact = max(found.statistic, abs(lacking[0] - lacking[1]))
    assert distance(one, other) == pytest.approx(exact, abs=1 / ATOMS + 1e-9)


@given(VALUES)
def test_a_shard_is_not_apart_from_itself_in_any_order(values: list[float | None]) -> None:
    assert distance(values, list(reversed(values))) == pytest.approx(0, abs=1e-12)
    assert sketch(pl.Series(values, dtype=pl.Float64)) == sketch(pl.Series(values[::-1], dtype=pl.Float64))


def test_several_shards_count_by_their_images() -> None:
    low, high, all_low = (sketch(pl.Series(values)) for values in ([0.0] * 30, [1.0] * 10, [0.0] * 8))
    found = shift(all_low, [low, high])
    assert found is not None
    assert found.distance == pytest.approx(0.25)
    assert found.chance == pytest.approx(1.95 * math.sqrt(1 / 8 + 1 / 40))


def test_without_images_there_is_nothing_to_compare() -> None:
    empty, some = sketch(pl.Series([], dtype=pl.Float64)), sketch(pl.Series([1.0]))
    assert shift(empty, [some]) is None
    assert shift(some, [empty]) is None
    assert shift(some, []) is None


def test_rows_pass_unchanged_and_columns_of_numbers_are_sketched() -> None:
    frames = [
        pl.DataFrame({"image_id": ["a", "b"], "blur": [1.0, None], "grey": [True, False], "phash": [1, 2]}),
        pl.DataFrame({"image_id": ["c"], "blur": [float("nan")], "grey": [True], "phash": [3]}),
    ]
    for rows in (frames, lambda previous: iter(frames)):
        output = Output()
        made = sketched(rows, output)
        passed = made(None) if callable(made) else made
        assert pl.concat(passed).equals(pl.concat(frames))  # type: ignore[arg-type]
        assert output.facts[SKETCH] == {"blur": [2, 1, *[1.0] * 32], "grey": [0, 3, *[0.0] * 11, *[1.0] * 21]}


@pytest.fixture
def store(tmp_path: Path) -> MadeUpRoot:
    store = made_up.flat_root(tmp_path)
    registry = pl.DataFrame({"shard": SHARDS, "file": "", "rows": 1})
    made_up.put_registry(tmp_path, registry)
    return store


def put(store: MadeUpRoot, shard: str, blur: np.ndarray) -> None:
    rows = pl.DataFrame({"image_id": [f"{shard}{number:027d}" for number in range(len(blur))], "blur": blur})
    output = Output()

    def frames() -> Iterator[pl.DataFrame]:
        yield rows

    output.rows = sketched(frames(), output)
    store.commit("image_signals", shard, output)


def judged(store: MadeUpRoot, shard: str) -> CheckOutcome:
    records = Records(store.record, {"image_signals": store.shards()})
    record = store.record("image_signals", shard)
    assert record is not None
    return checks.like_earlier_shards(shard, record, records, store.profile.checks)


def test_a_shard_of_another_kind_is_seen_and_the_first_has_nothing_to_compare_with(store: MadeUpRoot) -> None:
    generator = np.random.default_rng(0)
    for shard in SHARDS[:2]:
        put(store, shard, generator.normal(2, 1, 400))
    put(store, SHARDS[2], generator.normal(3, 1, 400))
    first, second, third = (judged(store, shard) for shard in SHARDS[:3])
    assert first.passed
    assert first.said == "there is no earlier shard to compare with"
    assert second.passed
    assert second.said == "1 columns are distributed as in 1 earlier shards"
    assert not third.passed
    expected = stats.norm.cdf(0.5) - stats.norm.cdf(-0.5)  # of two normal distributions, one deviation apart
    assert third.figures["shift of blur"] == pytest.approx(expected, abs=0.08)
    assert "from 2 earlier shards, at most 0.2 expected" in third.said
    put(store, SHARDS[3], generator.normal(3, 1, 400))
    assert judged(store, SHARDS[3]).passed, "a third of what is compared with is of this kind by now"


def test_a_few_images_may_differ_by_chance_and_a_column_that_loses_its_values_does_not(store: MadeUpRoot) -> None:
    generator = np.random.default_rng(1)
    put(store, SHARDS[0], generator.normal(2, 1, 400))
    put(store, SHARDS[1], generator.normal(3, 1, 10))
    assert judged(store, SHARDS[1]).passed
    put(store, SHARDS[1], np.full(400, np.nan))
    assert "blur is 1.00 from 1 earlier shards" in judged(store, SHARDS[1]).said


def test_many_earlier_shards_are_looked_at_evenly(tmp_path: Path) -> None:
    store, names = made_up.flat_root(tmp_path), [f"{number:05d}" for number in range(101)]
    made_up.put_registry(tmp_path, pl.DataFrame({"shard": names, "file": "", "rows": 1}))
    put(store, names[-1], np.zeros(50))
    asked = list[str]()
    record = store.record("image_signals", names[-1])
    assert record is not None

    def read(asset: str, shard: str) -> None:
        asked.append(shard)

    checks.like_earlier_shards(names[-1], record, Records(read, {"image_signals": names}), store.profile.checks)
    assert asked == names[:100:8]


def test_however_many_shards_come_one_after_the_other_few_are_compared_with() -> None:
    chosen = [checks.spread(count) for count in range(10_000)]
    assert all(len(each) == min(count, 16) for count, each in enumerate(chosen[:17]))
    assert all(9 <= len(each) <= checks.COMPARED for each in chosen[17:])
    assert all(each[0] == 0 and count - each[-1] <= each.step for count, each in enumerate(chosen) if count)
    assert len(set().union(*chosen)) < 100, "else a process that works on them keeps the records of all"


def test_earlier_shards_under_other_settings_are_left_out(store: MadeUpRoot) -> None:
    put(store, SHARDS[0], np.zeros(400))
    put(store, SHARDS[1], np.ones(400))
    before = store.record("image_signals", SHARDS[0])
    assert before is not None
    other = before.model_copy(update={"rows_fingerprint": "other"})
    records = Records(lambda _, key: other if key == SHARDS[0] else None, {"image_signals": SHARDS})
    now = store.record("image_signals", SHARDS[1])
    assert now is not None
    assert not judged(store, SHARDS[1]).passed
    assert checks.like_earlier_shards(SHARDS[1], now, records, store.profile.checks).passed

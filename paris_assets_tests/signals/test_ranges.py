"""Values of shipped signals stay within their ranges."""

from __future__ import annotations

import math
from collections.abc import Iterator

import polars as pl
import pytest

from paris_assets.config import Profile, Signals
from paris_assets.signals.checks import values_in_range
from paris_assets.signals.measure import measure
from paris_assets.signals.schema import MEASURED, RANGES
from paris_assets_tests.benchmarks.bench_signals import FURTHER
from paris_assets_tests.fixtures.photographs import SAMPLE

EXTRA = ["paris_assets.signals.barcodes:Barcodes", "paris_assets.signals.text_area:TextArea"]
EVERY = Profile(signals=Signals(measures=[*Signals().measures, *FURTHER, *EXTRA]))


@pytest.fixture(scope="module")
def signals() -> pl.DataFrame:
    """What ships, of a few photographs."""
    files = [(f"{i:032x}", path.read_bytes()) for i, path in enumerate(sorted(SAMPLE.rglob("*.jpg"))[:24])]
    return pl.concat(measure(files, EVERY.signals))


def test_every_number_that_ships_has_a_range(signals: pl.DataFrame) -> None:
    numbers = {name for name, (kind, *_) in MEASURED.items() if isinstance(kind, type) and kind.is_numeric()}
    assert set(RANGES) == numbers - {"phash", "dhash"}
    assert set(MEASURED) == set(signals.columns) - {"image_id", "undecodable", "error"}


def test_photographs_are_within(signals: pl.DataFrame) -> None:
    outcome = values_in_range("00000", signals.lazy(), EVERY)
    assert (outcome.passed, outcome.said) == (True, f"{len(RANGES)} signals within their ranges")


def defects() -> Iterator[tuple[str, float]]:
    """A value below, one above and one that is no number, where a column can hold them."""
    for name, (low, high) in RANGES.items():
        yield name, low - 1
        if not math.isinf(high):
            yield name, high + 1
        if MEASURED[name][0] == pl.Float64:
            yield name, math.nan


@pytest.mark.parametrize(("name", "value"), list(defects()))
def test_a_value_outside_is_named(signals: pl.DataFrame, name: str, value: float) -> None:
    defect = pl.lit(value).cast(signals.schema[name])
    changed = signals.with_columns(pl.when(pl.int_range(pl.len()) == 3).then(defect).otherwise(name).alias(name))
    outcome = values_in_range("00007", changed.lazy(), EVERY)
    assert not outcome.passed
    assert f"1 values of {name} are not within" in outcome.said
    assert "--select image_signals --shards 00007" in outcome.advice


def test_signals_of_others_and_nulls_are_left_alone(signals: pl.DataFrame) -> None:
    """A column of one's own may be called as one that ships, and mean something else."""
    measures = ["paris_assets.signals.degradation:Degradation", "my_signals:Saturation"]
    profile = Profile(signals=Signals(measures=measures))
    own = signals.with_columns(saturation=pl.lit(40.0), blur=pl.lit(None, pl.Float64))
    assert values_in_range("00000", own.lazy(), profile).passed
    assert not values_in_range("00000", own.lazy(), EVERY).passed

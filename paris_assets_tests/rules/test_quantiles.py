"""Shares of the whole set by rank, against plain sorting."""

from __future__ import annotations

import math
from fractions import Fraction

import polars as pl
import pytest
from hypothesis import given
from hypothesis import strategies as st

from paris_assets.config import QuantileRule
from paris_assets.rules.quantiles import ranked, resolve
from paris_assets.rules.verdicts import judge

TOP = QuantileRule(name="best", column="score", top=0.3)
VALUES = st.lists(st.sampled_from([0.0, -1.5, 2.0, 2.5, math.nan, None, math.inf]), max_size=40)
SHARES = st.tuples(st.integers(0, 100), st.integers(0, 100)).filter(lambda ends: ends[0] < ends[1])


def table(values: list[float | None]) -> pl.DataFrame:
    return pl.DataFrame(
        {"image_id": [f"{(number * 7919) % 100_003:032x}" for number in range(len(values))], "score": values},
        schema={"image_id": pl.String, "score": pl.Float64},
    )


def kept(images: pl.DataFrame, rule: QuantileRule) -> set[str]:
    resolved = pl.DataFrame(resolve(images.lazy(), [rule]))
    verdict = judge(images, ranked([rule], resolved))
    assert verdict.filter(~pl.col("kept"))["reason"].unique().to_list() in ([], [rule.name])
    return set(verdict.filter("kept")["image_id"])


@given(values=VALUES, shares=SHARES)
def test_exactly_the_share_by_value_and_then_by_image_id(values: list[float | None], shares: tuple[int, int]) -> None:
    images = table(values)
    rule = QuantileRule(name="best", column="score", window=(shares[0] / 100, shares[1] / 100))
    order = sorted(
        ((-value, name) for name, value in images.rows() if value is not None and not math.isnan(value)),
    )
    start, end = (Fraction(percent, 100) * len(order) // 1 for percent in shares)
    assert kept(images, rule) == {name for _, name in order[start:end]}


def test_a_share_is_no_binary_fraction() -> None:
    assert 0.29 * 100 < 29
    assert len(kept(table([float(number) for number in range(100)]), TOP.model_copy(update={"top": 0.29}))) == 29


def test_order_and_copies_of_images_change_nothing() -> None:
    images = table([float(number % 7) for number in range(50)])
    again = pl.concat([images.reverse(), images[:20]])
    assert resolve(again.lazy(), [TOP]) == resolve(images.lazy(), [TOP])


def test_what_is_resolved_judges_images_that_come_later() -> None:
    resolved = pl.DataFrame(resolve(table([float(number) for number in range(10)]).lazy(), [TOP]))
    assert resolved.select("ranked", "kept", "first", "last").row(0) == (10, 3, 9.0, 7.0)
    later = pl.DataFrame({"image_id": ["0" * 32, "f" * 32, "1" * 32], "score": [7.0, 7.0, 9.5]})
    # Between the two that bound the share; what exceeds the first of a share that begins at the top is kept too.
    verdict = judge(later, ranked([TOP], resolved)).filter("kept")["image_id"].to_list()
    assert verdict == ["0" * 32, "1" * 32]


@pytest.mark.parametrize("null", ["keep", "reject"])
def test_an_unknown_value_is_not_counted(null: str) -> None:
    images = table([1.0, 2.0, None, 3.0, math.nan, 4.0, 5.0, 6.0, 7.0, 8.0, 9.0, 10.0])
    names = kept(images, TOP.model_copy(update={"null": null}))
    assert len(names) == 3 + 2 * (null == "keep")


def test_no_images() -> None:
    (row,) = resolve(table([]).lazy(), [TOP])
    assert (row["ranked"], row["kept"], row["first"], row["last_id"]) == (0, 0, None, None)
    assert kept(table([]), TOP) == set()

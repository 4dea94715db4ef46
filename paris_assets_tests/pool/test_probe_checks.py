"""Each check of the probe fails for its own defect."""

from __future__ import annotations

from typing import Any

import polars as pl
import pytest

from paris_assets.pool.checks import probe_controlled, selection_helps
from paris_assets.profiles import load_profile
from paris_assets.settings.checks import WARN_ONLY
from paris_assets_tests.pool.told import probed

PROFILE = load_profile("demo", {"pool.probe": {}})
CONTROL = pl.col("control_of") == "selection"


def failing(table: pl.DataFrame) -> list[str]:
    judged = [(check, check(PROFILE, table.lazy())) for check in (selection_helps, probe_controlled)]
    return [check.__name__ for check, outcome in judged if not outcome.passed]


def test_a_selection_that_helps_and_has_controls() -> None:
    assert failing(probed()) == []


@pytest.mark.parametrize(("gain", "words"), [(0.0, "no gain of selection"), (-0.1, "selection is worse than random")])
def test_a_selection_that_is_no_better_than_random(gain: float, words: str) -> None:
    assert failing(probed(gain)) == ["selection_helps"]
    outcome = selection_helps(PROFILE, probed(gain).lazy())
    assert outcome.said.startswith(words)
    assert outcome.figures["low"] <= 0  # type: ignore[operator]
    assert "selection_helps" in WARN_ONLY
    assert "probe_controlled" not in WARN_ONLY


def without(condition: pl.Expr) -> pl.DataFrame:
    return probed().filter(~condition.fill_null(False))


@pytest.mark.parametrize(
    ("table", "words"),
    [
        (without(CONTROL), "selection has no random control"),
        (without(pl.col("control_of") == "basic"), "basic has no random control"),
        (
            without(CONTROL & (pl.col("subset") == "random-1") & (pl.col("seed") > 1)),
            "random-1 of selection is there in 2 of 4 runs",
        ),
        (
            probed().with_columns(rows=pl.when(CONTROL).then(240).otherwise("rows")),
            "controls of selection have 240 rows where it has 180",
        ),
    ],
    ids=["selection", "subset", "runs", "size"],
)  # fmt: skip
def test_a_control_that_is_missing_or_of_another_size(table: pl.DataFrame, words: str) -> None:
    table = table.with_columns(rows=pl.when(pl.col("subset") == "all rows").then(900).otherwise("rows"))
    outcome: Any = probe_controlled(PROFILE, table.lazy())
    assert not outcome.passed
    assert words in outcome.said


def test_all_rows_are_their_own_control() -> None:
    table = without(CONTROL)  # of as many rows as all
    assert probe_controlled(PROFILE, table.with_columns(rows=pl.lit(180, pl.Int64)).lazy()).passed
    assert selection_helps(PROFILE, table.lazy()).passed

"""Intervals against scipy's, what is claimed of chance, and what sentences say."""

from __future__ import annotations

import numpy as np
import pytest
from scipy import stats

from paris_assets.pool.gains import Gain, around, gain, said

SEEDS = 8


def test_the_difference_from_one_other_is_the_paired_t_test() -> None:
    drawn = np.random.default_rng(0)
    own, other = drawn.normal(0.3, 0.02, SEEDS), drawn.normal(0.28, 0.02, SEEDS)
    found = gain(own, other[None], 0.9)
    wanted = stats.ttest_rel(own, other).confidence_interval(0.9)
    assert (found.low, found.high) == pytest.approx((wanted.low, wanted.high))
    assert found.difference == pytest.approx((own - other).mean())
    assert around(own, 0.95)[1:] == pytest.approx(stats.t.interval(0.95, SEEDS - 1, own.mean(), stats.sem(own)))


def draws(drawn: np.random.Generator, count: int, apart: float) -> np.ndarray:
    """(count, SEEDS) values of random subsets that lie apart by so much, beside the noise of runs and seeds."""
    of_draws, of_seeds = apart * drawn.standard_normal((count, 1)), 0.03 * drawn.standard_normal(SEEDS)
    return 0.3 + of_draws + of_seeds + 0.005 * drawn.standard_normal((count, SEEDS))


@pytest.mark.parametrize("apart", [0.0, 0.01])
def test_one_more_random_draw_is_seldom_called_better(apart: float) -> None:
    """An interval over seeds alone would be wrong in half of the cases where draws lie apart."""
    drawn, trials = np.random.default_rng(4), 1000
    wrong = naive = 0
    for _ in range(trials):
        values = draws(drawn, 5, apart)
        wrong += gain(values[0], values[1:], 0.95).sign != 0
        naive += gain(values[0], values[1:].mean(0, keepdims=True), 0.95).sign != 0
    assert wrong / trials < 0.09
    assert apart == 0 or naive / trials > 0.4


def test_a_clear_gain_is_found() -> None:
    values = draws(np.random.default_rng(6), 4, 0.01)
    found = gain(values[0] + 0.2, values[1:], 0.95)
    assert found.sign == 1
    assert found.low < 0.2 < found.high
    assert gain(values[0] - 0.2, values[1:], 0.95).sign == -1


def test_equal_values_are_no_gain() -> None:
    values = np.full((3, SEEDS), 0.25)
    assert gain(values[0], values, 0.95) == Gain(0.0, 0.0, 0.0, SEEDS)
    assert gain(values[0], values, 0.95).sign == 0


@pytest.mark.parametrize(
    ("found", "words"),
    [
        (Gain(0.05, 0.01, 0.09, 8), "x is better than y by 0.0500 (95% interval +0.0100 to +0.0900, 8 seeds)"),
        (Gain(-0.05, -0.09, -0.01, 8), "x is worse than y by 0.0500 (95% interval -0.0900 to -0.0100, 8 seeds)"),
        (
            Gain(0.05, -0.01, 0.11, 8),
            "no gain of x over y is shown: +0.0500 (95% interval -0.0100 to +0.1100, 8 seeds, which holds zero)",
        ),
        (
            Gain(0.05, 0.0, 0.1, 8),
            "no gain of x over y is shown: +0.0500 (95% interval +0.0000 to +0.1000, 8 seeds, which holds zero)",
        ),
    ],
)
def test_no_gain_is_claimed_where_the_interval_holds_zero(found: Gain, words: str) -> None:
    assert said("x", "y", found, 0.95) == words

"""Kappas against published examples and another implementation."""

from __future__ import annotations

import numpy as np
import pytest
from sklearn.metrics import cohen_kappa_score

from paris_assets.pool.agreement import VERDICTS, cohen_kappa, fleiss_kappa, mean_cohen_kappa


@pytest.mark.parametrize("seed", range(5))
def test_cohens_kappa_is_that_of_another_implementation(seed: int) -> None:
    draw = np.random.default_rng(seed)
    first = draw.choice(VERDICTS, 40).tolist()
    second = [one if draw.random() < 0.6 else str(draw.choice(VERDICTS)) for one in first]
    assert cohen_kappa(first, second) == pytest.approx(cohen_kappa_score(first, second))


def test_fleiss_kappa_of_a_table_by_hand() -> None:
    votes = [["keep"] * 3, ["keep", "keep", "drop"], ["drop"] * 3, ["drop", "mixed", "keep"]]
    # P of items: 1, 1/3, 1, 0; shares of verdicts: 6, 5 and 1 of 12.
    agreed, chance = (1 + 1 / 3 + 1 + 0) / 4, (36 + 25 + 1) / 144
    assert fleiss_kappa(votes) == pytest.approx((agreed - chance) / (1 - chance))
    assert fleiss_kappa([*votes, ["keep"]]) == fleiss_kappa(votes), "one vote agrees with nobody"


def test_where_chance_would_agree_there_is_no_kappa() -> None:
    assert fleiss_kappa([["keep"] * 3] * 5) is None
    assert fleiss_kappa([["keep"]]) is None
    assert cohen_kappa(["keep"] * 3, ["keep"] * 3) is None
    assert cohen_kappa([], []) is None
    assert mean_cohen_kappa([]) is None
    assert mean_cohen_kappa([["keep"], ["drop"]]) is None


def test_the_mean_over_pairs_of_votes_is_of_items_with_all_of_them() -> None:
    votes = [["keep", "keep", "drop"], ["drop", "drop", "drop"], ["keep", "drop", "keep"], ["keep"]]
    first, second, third = (list(column) for column in zip(*votes[:3], strict=True))
    expected = [cohen_kappa(a, b) for a, b in ((first, second), (first, third), (second, third))]
    assert mean_cohen_kappa(votes) == pytest.approx(np.mean(expected))  # type: ignore[arg-type]

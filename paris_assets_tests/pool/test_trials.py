"""What is trained on, and beside what."""

from __future__ import annotations

import numpy as np
import polars as pl
import pytest

from paris_assets.pool.trials import Trial, trials_of
from paris_assets.settings.section import ProfileError

ROWS = 100


def pool(**columns: np.ndarray) -> pl.DataFrame:
    numbers = np.arange(ROWS)
    own = {"source_row": numbers, "uid": [f"{row:032x}" for row in numbers], "selected": numbers < 30}
    return pl.DataFrame({**own, "rank": numbers, **columns})


def named(trials: list[Trial]) -> dict[tuple[str, str | None, float | None], np.ndarray]:
    found = {(trial.name, trial.control_of, trial.fraction): trial.holds for trial in trials}
    assert len(found) == len(trials)
    return found


def test_everything_stands_beside_random_rows_of_its_size() -> None:
    numbers = np.arange(ROWS)
    controls = {f"random-{number}": (numbers + 7 * number) % ROWS < 30 for number in range(3)}
    found = named(trials_of(pool(**controls, basic=numbers % 2 == 0, everything=numbers >= 0), [0.29, 1.0], 0))
    assert found["all rows", None, None].all()
    np.testing.assert_array_equal(found["selection", None, None], numbers < 30)
    for name, holds in controls.items():
        np.testing.assert_array_equal(found[name, "selection", None], holds)
    own = [found[f"random-{number}", "basic", None] for number in range(3)]
    assert [holds.sum() for holds in own] == [50, 50, 50]
    assert len({holds.tobytes() for holds in own}) == 3
    assert not any(control == "everything" for _, control, _ in found)  # all rows are their own control
    np.testing.assert_array_equal(found["ranked", None, 0.29], numbers < 29)
    assert found["random-0", "ranked", 0.29].sum() == 29
    assert found["ranked", None, 1.0].all()


def test_the_curve_is_of_ranked_rows_and_absent_without() -> None:
    numbers = np.arange(ROWS)
    flags = {"random-0": numbers < 30}
    some = pool(**flags).with_columns(rank=pl.when(pl.col("rank") >= 60).then(99 - pl.col("rank")))
    found = named(trials_of(some, [0.5], 0))
    np.testing.assert_array_equal(found["ranked", None, 0.5], numbers >= 80)
    none = pool(**flags).with_columns(rank=pl.lit(None, pl.Int64))
    assert not any(fraction for _, _, fraction in named(trials_of(none, [0.5], 0)))


def test_a_selection_without_controls_is_refused() -> None:
    with pytest.raises(ProfileError, match="pool_scores has no random-0"):
        trials_of(pool(), [], 0)
    whole = np.ones(ROWS, bool)
    found = named(trials_of(pool(selected=whole, **{"random-0": whole}), [], 0))
    assert [name for name, _, _ in found] == ["all rows", "selection"]

"""Checks of what is chosen, each shown to fail by its own defect at the shipped bounds."""

from __future__ import annotations

from pathlib import Path

import polars as pl
import pytest

from paris_assets.dag.records import ALL
from paris_assets.pool.checks import controls_present, selected_share, subset_found
from paris_assets.pool.schema import POOL_SCORES, SUBSET_FILES
from paris_assets_tests.fixtures.made_up import MadeUpRoot, flat_root

COUNT = 200


@pytest.fixture
def store(tmp_path: Path) -> MadeUpRoot:
    store = flat_root(tmp_path / "root", **{"pool.select": ["no_filter"], "pool.controls": 2})
    number = pl.col("source_row")
    rows = [{"shard": "00000", "source_row": n, "uid": f"{n:032x}", "selected": n < 60} for n in range(COUNT)]
    flags = {"random-0": number % 10 < 3, "random-1": number >= COUNT - 60}
    store.put("pool_scores", POOL_SCORES.frame(rows).with_columns(**flags))
    files = [{"subset": name, "rows": 60, "found": found} for name, found in (("selection", 48), ("other", None))]
    store.put("subset_files", SUBSET_FILES.frame(files))
    return store


def test_a_sound_pool_passes(store: MadeUpRoot) -> None:
    for body in (selected_share, controls_present, subset_found):
        assert store.check(body, ALL).passed, body


def test_a_share_kept_out_of_bounds(store: MadeUpRoot) -> None:
    store.replace("pool_scores", selected=pl.lit(False))
    found = store.check(selected_share, ALL)
    assert not found.passed
    assert "0 of 200 rows are selected" in found.said


def test_a_control_that_is_absent_of_another_size_or_the_selection_itself(store: MadeUpRoot) -> None:
    sound = store.read("pool_scores")
    store.put("pool_scores", sound.drop("random-1"))
    assert "there is no random-1" in store.check(controls_present, ALL).said
    store.put("pool_scores", sound.with_columns(**{"random-0": pl.col("random-0") & (pl.col("source_row") > 9)}))
    assert "random-0 holds 57 rows, the selection 60" in store.check(controls_present, ALL).said
    store.put("pool_scores", sound.with_columns(**{"random-0": pl.col("selected")}))
    found = store.check(controls_present, ALL)
    assert not found.passed
    assert "random-0 is the selection itself" in found.said


def test_a_subset_whose_images_were_mostly_not_found(store: MadeUpRoot) -> None:
    store.replace("subset_files", found=pl.lit(30, pl.Int64))
    found = store.check(subset_found, ALL)
    assert not found.passed
    assert "50.0% of selection have an image, at least 60% expected" in found.said

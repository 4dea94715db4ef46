from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from paris_assets.config import Duplicates
from paris_assets.curation import candidates
from paris_assets.curation.candidates import Candidates
from paris_assets.curation.same_picture import same_picture
from paris_assets_tests.curation.variants import COPIES, hashed
from paris_assets_tests.fixtures.photographs import photographs

CORRELATION = Duplicates().verify_correlation


def pairs(thumbnails: np.ndarray, left: np.ndarray, right: np.ndarray) -> set[tuple[int, int]]:
    return {tuple(pair) for block in Candidates(thumbnails).between(left, right) for pair in block.tolist()}


def agreeing(thumbnails: np.ndarray, correlation: float) -> set[tuple[int, int]]:
    left, right = (side.ravel() for side in np.indices((len(thumbnails), len(thumbnails))))
    same = same_picture(thumbnails[left], thumbnails[right], correlation)
    return set(zip(left[same].tolist(), right[same].tolist(), strict=True))


def test_no_copy_of_a_photograph_is_lost_and_few_others_are_looked_at() -> None:
    photos = photographs()[::4]
    thumbnails = np.concatenate([hashed([copy(photo) for photo in photos])[1] for copy in COPIES.values()])
    rows = np.arange(len(thumbnails))
    found, same = pairs(thumbnails, rows, rows), agreeing(thumbnails, CORRELATION)
    assert same <= found
    assert len(same) > 6 * len(rows)
    assert len(found) < 1.2 * len(same)


@settings(max_examples=60, deadline=None)
@given(st.integers(0, 10**6), st.floats(0, 12), st.floats(0, 6), st.floats(-1, 1), st.sampled_from([1, 2, 7]))
def test_no_pair_that_agrees_is_lost(seed: int, contrast: float, noise: float, correlation: float, cell: int) -> None:
    """Pictures around every limit: contrasts near flat, levels, tints and patterns that differ a little."""
    random = np.random.default_rng(seed)
    base = np.concatenate([random.normal(128, contrast, (3, 256)), random.normal(128, contrast / 2, (3, 128))], axis=1)
    change = random.normal(0, noise, (24, 384)) + random.uniform(-6, 6, (24, 3)).repeat([256, 64, 64], axis=1)
    ramp = np.linspace(-1, 1, 16).repeat(16) * random.uniform(-12, 12, (24, 1))
    thumbnails = random.uniform(0.8, 1.3, (24, 1)) * (base[random.integers(0, 3, 24)] - 128) + 128 + change
    thumbnails[:, :256] += ramp
    thumbnails = thumbnails.clip(0, 255).astype(np.uint8)
    rows = np.arange(24)
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(candidates, "CELL", cell)
        patch.setattr(candidates, "WIDE_CELL", cell + 3)
        patch.setattr(candidates, "BLOCK", 5)
        patch.setattr(candidates, "BATCH", 7)
        found = pairs(thumbnails, rows, rows)
        half = pairs(thumbnails, rows[:10], rows[7:])
    assert agreeing(thumbnails, correlation) <= found
    assert {(i, j) for i, j in agreeing(thumbnails, correlation) if i < 10 and j >= 7} <= half
    assert all(i < 10 and j >= 7 for i, j in half)


def test_nothing_meets_nothing() -> None:
    none, one = np.zeros(0, np.int64), np.arange(1)
    assert pairs(np.zeros((1, 384), np.uint8), none, one) == set()
    assert pairs(np.zeros((1, 384), np.uint8), one, none) == set()
    assert pairs(np.zeros((1, 384), np.uint8), one, one) == {(0, 0)}

"""Shrinking as Pillow does, several times as fast."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from PIL import Image

from paris_assets.images.resize import shrunk_size
from paris_assets.images.shrink import shrunk

SIDES = st.tuples(st.integers(1, 90), st.integers(1, 90))


def by_pillow(rgb: np.ndarray, width: int, height: int) -> np.ndarray:
    narrow = Image.fromarray(rgb).resize((width, rgb.shape[0]), Image.Resampling.BICUBIC)
    return np.asarray(narrow.resize((width, height), Image.Resampling.BICUBIC))


@settings(max_examples=60, deadline=None)
@given(SIDES, st.data())
def test_every_bit_is_pillows(size: tuple[int, int], data: st.DataObject) -> None:
    width, height = (data.draw(st.integers(1, side)) for side in size)
    rgb = np.random.default_rng(size).integers(0, 256, (size[1], size[0], 3), np.uint8)
    assert np.array_equal(shrunk(rgb, width, height), by_pillow(rgb, width, height))


@settings(max_examples=60, deadline=None)
@given(SIDES, st.data())
def test_a_part_is_that_of_the_whole(size: tuple[int, int], data: st.DataObject) -> None:
    width, height = (data.draw(st.integers(1, side)) for side in size)
    rows, columns = (
        slice(start, data.draw(st.integers(start + 1, side)))
        for side in (height, width)
        for start in [data.draw(st.integers(0, side - 1))]
    )
    rgb = np.random.default_rng(size).integers(0, 256, (size[1], size[0], 3), np.uint8)
    part = shrunk(rgb, width, height, rows, columns)
    assert part.flags.c_contiguous
    assert np.array_equal(part, shrunk(rgb, width, height)[rows, columns])


@pytest.mark.parametrize(
    ("given_size", "size"), [((768, 576), (341, 256)), ((301, 997), (64, 212)), ((70_000, 20), (56_000, 16))]
)
def test_sizes_of_photographs_and_lines(given_size: tuple[int, int], size: tuple[int, int]) -> None:
    rgb = np.random.default_rng(0).integers(0, 256, (given_size[1], given_size[0], 3), np.uint8)
    made = shrunk(rgb, *size)
    assert made.shape == (size[1], size[0], 3)
    # Pillow sets the height of a long line first: rounding between the two passes differs.
    assert np.abs(made.astype(int) - by_pillow(rgb, *size)).max() <= (0 if max(given_size) < 60_000 else 8)


@given(st.integers(1, 20_000), st.integers(1, 20_000), st.integers(1, 2_000))
def test_the_short_side_is_what_was_asked_for_and_the_shape_stays(width: int, height: int, short_side: int) -> None:
    found = shrunk_size(width, height, short_side)
    if min(width, height) <= short_side:
        assert found == (width, height)
        return
    assert min(found) == short_side
    assert abs(found[0] * height - found[1] * width) <= max(width, height)  # half a pixel of either side at most
    assert found[0] <= width
    assert found[1] <= height

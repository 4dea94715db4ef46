"""Boxes are blurred, and nothing else is."""

from __future__ import annotations

import math

import numpy as np
import pytest

from paris_assets.images.blur import Box, blur_boxes

SIZE = (200, 300)  # height and width


def noise() -> np.ndarray:
    return np.random.default_rng(0).integers(0, 256, (*SIZE, 3), np.uint8)


def pixels(box: Box, more: float = 0.0) -> tuple[slice, slice]:
    """Rows and columns of a box, and so many pixels around it."""
    x0, y0, x1, y1 = box
    rows = slice(max(0, math.floor(y0 * SIZE[0] - more)), math.ceil(y1 * SIZE[0] + more))
    return rows, slice(max(0, math.floor(x0 * SIZE[1] - more)), math.ceil(x1 * SIZE[1] + more))


@pytest.mark.parametrize("box", [(0.2, 0.25, 0.4, 0.6), (-0.1, -0.2, 0.2, 0.3), (0.9, 0.85, 1.3, 1.2)])
def test_a_box_is_blurred_and_pixels_beyond_its_fade_stay(box: Box) -> None:
    sharp, made = noise(), noise()
    blur_boxes(made, [box])
    longer = max((box[2] - box[0]) * SIZE[1], (box[3] - box[1]) * SIZE[0])
    inside = made[pixels(box, 0.1 * longer - 1)].astype(float)
    assert inside.std() < 0.25 * sharp[pixels(box)].std()
    outside = np.ones(SIZE, bool)
    outside[pixels(box, 0.4 * longer + 2)] = False  # margin and three deviations
    assert outside.any()
    assert np.array_equal(made[outside], sharp[outside])
    assert (made != sharp).any(axis=2)[pixels(box)].mean() > 0.9


def test_the_largest_box_says_how_strongly_all_are_blurred() -> None:
    small, large = (0.05, 0.05, 0.15, 0.15), (0.4, 0.3, 0.9, 0.9)
    alone, together = noise(), noise()
    blur_boxes(alone, [small])
    blur_boxes(together, [small, large])
    assert together[pixels(small)].std() < 0.6 * alone[pixels(small)].std()


def test_no_boxes_change_nothing_and_boxes_beside_the_picture_neither() -> None:
    made = noise()
    blur_boxes(made, [])
    blur_boxes(made, [(1.6, 0.1, 1.9, 0.3), (-0.9, 0.1, -0.6, 0.3)])
    assert np.array_equal(made, noise())


def test_a_black_face_on_white_cannot_be_found_again() -> None:
    """An edge of one pixel becomes a slope: its steepest step is far below what it was."""
    made = np.full((*SIZE, 3), 255, np.uint8)
    made[80:120, 140:160] = 0
    blur_boxes(made, [(140 / 300, 80 / 200, 160 / 300, 120 / 200)])
    assert np.abs(np.diff(made[100, :, 0].astype(int))).max() < 40

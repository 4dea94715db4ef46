"""Resizing that costs no more for a line of pixels than for a square, and gives the same."""

from __future__ import annotations

import json
import subprocess
import sys

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from PIL import Image

from paris_assets.images import resize
from paris_assets.images.resize import middle, resized

SIDES = st.one_of(st.integers(1, 40), st.integers(200, 900))


def noise(height: int, width: int) -> np.ndarray:
    return np.random.default_rng(height * 1000 + width).integers(0, 256, (height, width, 3), np.uint8)


@settings(max_examples=60, deadline=None)
@given(height=SIDES, width=SIDES, target=st.sampled_from([(64, 64), (64, 48), (50, 37)]))
def test_the_region_alone_is_the_centre_of_the_whole(height: int, width: int, target: tuple[int, int]) -> None:
    rgb, room = noise(height, width), resize.ROOM
    whole = middle(rgb, *target)
    try:
        resize.ROOM = 0
        region = middle(rgb, *target)
    finally:
        resize.ROOM = room
    assert (whole.top, whole.left) == (region.top, region.left)
    assert region.pixels.shape == (target[1], target[1], 3)
    assert np.abs(whole.pixels.astype(int) - region.pixels).max() <= 2


def test_ordinary_shapes_are_what_pillow_makes_of_them() -> None:
    for height, width in ((300, 200), (64, 640), (1000, 31)):
        image = Image.fromarray(noise(height, width))
        for resample in (Image.Resampling.BICUBIC, Image.Resampling.LANCZOS, Image.Resampling.BOX):
            expected = np.asarray(image.resize((50, 70), resample))
            assert np.array_equal(np.asarray(resized(image, (50, 70), resample)), expected)


def test_a_long_line_is_reduced_to_its_colours() -> None:
    """Dark above, light below, whatever its length."""
    for length in (100_000, 3_000_000):
        rgb = np.full((length, 1, 3), 40, np.uint8)
        rgb[length // 2 :] = 200
        small = np.asarray(resized(Image.fromarray(rgb), (384, 384), Image.Resampling.BICUBIC))
        assert (small[:180] == 40).all()
        assert (small[204:] == 200).all()
        lying = np.asarray(
            resized(Image.fromarray(np.ascontiguousarray(rgb.swapaxes(0, 1))), (384, 384), Image.Resampling.BICUBIC)
        )
        assert np.abs(lying.swapaxes(0, 1).astype(int) - small).max() <= 2


WATCH = """
import json, resource, sys
import numpy as np
from paris_assets.images.resize import middle
from paris_assets.models.resize import square, stretch
from paris_assets.signals.perceptual_hash import PerceptualHash

def peak_mb():
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024

made = {}
def take(height, width):
    rgb = np.zeros((height, width, 3), np.uint8)
    rgb[height // 2 :, width // 2 :] = 255
    places = [middle(rgb, side, side)[1:] for side in (256, 1024)]
    square(rgb, 256, 224), stretch(rgb, 384), PerceptualHash().measure([rgb])
    return places

take(600, 400)
before = peak_mb()
for shape in ((20_000, 1), (1, 20_000), (65_000, 3), (1_000_000, 1), (1, 1_000_000)):
    made[str(shape)] = [take(*shape), peak_mb() - before]
print(json.dumps(made))
"""


@pytest.mark.skipif(sys.platform != "linux", reason="ru_maxrss has other units elsewhere")
def test_a_line_of_pixels_costs_no_more_than_a_square() -> None:
    done = subprocess.run([sys.executable, "-c", WATCH], capture_output=True, text=True, check=True)
    made = json.loads(done.stdout)
    assert {shape: grown for shape, (_, grown) in made.items() if grown > 120} == {}
    assert made["(20000, 1)"][0] == [[(256 * 20_000 - 256) // 2, 0], [(1024 * 20_000 - 1024) // 2, 0]]

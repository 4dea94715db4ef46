"""Where crops lie: inside the resized image, never enlarged unless that is asked for."""

import math

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from paris_assets.images.resize import middle
from paris_assets.latents.buckets import SDXL, Bucket
from paris_assets.latents.places import FAR_FROM_BUCKETS, TOO_SMALL, Sizes, bucket_place, square_place
from paris_assets.settings.latents import Buckets, Latents

SIDES = st.integers(1, 4000)
ALL = Latents(resolutions=[1024, 256, 768, 512], buckets=Buckets(resolutions=[512, 768, 1024]))


def sizes_of(**values: object) -> Sizes:
    return Sizes(Latents(**{"resolutions": [256, 512], "buckets": Buckets(resolutions=[512]), **values}))


@settings(max_examples=300, deadline=None)
@given(height=SIDES, width=SIDES, shape=st.sampled_from(SDXL))
def test_a_crop_lies_in_the_resized_image_which_keeps_its_shape(height: int, width: int, shape: Bucket) -> None:
    place = bucket_place(height, width, shape)
    assert 0 <= place.crop_top <= place.resized_height - place.target_height
    assert 0 <= place.crop_left <= place.resized_width - place.target_width
    assert (place.target_height, place.target_width) == shape
    assert place.resized_height == shape.height or place.resized_width == shape.width
    scale = max(shape.height / height, shape.width / width)
    assert abs(place.resized_height - height * scale) <= 0.5 + 1e-6
    assert abs(place.resized_width - width * scale) <= 0.5 + 1e-6
    assert place.upscaled == (scale > 1)
    # No more than one pixel to the left or above than to the right or below.
    assert place.resized_height - place.target_height - 2 * place.crop_top in (0, 1)
    assert place.resized_width - place.target_width - 2 * place.crop_left in (0, 1)


def test_sides_are_rounded_half_up() -> None:
    assert bucket_place(200, 301, Bucket(100, 100)).resized_width == 151  # 150.5
    assert bucket_place(301, 200, Bucket(100, 100)).resized_height == 151
    assert bucket_place(200, 300, Bucket(100, 100)).resized_width == 150


@settings(max_examples=60, deadline=None)
@given(height=st.integers(8, 200), width=st.integers(8, 200), resolution=st.sampled_from([32, 64]))
def test_a_square_is_the_centre_of_the_short_side_resized_image(height: int, width: int, resolution: int) -> None:
    place = square_place(height, width, resolution)
    found = middle(np.full((height, width, 3), 200, np.uint8), resolution, resolution)
    assert (found.pixels == 200).all(), "no black bars"
    assert (place.crop_top, place.crop_left) == (found.top, found.left)
    assert min(place.crop_top, place.crop_left) == 0
    long = int(resolution * max(height, width) / min(height, width))
    assert max(place.crop_top, place.crop_left) == (long - resolution) // 2
    assert place.upscaled == (min(height, width) < resolution)


@settings(max_examples=200, deadline=None)
@given(height=SIDES, width=SIDES)
def test_an_image_has_the_sizes_that_it_covers(height: int, width: int) -> None:
    placed = Sizes(ALL).placed(height, width)
    if min(height, width) < 256:
        assert (placed.places, placed.lacking) == ({}, TOO_SMALL)
        return
    assert placed.lacking is None
    assert list(placed.places) == sorted(placed.places)
    for size in (512, 768, 1024):
        assert placed.bucket is not None
        target = placed.bucket.scaled(size, 1024)
        assert (size in placed.places) == (target.height <= height and target.width <= width)
    assert not any(place.upscaled for place in placed.places.values())
    enlarged = Sizes(ALL.model_copy(update={"upscale": True})).placed(height, width)
    assert len(enlarged.places) == 4
    assert {size for size, place in enlarged.places.items() if not place.upscaled} == set(placed.places)


def test_an_image_that_does_not_cover_a_size_has_the_next_one_down() -> None:
    assert list(Sizes(ALL).placed(700, 1000).places) == [256, 512, 768]
    assert list(Sizes(ALL).placed(512, 512).places) == [256, 512]
    assert Sizes(ALL).placed(255, 4000).lacking == TOO_SMALL
    # 4 to 1: half the side of the square is enough for the bucket.
    assert list(Sizes(ALL).placed(512, 2048).places) == [256, 512, 768, 1024]


def test_what_is_cropped_away_follows_from_the_ratio_error() -> None:
    placed = Sizes(ALL).placed(1500, 2300)
    place = placed.places[1024]
    kept = place.target_height * place.target_width / (place.resized_height * place.resized_width)
    assert placed.ratio_error is not None
    assert kept == pytest.approx(math.exp(-placed.ratio_error), abs=1e-3)


def test_images_far_from_every_bucket_have_squares_alone() -> None:
    far = sizes_of(buckets=Buckets(resolutions=[512], max_ratio_error=0.2))
    assert list(far.placed(600, 900).places) == [256, 512]
    assert list(far.placed(600, 6000).places) == [256]
    only = Sizes(Latents(buckets=Buckets(resolutions=[256], max_ratio_error=0.2)))
    assert (only.placed(600, 6000).places, only.placed(600, 6000).lacking) == ({}, FAR_FROM_BUCKETS)
    assert only.placed(600, 900).lacking is None


def test_every_bucket_of_the_table_is_reached_at_every_size() -> None:
    found = {size: set() for size in (512, 768, 1024)}
    for shape in SDXL:
        for size, place in Sizes(ALL).placed(shape.height, shape.width).places.items():
            found.setdefault(size, set()).add((place.target_height, place.target_width))
    assert [len(found[size]) for size in (512, 768, 1024)] == [33, 33, 33]


def test_sizes_that_are_not_made_of_whole_cells() -> None:
    assert Sizes(Latents(resolutions=[100, 256])).uneven(8) == [100]
    assert Sizes(ALL).uneven(8) == []
    assert sizes_of(resolutions=[256, 512], buckets=Buckets(resolutions=[256, 512])).uneven(32) == [256]

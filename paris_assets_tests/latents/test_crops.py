"""One decode for all sizes; crops are the centre, without bars."""

import io

import numpy as np
import pytest
from PIL import Image

from paris_assets.images.decode import decode_rgb
from paris_assets.latents import crops as module
from paris_assets.latents.crops import crops, cut
from paris_assets.latents.places import Sizes, bucket_place, square_place
from paris_assets.settings.latents import Buckets, Latents

GENERATED = Buckets(resolutions=[64, 128], table="generated", area=64, step=16)
SIZES = Sizes(Latents(resolutions=[32, 64, 128], buckets=GENERATED))


def picture(height: int, width: int, form: str = "JPEG") -> bytes:
    pixels = np.random.default_rng(0).integers(0, 256, (6, 9, 3), np.uint8)
    file = io.BytesIO()
    Image.fromarray(pixels).resize((width, height), Image.Resampling.BICUBIC).save(file, form)
    return file.getvalue()


@pytest.fixture
def decoded(monkeypatch: pytest.MonkeyPatch) -> list[int | None]:
    """Short sides that were asked for, one for every decode."""
    asked: list[int | None] = []

    def decode(image_id: str, data: bytes, min_side: int | None) -> np.ndarray:
        asked.append(min_side)
        return decode_rgb(data, min_side)

    monkeypatch.setattr(module, "decode", decode)
    return asked


@pytest.mark.parametrize(
    ("height", "width", "largest"), [(600, 900, 128), (100, 150, 64), (40, 60, 32), (20, 60, None)]
)
def test_images_are_decoded_once_at_the_smallest_scale_that_serves(
    decoded: list[int | None], height: int, width: int, largest: int | None
) -> None:
    placed, pixels = crops("a", picture(height, width), SIZES, scaled_decode=True)
    assert max(placed.places, default=None) == largest
    if largest is None:
        assert (decoded, pixels) == ([], {})
        return
    place = placed.places[largest]
    assert decoded == [min(place.resized_height, place.resized_width)]
    assert {size: crop.shape[:2] for size, crop in pixels.items()} == {
        size: (place.target_height, place.target_width) for size, place in placed.places.items()
    }


@pytest.mark.parametrize("size", [(200, 301), (128, 192), (300, 64), (64, 64), (50, 40)])
def test_a_crop_is_bit_for_bit_that_of_pillow(size: tuple[int, int]) -> None:
    rgb = np.random.default_rng(1).integers(0, 256, (*size, 3), np.uint8)
    enlarging = Sizes(Latents(resolutions=[32, 64, 128], buckets=GENERATED, upscale=True))
    for place in enlarging.placed(*size).places.values():
        resized = (place.resized_width, place.resized_height)
        whole = np.asarray(Image.fromarray(rgb).resize(resized, Image.Resampling.BICUBIC))
        rows = slice(place.crop_top, place.crop_top + place.target_height)
        columns = slice(place.crop_left, place.crop_left + place.target_width)
        assert np.array_equal(cut(rgb, place), whole[rows, columns])


def test_without_scaled_decode_an_image_is_decoded_in_full(decoded: list[int | None]) -> None:
    crops("a", picture(600, 900), SIZES, scaled_decode=False)
    assert decoded == [None]


def test_places_do_not_depend_on_the_scale_of_the_decode() -> None:
    for size in ((601, 903), (333, 999), (1201, 803)):
        whole, small = (crops("a", picture(*size), SIZES, scaled_decode=scaled) for scaled in (False, True))
        assert whole.placed == small.placed
        for resolution, crop in whole.pixels.items():
            assert np.abs(crop.astype(int) - small.pixels[resolution]).mean() < 3


def test_of_a_picture_three_times_as_wide_as_high_the_centre_is_kept_without_bars() -> None:
    data = picture(160, 480, "PNG")
    rgb = decode_rgb(data)
    found = crops("a", data, Sizes(Latents(resolutions=[64])), scaled_decode=False).pixels[64]
    centre = np.asarray(Image.fromarray(rgb).resize((192, 64), Image.Resampling.BICUBIC))[:, 64:128]
    assert np.array_equal(found, centre)
    flat = np.full((160, 480, 3), 200, np.uint8)
    for place in (square_place(160, 480, 64), *(SIZES.placed(160, 480).places.values())):
        assert (cut(flat, place) == 200).all()


@pytest.mark.parametrize(("height", "width"), [(96, 200), (96, 201), (200, 97)])
def test_the_left_edge_of_a_mirrored_crop(height: int, width: int) -> None:
    place = bucket_place(height, width, SIZES.target(SIZES.placed(height, width).bucket, 64))  # type: ignore[arg-type]
    whole = np.random.default_rng(0).integers(0, 256, (place.resized_height, place.resized_width, 3), np.uint8)
    crop = whole[place.crop_top :, place.crop_left : place.crop_left + place.target_width]
    left = place.resized_width - place.target_width - place.crop_left
    mirrored = whole[place.crop_top :, ::-1][:, left : left + place.target_width]
    assert np.array_equal(mirrored, crop[:, ::-1])

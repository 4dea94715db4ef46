"""Files made of pixels hold these pixels and nothing else."""

from __future__ import annotations

import io

import numpy as np
import pytest
from PIL import Image

from paris_assets.images import jpeg
from paris_assets.images.decode import decode_rgb
from paris_assets.images.encode import Format, encode
from paris_assets.images.errors import Unencodable
from paris_assets.signals.compression import chroma_subsampling, jpeg_quality
from paris_assets_tests.fixtures.photographs import photographs


def photo() -> np.ndarray:
    return np.asarray(photographs()[0].resize((160, 120)))


@pytest.mark.parametrize(("format", "psnr"), [("jpg", 38.0), ("webp", 35.0), ("png", np.inf)])  # webp halves colours
def test_the_pixels_come_back(format: Format, psnr: float) -> None:
    back = decode_rgb(encode(photo(), format, 95))
    error = np.mean((back.astype(float) - photo()) ** 2)
    assert back.shape == photo().shape
    assert (10 * np.log10(255**2 / error) if error else np.inf) >= psnr


@pytest.mark.parametrize("format", ["jpg", "webp", "png"])
def test_nothing_but_pixels_is_written(format: Format) -> None:
    with Image.open(io.BytesIO(encode(photo(), format, 95))) as image:
        assert image.mode == "RGB"
        assert not image.getexif()
        assert not {"exif", "icc_profile", "xmp", "comment"}.intersection(image.info)


@pytest.mark.parametrize(("quality", "chroma"), [(95, "4:4:4"), (90, "4:4:4"), (89, "4:2:0"), (30, "4:2:0")])
def test_a_jpeg_has_the_quality_that_is_asked_for(quality: int, chroma: str) -> None:
    head = jpeg.head(encode(photo(), "jpg", quality))
    assert (jpeg_quality(head), chroma_subsampling(head)) == (quality, chroma)


def test_a_lower_quality_of_webp_takes_less_and_png_has_none() -> None:
    assert len(encode(photo(), "webp", 40)) < len(encode(photo(), "webp", 95))
    assert encode(photo(), "png", 40) == encode(photo(), "png", 95)


@pytest.mark.parametrize(("format", "longest"), [("jpg", 65_500), ("webp", 16_383)])
def test_a_side_that_a_format_has_no_room_for_is_named(format: Format, longest: int) -> None:
    assert decode_rgb(encode(np.zeros((1, longest, 3), np.uint8), format, 50)).shape == (1, longest, 3)
    with pytest.raises(Unencodable, match=f"{longest + 1} x 1 pixels: {format} has room for {longest}"):
        encode(np.zeros((1, longest + 1, 3), np.uint8), format, 50)

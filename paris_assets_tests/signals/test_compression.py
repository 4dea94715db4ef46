from __future__ import annotations

import io
from typing import Any

import numpy as np
import pytest
from PIL import Image

from paris_assets.images.file import ImageFile
from paris_assets.signals.compression import Compression

PICTURE = Image.fromarray(np.random.default_rng(0).integers(0, 256, (48, 64, 3), np.uint8))


def compression(picture: Image.Image, kind: str = "JPEG", **options: object) -> dict[str, Any]:
    buffer = io.BytesIO()
    picture.save(buffer, kind, **options)
    files = [ImageFile(buffer.getvalue())]
    rgb = [np.asarray(picture.convert("RGB"))]
    return {name: values[0] for name, values in Compression().measure(rgb, files).items()}


def test_quality_of_every_file_by_libjpeg() -> None:
    qualities = range(1, 101)
    assert [compression(PICTURE, quality=quality)["jpeg_quality"] for quality in qualities] == list(qualities)


def test_quality_is_that_of_the_luma_table_wherever_it_stands() -> None:
    low, high = ([step] * 64 for step in (80, 2))
    assert compression(PICTURE, qtables=[high, low])["jpeg_quality"] > 95
    assert compression(PICTURE, qtables=[low, high])["jpeg_quality"] < 50
    assert compression(PICTURE.convert("L"), quality=35, progressive=True)["jpeg_quality"] == 35


@pytest.mark.parametrize(("subsampling", "said"), [(0, "4:4:4"), (1, "4:2:2"), (2, "4:2:0")])
def test_subsampling(subsampling: int, said: str) -> None:
    assert compression(PICTURE, subsampling=subsampling)["chroma_subsampling"] == said


def test_grey_and_cmyk() -> None:
    assert compression(PICTURE.convert("L"))["chroma_subsampling"] == "4:0:0"
    assert compression(PICTURE.convert("CMYK"))["chroma_subsampling"] == "4:4:4"


@pytest.mark.parametrize("kind", ["PNG", "WEBP", "BMP", "GIF"])
def test_other_formats_have_bits_alone(kind: str) -> None:
    found = compression(PICTURE, kind)
    assert found["jpeg_quality"] is found["chroma_subsampling"] is None
    assert found["bits_per_pixel"] > 0


def test_bits_per_pixel() -> None:
    file = ImageFile(b"x" * 600)
    rgb = [np.zeros((20, 30, 3), np.uint8)]
    assert Compression().measure(rgb, [file])["bits_per_pixel"] == [8.0]


@pytest.mark.parametrize("length", range(0, 700, 7))
def test_a_head_that_ends_anywhere_is_no_error(length: int) -> None:
    buffer = io.BytesIO()
    PICTURE.save(buffer, "JPEG")
    found = Compression().measure([np.zeros((48, 64, 3), np.uint8)], [ImageFile(buffer.getvalue()[:length])])
    assert found["bits_per_pixel"] == [8 * length / (48 * 64)]
    assert found["jpeg_quality"] in ([None], [75])

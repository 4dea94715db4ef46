"""Tiles of pictures of any size and shape."""

from __future__ import annotations

import io

import numpy as np
from PIL import Image

from paris_assets.pages.pictures import TILE, tile


def _file(image: Image.Image, format: str) -> bytes:
    file = io.BytesIO()
    image.save(file, format)
    return file.getvalue()


def test_a_tile_is_made_of_whatever_was_fetched() -> None:
    """More pixels than the decoder's own default takes, and a line of pixels."""
    for size, format in (((10_001, 10_000), "JPEG"), ((1, 60_000), "PNG"), ((60_000, 1), "PNG")):
        made = tile(_file(Image.new("L", size, 77), format))
        assert made.size == (TILE, TILE)
        assert np.abs(np.asarray(made).astype(int) - 77).max() <= 1

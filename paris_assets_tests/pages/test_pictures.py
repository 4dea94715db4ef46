"""Tiles of pictures of any size and shape."""

from __future__ import annotations

import io
import weakref

import numpy as np
import pytest
from PIL import Image

from paris_assets.pages import pictures
from paris_assets.pages.pictures import TILE, Pictures, tile


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


def test_of_many_pictures_the_last_ones_are_kept_and_the_others_read_again(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(pictures, "KEPT", 2)
    read, file = list[str](), _file(Image.new("L", (9, 9), 77), "PNG")

    def reading(image_id: str) -> bytes:
        read.append(image_id)
        return file

    shown = Pictures(reading)
    first = weakref.ref(shown.tile("a"))
    for name in "abcbc":
        shown.tile(name)
    assert read == ["a", "b", "c"]
    assert first() is None
    assert shown.uri("a") == Pictures(reading).uri("a")

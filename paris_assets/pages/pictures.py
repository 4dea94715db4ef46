"""Images as small pictures on a page."""

from __future__ import annotations

import base64
import io
import sys
from collections.abc import Callable

import numpy as np
from PIL import Image, ImageOps

from paris_assets.images.decode import decode_rgb

TILE = 160
WEBP_SIDE = 144
SMALL_QUALITY = 50
KEPT = 2048
"""Tiles in memory, 77 kB each."""


def tile(data: bytes, side: int = TILE) -> Image.Image:
    """The middle square of an image, ``side`` pixels wide, RGB.

    Raises:
        Undecodable: from ``images.decode``.
    """
    # Twice the side leaves the resampling filter enough pixels; the profile's own limit was applied at the fetch.
    pixels: np.ndarray = decode_rgb(data, min_side=2 * side, max_pixels=sys.maxsize)
    return ImageOps.fit(Image.fromarray(pixels), (side, side), Image.Resampling.LANCZOS)


def encoded(picture: Image.Image, format: str, quality: int = 74) -> bytes:
    """The picture as a ``PNG`` or ``WEBP`` file, without metadata; the quality is WebP's."""
    file = io.BytesIO()
    picture.save(file, format, **({"quality": quality, "method": 4} if format == "WEBP" else {"compress_level": 6}))
    return file.getvalue()


def _uri(webp: bytes) -> str:
    return "data:image/webp;base64," + base64.b64encode(webp).decode()


class Pictures:
    """Tiles of images, each read and decoded once while it is among the last ``KEPT``."""

    def __init__(self, read: Callable[[str], bytes]) -> None:
        self._read = read
        self._tiles: dict[str, Image.Image] = {}

    def tile(self, image_id: str) -> Image.Image:
        """The square tile of an image, RGB."""
        if image_id not in self._tiles:
            if len(self._tiles) >= KEPT:
                del self._tiles[next(iter(self._tiles))]
            self._tiles[image_id] = tile(self._read(image_id))
        return self._tiles[image_id]

    def uri(self, image_id: str, side: int = WEBP_SIDE) -> str:
        """The tile as a WebP ``data:`` URI, ``side`` pixels wide."""
        return _uri(encoded(self.tile(image_id).resize((side, side), Image.Resampling.LANCZOS), "WEBP"))

    def small(self, image_id: str, side: int) -> str:
        """As ``uri``, in about a kilobyte; the tile is not kept: for pages with thousands of them."""
        kept = self._tiles.get(image_id) or tile(self._read(image_id), side)
        return _uri(encoded(kept.resize((side, side), Image.Resampling.LANCZOS), "WEBP", SMALL_QUALITY))

"""Resizing whose memory is bounded whatever the shape: a line of pixels must cost no more than a square."""

from __future__ import annotations

import math
from typing import Any, NamedTuple

import numpy as np
from PIL import Image

# Pixels that a resized picture may have beyond what is kept of it (64 MB in Pillow), and the longest side that is
# weighed pixel by pixel (Pillow keeps 32 bytes for each). Ordinary shapes stay far below both.
ROOM = 1 << 24
_LONG = 1 << 20

_REDUCED_TO = 4.0  # an extreme shape is first averaged to at least so many times its target
_BICUBIC_REACH = 2


def resized(image: Image.Image, size: tuple[int, int], resample: Image.Resampling) -> Image.Image:
    """The whole image at another size (width, height), antialiased; as Pillow's ``resize`` for ordinary shapes.

    Pillow sets the width first: a high and narrow image would pass a picture of its height and the target's width.
    """
    widened = size[0] > image.width and size[0] * image.height > ROOM
    return image.resize(size, resample, reducing_gap=_REDUCED_TO if widened or max(image.size) > _LONG else None)


def short_side_size(width: int, height: int, size: int) -> tuple[int, int]:
    """(width, height) with short side ``size``; the long side is rounded down, as torchvision and transformers do."""
    short = min(width, height)
    return int(size * width / short), int(size * height / short)


def shrunk_size(width: int, height: int, short_side: int) -> tuple[int, int]:
    """(width, height) with a short side of at most ``short_side``, the long one rounded; nothing is enlarged."""
    short = min(width, height)
    if short <= short_side:
        return width, height
    return shrunk_side(width, short, short_side), shrunk_side(height, short, short_side)


def shrunk_side(side: Any, short: Any, short_side: int) -> Any:
    """A side of an image whose short side becomes ``short_side``: whole numbers, or expressions of polars."""
    return (2 * side * short_side + short) // (2 * short)


class Middle(NamedTuple):
    """The centre of a resized image: (side, side, 3) uint8, and where it lies in the resized image, pixels."""

    pixels: np.ndarray
    top: int
    left: int


def middle(rgb: np.ndarray, resize: int, crop: int) -> Middle:
    """(H, W, 3) uint8: short side to ``resize`` (bicubic, antialiased), then the centred square of ``crop`` pixels; see
    ``window``."""
    height, width = rgb.shape[:2]
    target = short_side_size(width, height, resize)
    left, top = ((side - crop) // 2 for side in target)
    return Middle(window(rgb, target, top, left, crop, crop), top, left)


def window(rgb: np.ndarray, size: tuple[int, int], top: int, left: int, height: int, width: int) -> np.ndarray:
    """(H, W, 3) uint8 -> (height, width, 3): resized to ``size`` (width, height; bicubic, antialiased), then what lies
    at ``top`` and ``left``.

    Where the resized image would take much more room than a window of ordinary shape, only the window is made. The two
    ways differ by rounding, one level or two.
    """
    rows_there, columns_there = rgb.shape[:2]
    if size == (columns_there, rows_there):
        return np.ascontiguousarray(rgb[top : top + height, left : left + width])
    if size[0] * size[1] <= ROOM:
        whole = np.asarray(Image.fromarray(rgb).resize(size, Image.Resampling.BICUBIC))
        return np.ascontiguousarray(whole[top : top + height, left : left + width])
    columns, x0, x1 = _source(left, width, columns_there / size[0], columns_there)
    rows, y0, y1 = _source(top, height, rows_there / size[1], rows_there)
    region = Image.fromarray(np.ascontiguousarray(rgb[rows, columns]))
    return np.array(region.resize((width, height), Image.Resampling.BICUBIC, box=(x0, y0, x1, y1)))


def _source(start: int, length: int, scale: float, side: int) -> tuple[slice, float, float]:
    """The pixels along one axis that the filter reaches for, and where in them the kept part begins and ends.

    Args:
        start, length: the kept part of the resized axis, pixels.
        scale: source pixels per resized pixel.
        side: source pixels of the whole axis.
    """
    begin, end = start * scale, (start + length) * scale
    reach = math.ceil(_BICUBIC_REACH * max(scale, 1)) + 1
    first, last = max(0, math.floor(begin) - reach), min(side, math.ceil(end) + reach)
    return slice(first, last), begin - first, min(end - first, last - first)

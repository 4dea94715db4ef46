"""Aspect-ratio buckets: shapes of about one area, and which of them an image is nearest to.

SDXL (Podell et al. 2023, appendix I) trains on such shapes; the table is that of its public implementations and of
PixArt. Tables of other sizes are the same shapes, scaled.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from fractions import Fraction
from typing import NamedTuple

from paris_assets.settings.latents import Buckets

LEAST_AREA = Fraction(9, 10)
"""Of the square's, in a generated table."""
_SDXL = (
    "512x2048 512x1856 576x1792 576x1728 576x1664 640x1600 640x1536 704x1472 704x1408 704x1344 768x1344 768x1280 "
    "832x1216 832x1152 896x1152 896x1088 960x1088 960x1024 1024x1024 1024x960 1088x960 1088x896 1152x896 1152x832 "
    "1216x832 1280x768 1344x768 1408x704 1472x704 1536x640 1600x640 1728x576 2048x512"
)


class Bucket(NamedTuple):
    """A shape, pixels."""

    height: int
    width: int

    def __str__(self) -> str:
        return f"{self.height}x{self.width}"

    def scaled(self, resolution: int, area: int) -> Bucket:
        """The shape of a table made for ``area`` in the table of ``resolution``."""
        return Bucket(self.height * resolution // area, self.width * resolution // area)


SDXL = tuple(Bucket(*map(int, shape.split("x"))) for shape in _SDXL.split())


def table(settings: Buckets) -> tuple[Bucket, ...]:
    """All buckets, by rising ratio of height to width; of shapes for ``settings.area``, which is their names' size."""
    if settings.table == "sdxl":
        return SDXL
    return generated(settings.area, settings.step, settings.max_aspect)


def generated(area: int, step: int, max_aspect: float) -> tuple[Bucket, ...]:
    """Every shape with sides that are multiples of ``step``, 90 to 100 % of the pixels of a square of side ``area``,
    and a long side of at most ``max_aspect`` short ones; of equal ratios the largest. By rising ratio of height to
    width."""
    most, longest = area * area, math.floor(area * math.sqrt(max_aspect))
    sides = range(step, longest + 1, step)
    found = (Bucket(height, width) for height in sides for width in sides if height * width <= most)
    # Sides rise, so of equal ratios the largest comes last.
    largest = {
        Fraction(shape.height, shape.width): shape
        for shape in found
        if shape.height * shape.width >= LEAST_AREA * most and max(shape) <= max_aspect * min(shape)
    }
    return tuple(largest[ratio] for ratio in sorted(largest))


def nearest(buckets: Sequence[Bucket], height: int, width: int) -> Bucket:
    """The bucket whose ratio is nearest to an image's by |log| of the quotient, so that wide and high images are alike.

    Of equally near ones the larger, then the lower.
    """
    return min(buckets, key=lambda shape: (_quotient(shape, height, width), -shape.height * shape.width, shape.height))


def ratio_error(shape: Bucket, height: int, width: int) -> float:
    """|log| of an image's ratio of sides by its bucket's. 1 - exp(-error) of the resized image is cropped away."""
    return math.log(_quotient(shape, height, width))


def _quotient(shape: Bucket, height: int, width: int) -> Fraction:
    """The larger of both ratios of height to width by the smaller, exact."""
    one, other = height * shape.width, width * shape.height
    return Fraction(max(one, other), min(one, other))

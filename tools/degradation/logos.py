"""Logos of two kinds of families, drawn in a square: those of training, and those of the test."""

from __future__ import annotations

import itertools
import math
from collections.abc import Callable

from PIL import ImageDraw, ImageFont

Letters = Callable[[int], ImageFont.FreeTypeFont]
"""A font by its size in pixels."""
Logo = Callable[[ImageDraw.ImageDraw, float, Letters], None]


def _polygon(side: float, corners: int, inner: float, turn: float = -math.pi / 2) -> list[tuple[float, float]]:
    radii = (0.48 * side, 0.48 * side * inner) if inner < 1 else (0.48 * side,) * 2
    steps = 2 * corners if inner < 1 else corners
    turns = [turn + 2 * math.pi * index / steps for index in range(steps)]
    points = zip(turns, itertools.cycle(radii), strict=False)
    return [(side / 2 + radius * math.cos(at), side / 2 + radius * math.sin(at)) for at, radius in points]


def _letter(draw: ImageDraw.ImageDraw, side: float, letters: Letters, share: float, letter: str, fill: int) -> None:
    draw.text((side / 2, side / 2), letter, fill, letters(max(8, round(side * share))), anchor="mm")


def _ring(draw: ImageDraw.ImageDraw, side: float, letters: Letters) -> None:
    draw.ellipse((2, 2, side - 3, side - 3), outline=255, width=round(side / 12))
    _letter(draw, side, letters, 0.55, "G", 255)


def _star(draw: ImageDraw.ImageDraw, side: float, letters: Letters) -> None:
    draw.polygon(_polygon(side, 5, 0.45), fill=255)


def _plate(draw: ImageDraw.ImageDraw, side: float, letters: Letters) -> None:
    draw.rectangle((2, side * 0.2, side - 3, side * 0.8), outline=255, width=round(side / 16))
    _letter(draw, side, letters, 0.35, "AK", 255)


def _hexagon(draw: ImageDraw.ImageDraw, side: float, letters: Letters) -> None:
    draw.polygon(_polygon(side, 6, 1.0), fill=255)
    _letter(draw, side, letters, 0.6, "R", 0)


def _stripes(draw: ImageDraw.ImageDraw, side: float, letters: Letters) -> None:
    for index in range(4):
        draw.rectangle((index * side / 4, side * index / 8, (index + 0.6) * side / 4, side), fill=255)


def _camera(draw: ImageDraw.ImageDraw, side: float, letters: Letters) -> None:
    draw.rounded_rectangle((2, side * 0.25, side - 3, side * 0.85), side / 10, fill=255)
    draw.rectangle((side * 0.3, side * 0.13, side * 0.6, side * 0.3), fill=255)
    draw.ellipse((side * 0.32, side * 0.37, side * 0.68, side * 0.73), fill=0)
    draw.ellipse((side * 0.4, side * 0.45, side * 0.6, side * 0.65), fill=255)


def _crescent(draw: ImageDraw.ImageDraw, side: float, letters: Letters) -> None:
    draw.ellipse((2, 2, side - 3, side - 3), fill=255)
    draw.ellipse((side * 0.3, side * 0.02, side * 1.1, side * 0.82), fill=0)


def _cross(draw: ImageDraw.ImageDraw, side: float, letters: Letters) -> None:
    draw.line((side * 0.05, side * 0.05, side * 0.95, side * 0.95), 255, round(side / 9))
    draw.line((side * 0.05, side * 0.95, side * 0.95, side * 0.05), 255, round(side / 9))
    draw.rectangle((side * 0.35, side * 0.35, side * 0.65, side * 0.65), fill=0, outline=255, width=round(side / 20))


def _arcs(draw: ImageDraw.ImageDraw, side: float, letters: Letters) -> None:
    for index in range(1, 5):
        reach = side * index / 9
        draw.arc(
            (side / 2 - reach, side / 2 - reach, side / 2 + reach, side / 2 + reach),
            200,
            340 + 10 * index,
            255,
            round(side / 18),
        )


TRAIN_LOGOS: tuple[Logo, ...] = (_ring, _star, _plate, _hexagon, _stripes)
TEST_LOGOS: tuple[Logo, ...] = (_camera, _crescent, _cross, _arcs)

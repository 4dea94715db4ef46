"""Logos of two kinds of families, drawn in a square: those of training, and those of the test."""

from __future__ import annotations

import itertools
import math
from collections.abc import Callable
from functools import partial

import numpy as np
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


def _composed(seed: int, draw: ImageDraw.ImageDraw, side: float, letters: Letters) -> None:
    """A frame or none, filled or not, and one to three simple parts in it, all by the seed."""
    random = np.random.default_rng(seed)
    frame, filled, turn = random.integers(5), random.random() < 0.4, random.uniform(0, 2 * math.pi)
    width, ink = round(side * random.uniform(0.02, 0.09)), 0 if filled and frame else 255
    fill, outline = (255, None) if filled else (None, 255)
    if frame in (1, 2):
        flat = side * random.choice([0.0, 0.15, 0.25])
        box = (2, 2 + flat, side - 3, side - 3 - flat)
        if frame == 1:
            draw.ellipse(box, fill, outline, width)
        else:
            draw.rounded_rectangle(box, side * random.choice([0.0, 0.1, 0.2]), fill, outline, width)
    elif frame in (3, 4):
        corners, inner = int(random.integers(3, 10)), random.uniform(0.5, 0.9) if frame == 4 else 1.0
        draw.polygon(_polygon(side, corners, inner, turn), fill, outline, width)
    for _ in range(random.integers(1, 4 if frame else 3)):
        reach = side * random.uniform(0.12, 0.28 if frame else 0.45)
        part = _PARTS[random.integers(len(_PARTS))]
        part(draw, side / 2 + random.normal(0, side / 16), reach, ink, letters, random)


def _bars(
    draw: ImageDraw.ImageDraw, at: float, reach: float, ink: int, letters: Letters, random: np.random.Generator
) -> None:
    count, upright = int(random.integers(2, 6)), random.random() < 0.5
    heights = random.uniform(0.3, 1, count) * reach
    for index, height in enumerate(heights):
        middle, half = at - reach + 2 * reach * (index + 0.5) / count, 0.6 * reach / count
        box = (middle - half, at - height, middle + half, at + reach)
        draw.rectangle(box if upright else (box[1], box[0], box[3], box[2]), ink)


def _dots(
    draw: ImageDraw.ImageDraw, at: float, reach: float, ink: int, letters: Letters, random: np.random.Generator
) -> None:
    count, size, turn = int(random.integers(1, 9)), reach * random.uniform(0.1, 0.4), random.uniform(0, 6.3)
    for index in range(count):
        x, y = (at + reach * turned(turn + 2 * math.pi * index / count) for turned in (math.cos, math.sin))
        draw.ellipse((x - size, y - size, x + size, y + size), ink)


def _blob(
    draw: ImageDraw.ImageDraw, at: float, reach: float, ink: int, letters: Letters, random: np.random.Generator
) -> None:
    turns, waves = np.linspace(0, 2 * math.pi, 60, endpoint=False), np.arange(2, 6)
    bumps = random.normal(0, 0.25, 4) @ np.cos(waves[:, None] * turns + random.uniform(0, 6.3, (4, 1)))
    radii = reach * np.clip(1 + bumps, 0.1, 1.4)
    draw.polygon(list(zip(at + radii * np.cos(turns), at + radii * np.sin(turns), strict=True)), ink)


def _wave(
    draw: ImageDraw.ImageDraw, at: float, reach: float, ink: int, letters: Letters, random: np.random.Generator
) -> None:
    steps, turns, high = np.linspace(-1, 1, 40), random.uniform(3, 14), reach * random.uniform(0.1, 0.6)
    heights = np.sin(turns * steps + random.uniform(0, 6.3)) if random.random() < 0.5 else (turns * steps) % 2 - 1
    points = list(zip(at + reach * steps, at + high * heights, strict=True))
    draw.line(points, ink, max(1, round(reach * random.uniform(0.08, 0.3))), joint="curve")


def _initials(
    draw: ImageDraw.ImageDraw, at: float, reach: float, ink: int, letters: Letters, random: np.random.Generator
) -> None:
    text = "".join(chr(65 + int(random.integers(26))) for _ in range(random.integers(1, 4)))
    draw.text((at, at), text, ink, letters(max(8, round(2.2 * reach / len(text) ** 0.5))), anchor="mm")


def _bent(
    draw: ImageDraw.ImageDraw, at: float, reach: float, ink: int, letters: Letters, random: np.random.Generator
) -> None:
    corners, inner = int(random.integers(3, 9)), random.uniform(0.2, 0.9) if random.random() < 0.6 else 1.0
    points = _polygon(2 * reach, corners, inner, random.uniform(0, 6.3))
    draw.polygon([(x + at - reach, y + at - reach) for x, y in points], ink)


_PARTS = (_bars, _dots, _blob, _wave, _initials, _initials, _bent)
VALIDATED = range(2000, 2400)
COMPOSED = tuple(seed for seed in range(10_000) if seed not in VALIDATED)
TRAIN_LOGOS: tuple[Logo, ...] = (
    *((_ring, _star, _plate, _hexagon, _stripes) * (len(COMPOSED) // 50)),
    *(partial(_composed, seed) for seed in COMPOSED),
)
VALIDATION_LOGOS: tuple[Logo, ...] = tuple(partial(_composed, seed) for seed in VALIDATED)
TEST_LOGOS: tuple[Logo, ...] = (_camera, _crescent, _cross, _arcs)

"""What watermarks are laid on in training: parts of photos and other pictures, of any size, light and tone."""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import NamedTuple

import numpy as np
from PIL import Image

from paris_assets.models.degradation_views import VIEW
from tools.degradation.damage import cast, levels
from tools.degradation.drawing import Random

LUMA = np.array([0.299, 0.587, 0.114], np.float32)
SMALL = 448
OTHERS, STAMPED = 0.25, 0.15
"""Shares of samples."""


class Scenes(NamedTuple):
    """What watermarks are laid on in training: photos and surfaces, (H, W, 3) uint8, and stamps on them, (H, W, 4)."""

    photos: Sequence[np.ndarray]
    surfaces: Sequence[np.ndarray] = ()
    stamps: Sequence[np.ndarray] = ()


def ground(scenes: Scenes, random: Random) -> np.ndarray:
    """(h, w, 3) uint8: a photo or a part of it, mostly reduced to a random size, of another light and tone; sometimes
    with stamps on it."""
    photo = scenes.photos[int(random.integers(len(scenes.photos)))]
    if random.random() < OTHERS and scenes.surfaces:
        photo = scenes.surfaces[int(random.integers(len(scenes.surfaces)))]
    height, width = photo.shape[:2]
    if random.random() < 0.7:
        whole = min(height, width) < SMALL
        share = random.uniform(0.7 if whole else 0.35, 1, 2)
        photo = part_of(photo, random, (round(height * share[0]), round(width * share[1])))
    long = max(photo.shape[:2])
    wanted = int(np.exp(random.uniform(math.log(260), math.log(900 if random.random() < 0.25 else VIEW))))
    factor = min(wanted / long, random.uniform(1, 1.5) if random.random() < 0.15 else 1.0)
    if factor != 1:
        filters = (Image.Resampling.BOX, Image.Resampling.BICUBIC, Image.Resampling.LANCZOS)
        size = max(48, round(photo.shape[1] * factor)), max(48, round(photo.shape[0] * factor))
        photo = np.asarray(Image.fromarray(photo).resize(size, filters[random.integers(3)], reducing_gap=2.0))
    if random.random() < STAMPED and scenes.stamps:
        photo = _stamped(photo, scenes.stamps, random)
    return _toned(relit(photo, random), random)


def _stamped(pixels: np.ndarray, stamps: Sequence[np.ndarray], random: Random) -> np.ndarray:
    """With one to three opaque stamps anywhere."""
    picture = Image.fromarray(pixels)
    for _ in range(random.integers(1, 4)):
        stamp = Image.fromarray(stamps[int(random.integers(len(stamps)))])
        side = max(24, round(min(picture.size) * random.uniform(0.15, 0.8)))
        stamp.thumbnail((side, side), Image.Resampling.BICUBIC)
        left, top = (
            int(random.integers(max(1, room + 1)))
            for room in (picture.width - stamp.width, picture.height - stamp.height)
        )
        picture.paste(stamp, (left, top), stamp)
    return np.asarray(picture)


def _toned(pixels: np.ndarray, random: Random) -> np.ndarray:
    """Sometimes of more or less colour, or in another light."""
    if random.random() < 0.3:
        grey = (pixels @ LUMA)[..., None]
        pixels = levels(grey + (pixels - grey) * (0.0 if random.random() < 0.2 else random.uniform(0.2, 1.5)))
    if random.random() < 0.2:
        pixels = cast(pixels, random.normal(0, 0.25, 2))
    return pixels


def relit(pixels: np.ndarray, random: Random) -> np.ndarray:
    """Flipped, darker or brighter, of less or more contrast."""
    table = 255 * (np.arange(256) / 255) ** np.exp(random.normal(0, 0.25))
    table = (table - 128) * np.exp(random.normal(0, 0.15)) + 128 + random.normal(0, 8)
    return levels(table)[flipped(pixels, random)]


def flipped(pixels: np.ndarray, random: Random) -> np.ndarray:
    """Mirrored or not."""
    return pixels[:, ::-1] if random.random() < 0.5 else pixels


def part_of(pixels: np.ndarray, random: Random, size: tuple[int, int]) -> np.ndarray:
    """A part of at most so many rows and columns, anywhere."""
    top, left = (
        int(random.integers(max(1, had - wanted + 1))) for had, wanted in zip(pixels.shape[:2], size, strict=True)
    )
    return pixels[top : top + size[0], left : left + size[1]]

"""What the degradation networks see of a picture: native tiles, where pixels tell, and a reduced view of the whole."""

from __future__ import annotations

import math
from typing import NamedTuple

import numpy as np
from PIL import Image

from paris_assets.images.resize import resized

TILE, TILES = 128, 6
VIEW = 448
GRID = 8  # of a JPEG's blocks, which tiles keep
ROW = TILES * TILE**2 + VIEW**2 + 1
_LAYOUTS = ((1, 6), (2, 3), (3, 2), (6, 1))


class Views(NamedTuple):
    """Of a batch: (B, 6, 128, 128, 3) tiles, (B, 448, 448, 3) views, and short sides (B,), at most 255 pixels."""

    tiles: np.ndarray
    view: np.ndarray
    short_side: np.ndarray


def row(rgb: np.ndarray) -> np.ndarray:
    """(H, W, 3) uint8 -> (ROW, 3) uint8: the pixels of `tiles`, those of `view`, and the short side, at most 255."""
    side = np.full((1, 3), min(255, *rgb.shape[:2]), np.uint8)
    return np.concatenate([tiles(rgb).reshape(-1, 3), view(rgb).reshape(-1, 3), side])


def views(rows: np.ndarray) -> Views:
    """(B, ROW, 3), as `row` made them -> what they hold."""
    fine, whole = rows[:, : TILES * TILE**2], rows[:, TILES * TILE**2 : -1]
    return Views(fine.reshape(-1, TILES, TILE, TILE, 3), whole.reshape(-1, VIEW, VIEW, 3), rows[:, -1, 0])


def tiles(rgb: np.ndarray) -> np.ndarray:
    """(H, W, 3) uint8 -> (6, 128, 128, 3): native pixels, evenly spread, begun on the 8 x 8 grid; a side below 128
    pixels is continued by its mirror images."""
    height, width = rgb.shape[:2]
    rows, columns = min(_LAYOUTS, key=lambda layout: abs(math.log((height / layout[0]) / (width / layout[1]))))
    corners = [(top, left) for top in _starts(height, rows) for left in _starts(width, columns)]
    return np.stack([mirrored(rgb[top : top + TILE, left : left + TILE], TILE) for top, left in corners])


def _starts(length: int, count: int) -> list[int]:
    last = max(0, length - TILE)
    middles = (np.arange(count) + 0.5) * length / count - TILE / 2 if count > 1 else np.array([last / 2])
    return [int(start) // GRID * GRID for start in middles.clip(0, last)]


def view(rgb: np.ndarray) -> np.ndarray:
    """(H, W, 3) uint8 -> (448, 448, 3): `reduced_view`, and what is left over filled by its mirror images."""
    return mirrored(reduced_view(rgb), VIEW)


def reduced_view(rgb: np.ndarray) -> np.ndarray:
    """(H, W, 3) uint8 -> (h, w, 3): the whole picture in its own shape, a long side above 448 reduced to that."""
    height, width = rgb.shape[:2]
    scale = VIEW / max(height, width)
    if scale >= 1:
        return rgb
    size = max(1, round(width * scale)), max(1, round(height * scale))
    return np.asarray(resized(Image.fromarray(rgb), size, Image.Resampling.BOX))


def mirrored(rgb: np.ndarray, side: int) -> np.ndarray:
    """(h, w, 3), at most `side` pixels each way -> (side, side, 3), continued to the right and below by mirroring."""
    height, width = rgb.shape[:2]
    return np.pad(rgb, ((0, side - height), (0, side - width), (0, 0)), mode="symmetric")

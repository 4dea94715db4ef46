"""Shrinking RGB pixels as Pillow does by its bicubic filter, to the bit and several times as fast."""

from __future__ import annotations

from functools import lru_cache

import numpy as np
from PIL import Image

from paris_assets.compiled import add_product, compiled
from paris_assets.images.resize import resized

_PRECISION = 22  # bits of a weight, as Pillow has them
_ROWS = 32  # that are narrowed together
_LONG = 1 << 16  # pixels of a side, above which the memory of weights would count
_REACH = 2.0  # of the filter (Keys, a = -0.5), in pixels of the result


def shrunk(
    rgb: np.ndarray, width: int, height: int, rows: slice = slice(None), columns: slice = slice(None)
) -> np.ndarray:
    """(H, W, 3) uint8 made smaller, bicubic and antialiased: bit for bit as Pillow sets the width, then the height.

    Args:
        rgb: contiguous.
        width, height: at most those of ``rgb``, and at least 1.
        rows, columns: of the smaller picture, which alone are made.
    """
    if max(rgb.shape) > _LONG:
        whole = np.array(resized(Image.fromarray(rgb), (width, height), Image.Resampling.BICUBIC))
        return np.ascontiguousarray(whole[rows, columns])
    if height == rgb.shape[0]:
        return _columns(rgb[rows], width, columns)
    firsts, counts, weights = (part[rows] for part in _weights(rgb.shape[0], height))
    needed = _columns(rgb[firsts[0] : (firsts + counts).max()], width, columns)
    lowered = _lowered(needed.reshape(len(needed), -1), firsts - firsts[0], counts, weights)
    return lowered.reshape(len(firsts), -1, 3)


def _columns(rgb: np.ndarray, width: int, columns: slice) -> np.ndarray:
    """Some columns of the picture of that width; contiguous."""
    if width == rgb.shape[1]:
        return np.ascontiguousarray(rgb[:, columns])
    return _narrowed(rgb, *(part[columns] for part in _weights(rgb.shape[1], width)))


@lru_cache(maxsize=64)
def _weights(size: int, out: int) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """How `out` values are made of `size`: the first that each is made of and how many, (out,) int64, and the weights
    from there on, (out, taps) int32 of 22 bits."""
    scale = size / out
    support = _REACH * scale
    centres = (np.arange(out) + 0.5) * scale
    firsts = np.maximum((centres - support + 0.5).astype(np.int64), 0)
    counts = np.minimum((centres + support + 0.5).astype(np.int64), size) - firsts
    taps = np.arange(counts.max())
    weights = np.where(taps < counts[:, None], _cubic((taps + firsts[:, None] - centres[:, None] + 0.5) / scale), 0.0)
    scaled = weights / weights.sum(axis=1, keepdims=True) * (1 << _PRECISION)
    return firsts, counts, (scaled + np.where(scaled < 0, -0.5, 0.5)).astype(np.int32)


def _cubic(x: np.ndarray) -> np.ndarray:
    x = np.abs(x)
    near, far = ((1.5 * x) - 2.5) * x * x + 1, (((x - 5) * x + 8) * x - 4) * -0.5
    return np.where(x < 1, near, np.where(x < _REACH, far, 0.0))


@compiled
def _narrowed(rgb: np.ndarray, firsts: np.ndarray, counts: np.ndarray, weights: np.ndarray) -> np.ndarray:
    """(H, W, 3) -> (H, w, 3), some rows at a time: as columns, so that one weight falls on many neighbours."""
    height, width = len(rgb), len(firsts)
    out = np.empty((height, 3 * width), np.uint8)
    columns = np.zeros((rgb.shape[1], 3 * _ROWS), np.uint8)
    total, made = np.empty(3 * _ROWS, np.int32), np.empty(3 * _ROWS, np.uint8)
    for top in range(0, height, _ROWS):
        rows = min(_ROWS, height - top)
        for row in range(rows):
            line = rgb[top + row]
            for x in range(len(line)):
                column, pixel = columns[x], line[x]
                column[row], column[_ROWS + row], column[2 * _ROWS + row] = pixel[0], pixel[1], pixel[2]
        for x in range(width):
            _weighted_sum(columns[firsts[x] :], weights[x], counts[x], total, made)
            for row in range(rows):
                pixel = out[top + row, 3 * x :]
                pixel[0], pixel[1], pixel[2] = made[row], made[_ROWS + row], made[2 * _ROWS + row]
    return out.reshape(height, width, 3)


@compiled
def _lowered(lines: np.ndarray, firsts: np.ndarray, counts: np.ndarray, weights: np.ndarray) -> np.ndarray:
    """(H, N) -> (h, N)."""
    out, total = np.empty((len(firsts), lines.shape[1]), np.uint8), np.empty(lines.shape[1], np.int32)
    for y in range(len(firsts)):
        _weighted_sum(lines[firsts[y] :], weights[y], counts[y], total, out[y])
    return out


@compiled
def _weighted_sum(lines: np.ndarray, weights: np.ndarray, count: int, total: np.ndarray, out: np.ndarray) -> None:
    """The sum of the first lines by their weights, rounded to 8 bits, into `out`; `total` is room for it."""
    total[:] = 1 << (_PRECISION - 1)
    for t in range(count):
        weight, line = weights[t], lines[t]
        for i in range(len(total)):
            total[i] = add_product(total[i], np.int32(line[i]), weight)
    for i in range(len(total)):
        out[i] = min(max(total[i] >> _PRECISION, 0), 255)

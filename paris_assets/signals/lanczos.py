"""Pillow's Lanczos resizing of one plane, to the bit and several times as fast."""

from __future__ import annotations

import math

import numpy as np

from paris_assets.compiled import compiled
from paris_assets.signals.simd import LANES, add_pairs, joined, no_words, shorts, totals

PRECISION = 22  # bits of a weight, as Pillow has them
LOWER = 11  # bits of its lower part, so that both fit products of 16 bits
ROWS = 4  # that are made together

Weights = tuple[np.ndarray, np.ndarray, np.ndarray, np.ndarray]


@compiled
def _sinc(x: float) -> float:
    return math.sin(x * math.pi) / (x * math.pi) if x != 0.0 else 1.0


@compiled
def weights(size: int, out: int) -> Weights:
    """How `out` values are made of `size`, with the weights that Pillow has.

    Returns:
        Of each, the first value that it is made of and how many there are, in whole vectors, (out,) int64; and the
        upper and the lower part (11 bits) of their weights of 22 bits, (out, taps) int16, which end in zeros.
    """
    scale = size / out
    spread = max(scale, 1.0)
    support = 3.0 * spread
    firsts, counts = np.zeros(out, np.int64), np.zeros(out, np.int64)
    upper = np.zeros((out, (math.ceil(support) * 2 // LANES + 1) * LANES), np.int16)
    lower, row = np.zeros_like(upper), np.empty(upper.shape[1])
    for i in range(out):
        centre = (i + 0.5) * scale
        first = max(int(centre - support + 0.5), 0)
        count = min(int(centre + support + 0.5), size) - first
        total = 0.0
        for t in range(count):
            x = (t + first - centre + 0.5) * (1.0 / spread)
            row[t] = _sinc(x) * _sinc(x / 3) if -3.0 <= x < 3.0 else 0.0
            total += row[t]
        firsts[i], counts[i] = first, (count + LANES - 1) // LANES * LANES
        for t in range(count):
            weight = row[t] / total * (1 << PRECISION)
            rounded = int(weight - 0.5) if weight < 0 else int(weight + 0.5)
            upper[i, t], lower[i, t] = rounded >> LOWER, rounded & ((1 << LOWER) - 1)
    return firsts, counts, upper, lower


@compiled
def _weigh(lines: np.ndarray, weights: Weights, out: np.ndarray) -> None:
    """Sets out, (values, 4), to weighted sums of 4 lines, (4, N) int16, rounded to 8 bits."""
    first_line, second_line, third_line, fourth_line = lines[0], lines[1], lines[2], lines[3]
    firsts, counts, uppers, lowers = weights
    for i in range(len(firsts)):
        upper, lower, start = uppers[i], lowers[i], firsts[i]
        first, second, third, fourth = no_words(), no_words(), no_words(), no_words()
        first_low, second_low, third_low, fourth_low = no_words(), no_words(), no_words(), no_words()
        for t in range(0, counts[i], LANES):
            high, low = shorts(upper, t), shorts(lower, t)
            levels = shorts(first_line, start + t)
            first, first_low = add_pairs(first, levels, high), add_pairs(first_low, levels, low)
            levels = shorts(second_line, start + t)
            second, second_low = add_pairs(second, levels, high), add_pairs(second_low, levels, low)
            levels = shorts(third_line, start + t)
            third, third_low = add_pairs(third, levels, high), add_pairs(third_low, levels, low)
            levels = shorts(fourth_line, start + t)
            fourth, fourth_low = add_pairs(fourth, levels, high), add_pairs(fourth_low, levels, low)
        sums = totals(
            joined(first, first_low, LOWER),
            joined(second, second_low, LOWER),
            joined(third, third_low, LOWER),
            joined(fourth, fourth_low, LOWER),
        )
        for k in range(ROWS):
            out[i, k] = min(max((sums[k] + (1 << (PRECISION - 1))) >> PRECISION, 0), 255)


@compiled
def resized(grey: np.ndarray, across: Weights, down: Weights) -> np.ndarray:
    """(H, W) uint8 -> (h, w) uint8, bit for bit as Pillow resizes: rows first, then columns, both rounded to 8 bits.

    Args:
        grey: the image.
        across: `weights` of (W, w).
        down: `weights` of (H, h).
    """
    height, width = grey.shape
    columns, rows = len(across[0]), len(down[0])
    lines = np.zeros((ROWS, width + LANES), np.int16)
    narrow = np.zeros(((columns + ROWS - 1) // ROWS * ROWS, (height + ROWS) + LANES), np.int16)
    for y in range(0, height, ROWS):
        for k in range(min(ROWS, height - y)):
            line, source = lines[k], grey[y + k]
            for x in range(width):
                line[x] = source[x]
        _weigh(lines, across, narrow[:columns, y : y + ROWS])
    out = np.empty((rows, len(narrow)), np.uint8)
    for i in range(0, columns, ROWS):
        _weigh(narrow[i : i + ROWS], down, out[:, i : i + ROWS])
    return out[:, :columns]

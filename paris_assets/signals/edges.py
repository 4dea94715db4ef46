"""Passes over luma for edges: how steep they are, and whether they have a direction. See `kernels` for the habits."""

from __future__ import annotations

import numpy as np

from paris_assets.compiled import add_product, compiled, inlined
from paris_assets.signals.simd import (
    LANES,
    Shorts,
    Words,
    add_pairs,
    magnitudes,
    minus,
    no_words,
    pairs,
    plus,
    shorts_of_bytes,
    total,
)

LAGS = (1, 2, 8)
BLOCK = LANES
TENSOR_BLOCK = 8
CHUNK = 16_384  # energies of this many pixels fit 32 bits in each of 8 lanes

_LONGEST = max(LAGS)


@inlined
def _energies(sums: Words, row: np.ndarray, below: np.ndarray, away: np.ndarray, x: int, lag: int) -> Words:
    """sums + the energy of steps over `lag` pixels, to the right and to the row `away`, from 16 places of a row on."""
    here, beside = shorts_of_bytes(row, x), shorts_of_bytes(row, x + 1)
    across = minus(shorts_of_bytes(row, x + lag), here)
    sums = add_pairs(sums, across, minus(shorts_of_bytes(below, x + lag), shorts_of_bytes(below, x)))
    return add_pairs(sums, minus(shorts_of_bytes(away, x), here), minus(shorts_of_bytes(away, x + 1), beside))


@inlined
def _energy(row: np.ndarray, below: np.ndarray, away: np.ndarray, x: int, lag: int) -> int:
    """The same of one place."""
    here, beside = int(row[x]), int(row[x + 1])
    across = (int(row[x + lag]) - here) * (int(below[x + lag]) - int(below[x]))
    return across + (int(away[x]) - here) * (int(away[x + 1]) - beside)


@compiled
def step_energies(grey: np.ndarray, stride: int) -> np.ndarray:
    """Mean energy of steps over 1, 2 and 8 pixels of (H, W) uint8, both more than 9: (3,) float64, grey levels^2.

    The energy of a step is its product with the step beside it, at a right angle to its direction: edges are longer
    than two pixels, so theirs count in full, while noise, which is another in each pixel, cancels.

    Args:
        grey: luma.
        stride: every so many rows are looked at.
    """
    height, width = grey.shape
    last, sums, rows = width - _LONGEST, np.zeros(len(LAGS), np.int64), 0
    for y in range(0, height - _LONGEST, stride):
        row, below, second, eighth = grey[y], grey[y + 1], grey[y + 2], grey[y + _LONGEST]
        rows += 1
        for start in range(0, last, CHUNK):
            stop = min(start + CHUNK, last)
            done = start + (stop - start) // LANES * LANES
            one, two, eight = no_words(), no_words(), no_words()
            for x in range(start, done, LANES):  # apart they would load each row again
                one = _energies(one, row, below, below, x, 1)
                two = _energies(two, row, below, second, x, 2)
                eight = _energies(eight, row, below, eighth, x, 8)
            sums[0], sums[1], sums[2] = sums[0] + total(one), sums[1] + total(two), sums[2] + total(eight)
            for x in range(done, stop):
                sums[0] += _energy(row, below, below, x, 1)
                sums[1] += _energy(row, below, second, x, 2)
                sums[2] += _energy(row, below, eighth, x, 8)
    return sums / (rows * last)


@compiled
def noise_blocks(grey: np.ndarray, stride: int) -> tuple[np.ndarray, np.ndarray]:
    """Of blocks of 16 x 16 pixels: summed absolute responses to Immerkaer's kernel (1 -2 1; -2 4 -2; 1 -2 1), and luma.

    Args:
        grey: (H, W) uint8, both at least 18; one pixel around is left out.
        stride: every so many rows of blocks are looked at.

    Returns:
        Two arrays (blocks,) of int64.
    """
    height, width = grey.shape
    across, down = (width - 2) // BLOCK, ((height - 2) // BLOCK + stride - 1) // stride
    responses, levels = np.empty((down, across), np.int64), np.empty((down, across), np.int64)
    ones = pairs(np.int16(1), np.int16(1))
    for j in range(down):
        for i in range(across):
            top, left = j * stride * BLOCK + 1, i * BLOCK + 1
            response, level = minus(ones, ones), minus(ones, ones)
            for y in range(top, top + BLOCK):
                before, after = _bend(grey, y, left - 1), _bend(grey, y, left + 1)
                middle = _bend(grey, y, left)
                response = plus(response, magnitudes(minus(plus(before, after), plus(middle, middle))))
                level = plus(level, shorts_of_bytes(grey[y], left))
            responses[j, i] = total(add_pairs(no_words(), response, ones))
            levels[j, i] = total(add_pairs(no_words(), level, ones))
    return responses.ravel(), levels.ravel()


@inlined
def _bend(grey: np.ndarray, y: int, x: int) -> Shorts:
    """The row above + the row below - twice the row, from x on."""
    row = shorts_of_bytes(grey[y], x)
    return minus(plus(shorts_of_bytes(grey[y - 1], x), shorts_of_bytes(grey[y + 1], x)), plus(row, row))


@compiled
def structure(grey: np.ndarray) -> tuple[float, float]:
    """Energy of diagonal one-pixel steps (Roberts) of (H, W) uint8 without a direction within 8 x 8 pixels, and of all.

    Of each block's structure tensor (Bigun and Granlund 1987): twice the smaller eigenvalue, and the sum of both.
    """
    across, down = (grey.shape[1] - 1) // TENSOR_BLOCK, (grey.shape[0] - 1) // TENSOR_BLOCK
    width = across * TENSOR_BLOCK
    tensors = np.empty((3, width), np.int32)
    isotropic, whole = 0.0, 0.0
    for j in range(down):
        tensors[:] = 0
        falls, rises, mixed = tensors[0], tensors[1], tensors[2]
        for y in range(j * TENSOR_BLOCK, (j + 1) * TENSOR_BLOCK):
            row, below = grey[y], grey[y + 1]
            for x in range(width):
                fall, rise = np.int32(below[x + 1]) - np.int32(row[x]), np.int32(below[x]) - np.int32(row[x + 1])
                falls[x] = add_product(falls[x], fall, fall)
                rises[x] = add_product(rises[x], rise, rise)
                mixed[x] = add_product(mixed[x], fall, rise)
        for i in range(across):
            xx, yy, xy = 0, 0, 0
            for x in range(i * TENSOR_BLOCK, (i + 1) * TENSOR_BLOCK):
                xx += falls[x]
                yy += rises[x]
                xy += mixed[x]
            isotropic += xx + yy - np.sqrt(float((xx - yy) * (xx - yy) + 4 * xy * xy))
            whole += xx + yy
    return isotropic, whole

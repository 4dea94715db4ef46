"""Passes over luma for edges: how steep they are, and whether they have a direction. See `kernels` for the habits."""

from __future__ import annotations

import numpy as np

from paris_assets.compiled import add_product, compiled

LAGS = (1, 2, 8)
BLOCK = 16
TENSOR_BLOCK = 8
CHUNK = 16_384  # products of two steps of this many pixels fit 32 bits

_LAGS = np.array(LAGS)
_LONGEST = max(LAGS)


@compiled
def _products(first: np.ndarray, second: np.ndarray, third: np.ndarray, fourth: np.ndarray) -> int:
    """Sum of (second - first) * (fourth - third), uint8 each, of one length."""
    whole = 0
    for start in range(0, len(first), CHUNK):
        stop, total = min(start + CHUNK, len(first)), np.int32(0)
        a, b, c, d = first[start:stop], second[start:stop], third[start:stop], fourth[start:stop]
        for x in range(len(a)):
            total = add_product(total, np.int32(b[x]) - np.int32(a[x]), np.int32(d[x]) - np.int32(c[x]))
        whole += int(total)
    return whole


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
    sums, rows = np.zeros(len(_LAGS), np.int64), 0
    for y in range(0, height - _LONGEST, stride):
        row, below = grey[y], grey[y + 1]
        rows += 1
        for i in range(len(_LAGS)):
            lag, last = _LAGS[i], width - _LONGEST
            sums[i] += _products(row[:last], row[lag : lag + last], below[:last], below[lag : lag + last])
            away = grey[y + lag]
            sums[i] += _products(row[:last], away[:last], row[1 : last + 1], away[1 : last + 1])
    return sums / (rows * (width - _LONGEST))


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
    responses, levels = np.zeros((down, across), np.int64), np.zeros((down, across), np.int64)
    columns, response, level = np.empty(width, np.int32), np.empty(width, np.int32), np.empty(width, np.int32)
    for j in range(down):
        response[:] = 0
        level[:] = 0
        top = j * stride * BLOCK + 1
        for y in range(top, top + BLOCK):
            above, row, below = grey[y - 1], grey[y], grey[y + 1]
            for x in range(width):
                columns[x] = np.int32(above[x]) + np.int32(below[x]) - np.int32(2) * np.int32(row[x])
                level[x] += np.int32(row[x])
            for x in range(1, width - 1):
                response[x] += abs(columns[x - 1] + columns[x + 1] - np.int32(2) * columns[x])
        for i in range(across):
            left = i * BLOCK + 1
            for x in range(left, left + BLOCK):
                responses[j, i] += response[x]
                levels[j, i] += level[x]
    return responses.ravel(), levels.ravel()


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

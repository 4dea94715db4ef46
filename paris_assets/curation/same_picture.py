"""The second measure: do two thumbnails show the same picture?

A 64-bit pHash is blind to colour, to the size of steps (any faint gradient looks like any strong one) and to things
that are small in the frame, and it answers at random for flat images. Thumbnails know all of these.

Measured on the 215 sample photos at radius 10 and correlation 0.9, share found by pHash and passed here: JPEG q50, half
size, 1 % crop, 3 % crop, brightness +-10 % all 1.00; 3 % crop from one corner 0.93 found, 0.86 passed. Of all pairs of
different photos (none closer than 14 bits) none passes, whatever its pHash. Hard negatives, photos whose middle shows
another photo, found by pHash and passed here: 20 % of the sides 0.87 and 0.10 of these, 30 % 0.65 and 0.01, 40 % 0.36
and 0.00; a plain correlation of 0.85 passes 0.96, 0.84, 0.53 of these.
"""

from __future__ import annotations

import numpy as np

LUMA_SIDE = 16
CHROMA_SIDE = 8
THUMBNAIL_BYTES = LUMA_SIDE**2 + 2 * CHROMA_SIDE**2

FLAT = 4.0  # deviation in grey levels below which luma holds nothing that could correlate
FLAT_DIFFERENCE = 4.0  # grey levels by which flat pictures may differ
MAX_CHROMA_DIFFERENCE = 10.0  # root mean square; the variants above stay below 7
MAX_GAIN = 1.4  # ratio of contrasts
MAX_SHIFT = 0.6  # thumbnail pixels at the border: a crop of about 4 % of one side
MAX_LOCAL_DIFFERENCE = 0.42  # of the mean of 3 x 3 pixels, in deviations of the picture
MAX_COARSE_DIFFERENCE = (
    0.45  # root mean square over 8 x 8 means, not aligned, in deviations; the variants stay below 0.4
)
COARSE_SIDE = 8

_AXIS = (np.arange(LUMA_SIDE) - (LUMA_SIDE - 1) / 2) / (LUMA_SIDE / 2)
_X, _Y = np.meshgrid(_AXIS, _AXIS)
_PLANE = np.linalg.qr(np.stack([np.ones(LUMA_SIDE**2), _X.ravel(), _Y.ravel()], axis=1))[0]


def same_picture(left: np.ndarray, right: np.ndarray, min_correlation: float) -> np.ndarray:
    """Whether each pair of thumbnails shows one picture.

    Luma, less its best plane (the gradient of a sky tells nothing) and aligned, must correlate, with a like contrast
    and without any place that differs; its coarse picture, which alignment hardly moves, must agree as it stands, and
    chroma too. Two flat pictures must agree in absolute levels instead. A mirrored or recoloured picture is another
    one.

    Args:
        left, right: (N, 384) uint8 thumbnails of `PerceptualHash`: 16 x 16 luma, 8 x 8 Cb, 8 x 8 Cr.
        min_correlation: smallest correlation of the aligned luma, -1 to 1.

    Returns:
        (N,) bool; exchanging left and right changes nothing.
    """
    difference = left.astype(np.float32) - right
    chroma_difference = np.sqrt((difference[:, LUMA_SIDE**2 :] ** 2).mean(axis=1))
    luma_difference = np.abs(difference[:, : LUMA_SIDE**2]).mean(axis=1)
    same = np.zeros(len(left), bool)
    hopeful = np.flatnonzero(chroma_difference <= MAX_CHROMA_DIFFERENCE)
    a, b = (detrended(side[hopeful, : LUMA_SIDE**2].astype(np.float64)) for side in (left, right))
    contrasts = np.sort([a.std(axis=1), b.std(axis=1)], axis=0)
    flat = contrasts[1] < FLAT
    same[hopeful] = flat & (np.maximum(luma_difference, chroma_difference)[hopeful] <= FLAT_DIFFERENCE)
    textured = ~flat & (contrasts[1] <= MAX_GAIN * contrasts[0])
    textured[textured] = _coarse_difference(a[textured], b[textured]) <= MAX_COARSE_DIFFERENCE
    if textured.any():
        residual = aligned_residual(a[textured], b[textured])
        correlation = 1 - (residual**2).mean(axis=1) / 2
        same[hopeful[textured]] = (correlation >= min_correlation) & (_largest(residual) <= MAX_LOCAL_DIFFERENCE)
    return same


def aligned_residual(a: np.ndarray, b: np.ndarray) -> np.ndarray:
    """What is left of b - a after a small shift and stretch of each axis (one step of Lucas and Kanade 1981).

    Args:
        a, b: (N, 256) float64 luma without mean and gradient, not zero.

    Returns:
        (N, 256) in standard deviations. Half its mean square is one minus the correlation.
    """
    a, b = (side / side.std(axis=1, keepdims=True) for side in (a, b))
    middle = ((a + b) / 2).reshape(-1, LUMA_SIDE, LUMA_SIDE)
    gradient_x, gradient_y = np.gradient(middle, axis=2), np.gradient(middle, axis=1)
    moves = np.stack([gradient_x, gradient_y, _X * gradient_x, _Y * gradient_y], axis=1).reshape(len(a), 4, -1)
    moves = detrended(moves)
    products = moves @ moves.transpose(0, 2, 1)
    # A ridge, as pictures of stripes say nothing about shifts along them.
    products += 1e-3 * (products.trace(axis1=1, axis2=2)[:, None, None] + 1e-9) * np.eye(4)
    amounts = np.linalg.solve(products, moves @ (b - a)[..., None]).clip(-MAX_SHIFT, MAX_SHIFT)
    return b - a - (amounts.transpose(0, 2, 1) @ moves)[:, 0]


def _coarse_difference(a: np.ndarray, b: np.ndarray) -> np.ndarray:
    """(N, 256) luma without mean and gradient, not zero -> (N,) root mean squares, in deviations."""
    a, b = (coarse(side / side.std(axis=1, keepdims=True)) for side in (a, b))
    return np.sqrt(((a - b) ** 2).mean(axis=1))


def _largest(residual: np.ndarray) -> np.ndarray:
    """(N, 256) -> (N,) largest size of a mean of 3 x 3 pixels."""
    rows = residual.reshape(-1, LUMA_SIDE, LUMA_SIDE)
    rows = rows[:, :-2] + rows[:, 1:-1] + rows[:, 2:]
    return np.abs(rows[..., :-2] + rows[..., 1:-1] + rows[..., 2:]).max(axis=(1, 2)) / 9


def coarse(luma: np.ndarray) -> np.ndarray:
    """(N, 256) luma -> (N, 64) means of 2 x 2 pixels."""
    rows = luma.reshape(-1, LUMA_SIDE, LUMA_SIDE)
    rows = rows[:, ::2] + rows[:, 1::2]
    return ((rows[..., ::2] + rows[..., 1::2]) / 4).reshape(-1, COARSE_SIDE**2)


def contrasts(thumbnails: np.ndarray) -> np.ndarray:
    """(N, 384) uint8 -> (N,) deviations of the luma less its best plane, grey levels; below ``FLAT`` it is blank."""
    return detrended(thumbnails[:, : LUMA_SIDE**2].astype(np.float64)).std(axis=1)


def detrended(luma: np.ndarray) -> np.ndarray:
    """Less mean and linear gradient, along the last axis of 256 pixels."""
    return luma - (luma @ _PLANE) @ _PLANE.T

"""Blur, noise, colour cast, exposure: how a photograph went wrong."""

from __future__ import annotations

import math

import numpy as np
import polars as pl

from paris_assets.signals import kernels
from paris_assets.signals.copies import greys, histograms, samples

CLIPPED = 3  # levels next to black and white that count as clipped
BLUR_SIDE = 256
NOISE_SIDE = 384
CAST_STEP = 4  # of the sample
CURVE_STEPS = 4096

_LEVELS = np.arange(256) / 255
_LINEAR = np.where(_LEVELS <= 0.04045, _LEVELS / 12.92, ((_LEVELS + 0.055) / 1.055) ** 2.4)  # IEC 61966-2-1
_LIGHT = np.arange(CURVE_STEPS + 2) / CURVE_STEPS
_CURVE = np.where(_LIGHT > (6 / 29) ** 3, np.cbrt(_LIGHT), _LIGHT / (3 * (6 / 29) ** 2) + 4 / 29)  # CIE 15


class Degradation:
    """Null where an image is too small to tell.

    - `blur`: variance of the 4-neighbour Laplacian of the luma (Pech-Pacheco et al. 2000), after reduction by the
      whole factor that leaves a short side of 256 to 511 pixels (smaller images as they are). Low means blurred.
    - `noise`: standard deviation of additive noise in grey levels (Immerkaer 1996, "Fast noise variance estimation"),
      on the central 384 x 384 pixels of the luma at native size; fine texture counts as noise.
    - `colour_cast`: distance of the mean colour from grey over the spread of colours, both in the a, b plane of CIELAB
      (the equivalent circle of Gasparini and Schettini 2004); spreads below 1, the just noticeable difference, count as 1.
    - `exposure`, `contrast`: mean and standard deviation of the luma, 0 to 1.
    - `shadows`, `highlights`: shares of pixels whose luma is within 3 levels of black, of white.
    """  # noqa: E501

    schema = dict.fromkeys(
        ("blur", "noise", "colour_cast", "exposure", "contrast", "shadows", "highlights"), pl.Float64
    )

    def measure(self, rgb: list[np.ndarray]) -> dict[str, list[float | None]]:
        """See `Signal.measure`."""
        grey = greys(rgb)
        tones = zip(*map(_tones, histograms(rgb)[:, 3].astype(np.float64)), strict=True)
        return {
            "blur": [laplacian_variance(luma) for luma in grey],
            "noise": [noise_sigma(luma) for luma in grey],
            "colour_cast": [colour_cast(planes[:3]) for planes in samples(rgb)],
            **dict(zip(("exposure", "contrast", "shadows", "highlights"), map(list, tones), strict=True)),
        }


def laplacian_variance(grey: np.ndarray) -> float | None:
    """Variance of the 4-neighbour Laplacian of (H, W) uint8 luma at a short side of 256 to 511 pixels."""
    factor = min(grey.shape) // BLUR_SIDE
    if factor > 1:
        grey = kernels.reduced(grey, factor)
    if min(grey.shape) < 3:
        return None
    total, squares = kernels.laplacian_moments(grey)
    count = (grey.shape[0] - 2) * (grey.shape[1] - 2)
    return squares / count - (total / count) ** 2


def noise_sigma(grey: np.ndarray) -> float | None:
    """Immerkaer's estimate of the noise's standard deviation, grey levels, from the centre of (H, W) uint8 luma."""
    top, left = (max(0, (side - NOISE_SIDE) // 2) for side in grey.shape)
    centre = grey[top : top + NOISE_SIDE, left : left + NOISE_SIDE]
    if min(centre.shape) < 3:
        return None
    return math.sqrt(math.pi / 2) / 6 * kernels.noise_sum(centre) / ((centre.shape[0] - 2) * (centre.shape[1] - 2))


def colour_cast(planes: np.ndarray) -> float:
    """Distance of the mean of (a, b) from grey over their spread, from R, G and B of a sample, (3, h, w) uint8."""
    *sums, count = kernels.chroma_moments(planes, CAST_STEP, _LINEAR, _CURVE)
    a, b, a_squares, b_squares = (total / count for total in sums)
    spread = math.sqrt(max(0.0, a_squares - a**2 + b_squares - b**2))
    return math.hypot(a, b) / max(1.0, spread)


def _tones(counts: np.ndarray) -> tuple[float, float, float, float]:
    """Mean, standard deviation (0 to 1), and shares near black and near white, of a histogram of luma, (256,)."""
    shares = counts / counts.sum()
    mean = shares @ _LEVELS
    deviation = np.sqrt(shares @ (_LEVELS - mean) ** 2)
    return float(mean), float(deviation), float(shares[:CLIPPED].sum()), float(shares[-CLIPPED:].sum())

"""Blur, noise, colour cast, exposure: how a photograph went wrong."""

from __future__ import annotations

import numpy as np
import polars as pl
from PIL import Image

from paris_assets.signals.copies import greys, samples

CLIPPED = 3  # levels next to black and white that count as clipped
BLUR_SIDE = 256
NOISE_SIDE = 384
CAST_STEP = 8

_LEVELS = np.arange(256) / 255
_LINEAR = np.where(_LEVELS <= 0.04045, _LEVELS / 12.92, ((_LEVELS + 0.055) / 1.055) ** 2.4)
_TO_XYZ = np.array([[0.4124, 0.3576, 0.1805], [0.2126, 0.7152, 0.0722], [0.0193, 0.1192, 0.9505]])


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
        columns: dict[str, list[float | None]] = {name: [] for name in self.schema}
        for sample, grey in zip(samples(rgb), greys(rgb), strict=True):
            columns["blur"].append(laplacian_variance(grey))
            columns["noise"].append(noise_sigma(grey))
            columns["colour_cast"].append(colour_cast(sample))
            for name, value in zip(("exposure", "contrast", "shadows", "highlights"), tones(sample), strict=True):
                columns[name].append(value)
        return columns


def laplacian_variance(grey: np.ndarray) -> float | None:
    """Variance of the 4-neighbour Laplacian of (H, W) uint8 luma at a short side of 256 to 511 pixels."""
    factor = max(1, min(grey.shape) // BLUR_SIDE)
    if factor > 1:
        grey = np.asarray(Image.fromarray(grey).reduce(factor))
    if min(grey.shape) < 3:
        return None
    levels = grey.astype(np.int16)
    laplacian = levels[:-2, 1:-1] + levels[2:, 1:-1]
    laplacian += levels[1:-1, :-2]
    laplacian += levels[1:-1, 2:]
    laplacian -= 4 * levels[1:-1, 1:-1]
    return _variance(laplacian)


def noise_sigma(grey: np.ndarray) -> float | None:
    """Immerkaer's estimate of the noise's standard deviation, grey levels, from the centre of (H, W) uint8 luma."""
    top, left = (max(0, (side - NOISE_SIDE) // 2) for side in grey.shape)
    levels = grey[top : top + NOISE_SIDE, left : left + NOISE_SIDE].astype(np.int16)
    if min(levels.shape) < 3:
        return None
    rows = levels[:-2] + levels[2:]
    rows -= 2 * levels[1:-1]
    response = rows[:, :-2] + rows[:, 2:]
    response -= 2 * rows[:, 1:-1]
    return float(np.sqrt(np.pi / 2) / 6 * np.abs(response, out=response).sum(dtype=np.int64) / response.size)


def _variance(values: np.ndarray) -> float:
    """Variance of int16, from exact sums; a dot product would wake BLAS's threads in every thread of ours."""
    mean = values.sum(dtype=np.int64) / values.size
    return float(np.square(values, dtype=np.int32).sum(dtype=np.int64) / values.size - mean**2)


def colour_cast(rgb: np.ndarray) -> float:
    """Distance of the mean of (a, b) from grey over their spread, from every 8th pixel of a (h, w, 3) uint8 sample."""
    ab = lab(rgb[::CAST_STEP, ::CAST_STEP])[..., 1:].reshape(-1, 2)
    return float(np.linalg.norm(ab.mean(axis=0)) / max(1.0, np.sqrt(ab.var(axis=0).sum())))


def lab(rgb: np.ndarray) -> np.ndarray:
    """sRGB (..., 3) uint8 -> CIELAB (..., 3) float64, white point D65 (IEC 61966-2-1, CIE 15)."""
    xyz = _LINEAR[rgb] @ (_TO_XYZ / _TO_XYZ.sum(axis=1, keepdims=True)).T
    f = np.where(xyz > (6 / 29) ** 3, np.cbrt(xyz), xyz / (3 * (6 / 29) ** 2) + 4 / 29)
    x, y, z = f[..., 0], f[..., 1], f[..., 2]
    return np.stack([116 * y - 16, 500 * (x - y), 200 * (y - z)], axis=-1)


def tones(rgb: np.ndarray) -> tuple[float, float, float, float]:
    """Mean, standard deviation (0 to 1), and shares near black and near white, of the luma of (h, w, 3) uint8."""
    shares = np.array(Image.fromarray(rgb).convert("L").histogram(), np.float64)
    shares /= shares.sum()
    mean = shares @ _LEVELS
    deviation = np.sqrt(shares @ (_LEVELS - mean) ** 2)
    return float(mean), float(deviation), float(shares[:CLIPPED].sum()), float(shares[-CLIPPED:].sum())

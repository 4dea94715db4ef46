"""How colourful a picture is."""

from __future__ import annotations

import math

import numpy as np
import polars as pl

from paris_assets.signals import kernels
from paris_assets.signals.copies import samples

STEP = 2  # of the sample
SATURATED = 95  # percent
GREY = 2.0  # levels

_LEVELS = np.arange(256).clip(1)
_CB, _CR = 0.564, 0.713  # of blue - luma and red - luma (ITU-R BT.601)


class Colour:
    """Of every second pixel and row of the sample of 128 to 255 on the short side.

    - `saturation`: mean S of HSV, 0 to 1 (black has 0).
    - `saturated_share`: share of pixels whose S is above 0.95.
    - `chroma_deviation`: root of the summed variances of Cb and Cr (ITU-R BT.601), levels.
    - `greyscale`: whether that is below 2: a grey picture, or one in shades of one tint.
    """

    schema = {
        "saturation": pl.Float64,
        "saturated_share": pl.Float64,
        "chroma_deviation": pl.Float64,
        "greyscale": pl.Boolean,
    }

    def measure(self, rgb: list[np.ndarray]) -> dict[str, list[float] | list[bool]]:
        """See `Signal.measure`."""
        found = [colour(planes) for planes in samples(rgb)]
        return {
            "saturation": [saturation for saturation, _, _ in found],
            "saturated_share": [share for _, share, _ in found],
            "chroma_deviation": [deviation for _, _, deviation in found],
            "greyscale": [deviation < GREY for _, _, deviation in found],
        }


def colour(planes: np.ndarray) -> tuple[float, float, float]:
    """Saturation, share of saturated pixels and chroma deviation of R, G, B and luma, (4, h, w) uint8."""
    flat = planes[:, ::STEP, ::STEP].reshape(4, -1)
    sums, count = kernels.colour_sums(flat, SATURATED), flat.shape[1]
    ranges, (saturated, blue, red, blue_squares, red_squares) = sums[:256], sums[256:] / count
    variance = _CB**2 * (blue_squares - blue**2) + _CR**2 * (red_squares - red**2)
    return float((ranges / _LEVELS).sum() / count), float(saturated), math.sqrt(max(0.0, variance))

"""JPEG blocking: steps at the borders of the 8 x 8 grid."""

from __future__ import annotations

import numpy as np
import polars as pl

from paris_assets.signals import kernels
from paris_assets.signals.copies import greys

GRID = 8


class Blocking:
    """`blocking`: (b - o) / (b + o) averaged over both axes; about 0 without artefacts, towards 1 with them.

    b is the mean absolute difference of neighbouring luma across block borders (7|8, 15|16, ...), o elsewhere. Null for
    images of less than 9 pixels on a side. A grid that does not start at the corner (a cropped JPEG that was saved
    again) is not seen.
    """

    schema = {"blocking": pl.Float64}

    def measure(self, rgb: list[np.ndarray]) -> dict[str, list[float | None]]:
        """See `Signal.measure`."""
        return {"blocking": [blocking(grey) for grey in greys(rgb)]}


def blocking(grey: np.ndarray) -> float | None:
    """Blocking of (H, W) uint8 luma, -1 to 1; 0 for an image without any step, None for one without any border."""
    if min(grey.shape) <= GRID:
        return None
    return (_contrast(kernels.steps_down(grey)) + _contrast(kernels.steps_across(grey))) / 2


def _contrast(steps: np.ndarray) -> float:
    """(b - o) / (b + o) of the summed steps between neighbouring lines."""
    at_borders, total = int(steps[GRID - 1 :: GRID].sum()), int(steps.sum())
    borders = len(steps) // GRID
    border, other = at_borders / borders, (total - at_borders) / (len(steps) - borders)
    return (border - other) / (border + other) if total else 0.0

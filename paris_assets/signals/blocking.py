"""JPEG blocking: steps at the borders of the 8 x 8 grid."""

from __future__ import annotations

import numpy as np
import polars as pl

from paris_assets.compiled import compiled
from paris_assets.signals import kernels
from paris_assets.signals.copies import greys

GRID = 8
MIDDLE = 3  # of a block: the step from its line 3 to 4
STEEPEST = 0.05  # of the lines of each kind: edges of a frame, of a page


class Blocking:
    """`blocking`: (b - o) / (b + o) averaged over both axes; about 0 without artefacts, towards 1 with them.

    b is the mean absolute difference of neighbouring luma across block borders (7|8, 15|16, ...), o across the
    middles of blocks (3|4, 11|12, ...): what else repeats every 2 or 4 lines, as in enlarged pictures, is the same at
    both. Each without the steepest 5 % of its lines, so that the straight edge of a frame counts for neither. Null for
    images of less than 9 pixels on a side. A grid that does not start at the corner (a cropped JPEG that was saved
    again) is not seen.
    """

    schema = {"blocking": pl.Float64}

    def measure(self, rgb: list[np.ndarray]) -> dict[str, list[float | None]]:
        """See `Signal.measure`."""
        return {"blocking": [blocking(grey) for grey in greys(rgb)]}


def blocking(grey: np.ndarray) -> float | None:
    """Blocking of (H, W) uint8 luma, -1 to 1; 0 for an image without any step, None for one without any border."""
    return _blocking(grey) if min(grey.shape) > GRID else None


@compiled
def _blocking(grey: np.ndarray) -> float:
    down, across = kernels.steps_down(grey, MIDDLE, GRID // 2), kernels.steps_across(grey)[MIDDLE :: GRID // 2]
    return (_contrast(down) + _contrast(across)) / 2


@compiled
def _contrast(steps: np.ndarray) -> float:
    """(b - o) / (b + o) of the summed steps between lines, in turn across the middle and the border of a block."""
    border, other = _mean_but_steepest(steps[1::2]), _mean_but_steepest(steps[::2])
    return (border - other) / (border + other) if border + other else 0.0


@compiled
def _mean_but_steepest(steps: np.ndarray) -> float:
    kept = len(steps) - int(STEEPEST * len(steps))
    return np.sort(steps)[:kept].sum() / kept

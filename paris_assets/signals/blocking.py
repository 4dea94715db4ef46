"""JPEG blocking: steps at the borders of the 8 x 8 grid."""

from __future__ import annotations

import numpy as np
import polars as pl

from paris_assets.signals.copies import greys

GRID = 8
MAX_LINES = 384  # pixel lines across which steps are averaged; more change nothing but the time


class Blocking:
    """`blocking`: (b - o) / (b + o) averaged over both axes; about 0 without artefacts, towards 1 with them.

    b is the mean absolute difference of neighbouring luma across block borders (7|8, 15|16, ...), o elsewhere. Of each
    axis every n-th line is read, at most 384. Null for images of less than 9 pixels on a side. A grid that does not
    start at the corner (a cropped JPEG that was saved again) is not seen.
    """

    schema = {"blocking": pl.Float64}

    def measure(self, rgb: list[np.ndarray]) -> dict[str, list[float | None]]:
        """See `Signal.measure`."""
        return {"blocking": [blocking(grey) for grey in greys(rgb)]}


def blocking(grey: np.ndarray) -> float | None:
    """Blocking of (H, W) uint8 luma, -1 to 1; 0 for an image without any step, None for one without any border."""
    if min(grey.shape) <= GRID:
        return None
    rows, columns = (grey[:: -(-grey.shape[0] // MAX_LINES)], grey[:, :: -(-grey.shape[1] // MAX_LINES)])
    down = _steps(columns[:-1], columns[1:]).sum(axis=1, dtype=np.uint32)
    across = _steps(rows[:, :-1], rows[:, 1:]).sum(axis=0, dtype=np.uint32)
    return (_contrast(down) + _contrast(across)) / 2


def _steps(before: np.ndarray, after: np.ndarray) -> np.ndarray:
    """Absolute differences, within uint8: a plain difference would wrap."""
    return np.maximum(before, after) - np.minimum(before, after)


def _contrast(steps: np.ndarray) -> float:
    """(b - o) / (b + o) of the summed steps between neighbouring lines."""
    border = np.arange(len(steps)) % GRID == GRID - 1
    at_borders, elsewhere = float(steps[border].mean()), float(steps[~border].mean())
    return (at_borders - elsewhere) / (at_borders + elsewhere) if at_borders + elsewhere else 0.0

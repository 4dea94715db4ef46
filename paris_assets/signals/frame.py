"""Frames, white grounds and letterbox bars round a picture."""

from __future__ import annotations

import numpy as np
import polars as pl

from paris_assets.signals.copies import line_moments

BORDER = 0.02  # of a side's length: the strip that is looked at
FLAT = 2.0  # grey levels: deviation of luma within a line, and distance of its colour from that of the frame

Lines = np.ndarray  # (lines, 4) float64: mean R, G, B and deviation of luma of each row or column


class Frame:
    """How much of the picture's border is of one colour.

    - `flat_sides`: 0 to 4, how many sides have a strip of 2 % in which the luma of every line deviates by less than 2
      levels and which is of one colour; of sides with different colours the most that agree.
    - `frame_share`: share of the area that lies in lines like that, counted inwards from these sides.

    Lines are those of the sample of 128 to 255 lines on the short side. An object on white has 4 flat sides: they
    are a kind of picture, not a defect.
    """

    schema = {"flat_sides": pl.Int8, "frame_share": pl.Float64}

    def measure(self, rgb: list[np.ndarray]) -> dict[str, list[float]]:
        """See `Signal.measure`."""
        found = [frame(rows, columns) for rows, columns in line_moments(rgb)]
        return {"flat_sides": [sides for sides, _ in found], "frame_share": [share for _, share in found]}


def frame(rows: Lines, columns: Lines) -> tuple[int, float]:
    """`flat_sides` and `frame_share` of a picture."""
    sides = [rows, rows[::-1], columns, columns[::-1]]
    if all(lines[0, 3] >= FLAT for lines in sides):
        return 0, 0.0
    depths = [flat_depth(lines) for lines in sides]
    flat = [i for i, lines in enumerate(sides) if depths[i] >= max(1, int(BORDER * len(lines)))]
    alike = max(([j for j in flat if _same(sides[i][0], sides[j][0])] for i in flat), key=len, default=[])
    top, bottom, left, right = (depths[i] if i in alike else 0 for i in range(4))
    inner = max(0, len(rows) - top - bottom) * max(0, len(columns) - left - right)
    return len(alike), 1 - inner / (len(rows) * len(columns))


def flat_depth(lines: Lines) -> int:
    """How many lines from the first one on are flat and of its colour."""
    outside = np.flatnonzero(~(flat_lines(lines) & _same(lines, lines[0])))
    return int(outside[0]) if len(outside) else len(lines)


def flat_lines(lines: Lines, most: float = FLAT) -> np.ndarray:
    """(lines,) bool: whether the luma of each line deviates by less than so many levels."""
    return lines[:, 3] < most


def _same(lines: Lines, line: np.ndarray) -> np.ndarray:
    return np.abs(lines[..., :3] - line[:3]).max(axis=-1) < FLAT

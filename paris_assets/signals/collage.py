"""Several pictures in one."""

from __future__ import annotations

import numpy as np
import polars as pl

from paris_assets.signals.copies import line_moments
from paris_assets.signals.frame import Lines, flat_depth, flat_lines

FLAT = 4.0  # grey levels: a bar between pictures rings where a JPEG has its blocks across
TONES = 8.0  # grey levels that the lines of a bar differ by at most; JPEGs let colours of the pictures into it
BESIDE = 0.03  # of the side: the lines beside a bar that are looked at
WIDEST = 0.06  # of the side that a gutter divides: what is wider is a part of the picture
EDGE = 12.0  # grey levels: deviation of luma that one of the lines beside a gutter has at least
LEAST_PART = 0.1  # of the side: no picture of a collage is smaller

LUMA = np.array([0.299, 0.587, 0.114])  # ITU-R BT.601


class Collage:
    """`gutters`: how many bars of one tone go straight through the whole picture, from side to side.

    A bar's lines deviate by less than 4 levels of luma and differ by less than 8; it is at most 6 % of the side that it
    divides, at least 10 % of it away from the frame or edge, and between lines with content. Pictures that adjoin
    without a bar are not seen, nor bars that end within the picture.
    """

    schema = {"gutters": pl.Int16}

    def measure(self, rgb: list[np.ndarray]) -> dict[str, list[int]]:
        """See `Signal.measure`."""
        return {"gutters": [gutters(rows, columns) for rows, columns in line_moments(rgb)]}


def gutters(rows: Lines, columns: Lines) -> int:
    """Bars through a picture. What a frame adds to each line is left out, where there is one."""
    return _bars(rows) + _bars(columns)


def _bars(lines: Lines) -> int:
    least, level = max(4, round(LEAST_PART * len(lines))), flat_lines(lines, FLAT)
    if not level[least:-least].any():
        return 0
    first, last = flat_depth(lines), len(lines) - flat_depth(lines[::-1])
    flat = np.concatenate([[False], level, [False]]).astype(np.int8)
    starts, stops = np.flatnonzero(np.diff(flat) == 1), np.flatnonzero(np.diff(flat) == -1)
    runs = zip(starts.tolist(), stops.tolist(), strict=True)
    inside = [(start, stop) for start, stop in runs if start - first >= least and last - stop >= least]
    return sum(_is_bar(lines, start, stop) for start, stop in inside)


def _is_bar(lines: Lines, start: int, stop: int) -> bool:
    one_tone = float(np.ptp(lines[start:stop, :3] @ LUMA)) < TONES
    near = max(3, round(BESIDE * len(lines)))
    content = min(lines[start - near : start, 3].max(), lines[stop : stop + near, 3].max())
    return bool(one_tone and stop - start <= max(1, WIDEST * len(lines)) and content > EDGE)

"""The map of the page: which images it shows, where, and their pictures, which a reader points at."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import polars as pl

from paris_assets.pages.pictures import Pictures

WIDTH, HEIGHT, MARGIN = 1000, 640, 30
TILE, SPACING, TILES = 34, 37, 240  # pictures drawn on the map itself
POINTS = 2000
CAPTION = 160
PICTURE_BYTES = 2_200_000
"""Of all pictures of the map as they stand in the page, which with them is to stay below 5 MB."""
SIDES = ((400, 112), (1000, 80), (POINTS, 56))
"""Number of points up to which -> side of their pictures, pixels."""


@dataclass(frozen=True)
class Mapped:
    """The images of the map.

    Attributes:
        image_ids: (m), sorted.
        labels: (m,) int32, their clusters.
        places: (m, 2) in [0, 1].
    """

    image_ids: list[str]
    labels: np.ndarray
    places: np.ndarray


def chosen(assignments: pl.LazyFrame, sample_ids: Sequence[str], k: int) -> list[str]:
    """image_ids of the map, sorted: of each cluster as many as half of the points give it, however small it is, and the
    others as images come, so that large clusters show as such.

    Args:
        assignments: ``image_id``, ``cluster`` of the whole set.
        sample_ids: a uniform sample of all images.
        k: number of clusters.
    """
    quota = max(1, POINTS // (2 * k))
    first = pl.col("image_id").bottom_k_by("image_id", quota)  # ids are hashes: a uniform choice
    of_each = assignments.group_by("cluster").agg(first).explode("image_id").collect()
    found = dict.fromkeys(sorted(of_each["image_id"])[:POINTS])
    for name in sample_ids:
        if len(found) >= POINTS:
            break
        found.setdefault(name)
    return sorted(found)


def points(
    mapped: Mapped, caption: Callable[[str], str], pictures: Pictures, most_bytes: int = PICTURE_BYTES
) -> list[dict[str, Any]]:
    """Points of the map as ``x``, ``y``, ``cluster``, ``caption``, ``picture`` (a ``data:`` URI, or None where the
    bytes are used up) and ``drawn``: whether there is room for the picture on the map itself. Those drawn come last.

    Args:
        caption: image_id -> caption.
        most_bytes: of all pictures together; clusters take turns, so that none is without before the others.
    """
    spots = MARGIN + mapped.places * (np.array([WIDTH, HEIGHT]) - 2 * MARGIN)
    side = next((side for most, side in SIDES if len(spots) <= most), SIDES[-1][1])
    shown, left = dict[int, str](), most_bytes
    for row in _turns(mapped.labels):
        picture = pictures.small(mapped.image_ids[row], side)
        left -= len(picture)
        if left < 0:
            break
        shown[row] = picture
    drawn = _with_room(spots, sorted(shown))
    found = [
        {
            "x": round(float(spot[0]), 1),
            "y": round(float(spot[1]), 1),
            "cluster": int(mapped.labels[row]),
            "caption": _cut(caption(mapped.image_ids[row])),
            "picture": shown.get(row),
            "drawn": row in drawn,
        }
        for row, spot in enumerate(spots)
    ]
    return sorted(found, key=lambda point: point["drawn"])


def _turns(labels: np.ndarray) -> list[int]:
    """Rows, the first of every cluster before the second of any."""
    seen, turns = dict[int, int](), list[tuple[int, int, int]]()
    for row, label in enumerate(labels.tolist()):
        seen[label] = turn = seen.get(label, -1) + 1
        turns.append((turn, label, row))
    return [row for _, _, row in sorted(turns)]


def _with_room(spots: np.ndarray, rows: Sequence[int]) -> set[int]:
    """Those of the rows whose pictures do not lie on each other, first come, first served."""
    taken = np.empty((0, 2))
    found = set[int]()
    for row in rows:
        if len(found) >= TILES:
            break
        if not len(taken) or np.abs(taken - spots[row]).max(axis=1).min() >= SPACING:
            taken = np.vstack([taken, spots[row]])
            found.add(row)
    return found


def _cut(caption: str) -> str:
    return caption if len(caption) <= CAPTION else caption[: CAPTION - 1] + "…"

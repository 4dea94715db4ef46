"""Where the faces of a source's images are, and which of them can be blurred."""

from __future__ import annotations

import hashlib
import json
import math
from collections.abc import Sequence

import polars as pl

from paris_assets.images.blur import Box
from paris_assets.ingest.fetched import Fetched

NO_BOXES, BAD_BOXES = "no_face_boxes", "bad_face_boxes"
"""Reasons of rows whose faces cannot be blurred: nothing says where they are, or what says so is no box."""
_OUTSIDE = 1.0  # of width or height: how far detectors' boxes reach over the edges at most; pixels are far larger


def face_problem(boxes: Sequence[Sequence[float | None] | None] | None) -> str | None:
    """Why the faces of a row cannot be blurred, or None. Without boxes (an empty list) there are none to blur.

    Args:
        boxes: `face_bboxes` of the row.
    """
    if boxes is None:
        return NO_BOXES
    return None if all(map(_is_box, boxes)) else BAD_BOXES


def _is_box(box: Sequence[float | None] | None) -> bool:
    """Whether these are left, top, right and bottom as shares of the sides, some of it within the picture."""
    if box is None or len(box) != 4 or any(side is None or not math.isfinite(side) for side in box):
        return False
    x0, y0, x1, y1 = (float(side) for side in box if side is not None)
    near = all(-_OUTSIDE <= side <= 1 + _OUTSIDE for side in (x0, y0, x1, y1))
    return near and x0 < x1 and y0 < y1 and x0 < 1 and y0 < 1 and x1 > 0 and y1 > 0


def unblurrable(rows: pl.DataFrame) -> list[Fetched]:
    """The rows whose faces cannot be blurred, failed without a request; those that have a `problem` are left out.

    Args:
        rows: of `source_rows`.
    """
    asked = rows.filter(pl.col("problem").is_null()).select("source_row", "face_bboxes")
    problems = ((source_row, face_problem(boxes)) for source_row, boxes in asked.iter_rows())
    return [Fetched(source_row, "failed", reason, None, 0, None) for source_row, reason in problems if reason]


def face_boxes(rows: pl.DataFrame) -> dict[int, frozenset[Box]]:
    """source_row -> its faces, for the rows that have some and can be blurred.

    Args:
        rows: of `source_rows`.
    """
    marked = rows.filter(pl.col("face_bboxes").list.len() > 0).select("source_row", "face_bboxes")
    known = ((source_row, boxes) for source_row, boxes in marked.iter_rows() if face_problem(boxes) is None)
    return {source_row: frozenset((x0, y0, x1, y1) for x0, y0, x1, y1 in boxes) for source_row, boxes in known}


def blurred_as(rows: pl.DataFrame, ledger: pl.DataFrame) -> str:
    """A hash of the faces of a shard and of what rows of one image come to together: while it is the same, and code and
    settings are, the picture that is stored of an image_id is the same, whatever rows have arrived since.

    Args:
        rows: of `source_rows`, all of the shard.
        ledger: the shard's `raw_images`.
    """
    faces = rows.select("source_row", "face_bboxes").sort("source_row")
    stored = ledger.filter(pl.col("faces_blurred") > 0).join(faces, on="source_row")
    several = stored.group_by("image_id").agg(pl.col("face_bboxes").n_unique(), pl.col("stored_sha256").first())
    joined = several.filter(pl.col("face_bboxes") > 1)["stored_sha256"].sort().to_list()
    return hashlib.sha256(json.dumps([faces["face_bboxes"].to_list(), joined]).encode()).hexdigest()

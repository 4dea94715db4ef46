"""Where faces are, as lists of images say it: nested lists in Parquet and JSON, JSON in the cells of text tables."""

from __future__ import annotations

import json
from collections.abc import Sequence
from typing import Any

import polars as pl
import pyarrow as pa

from paris_assets.ingest.schema import SOURCE_ROWS

COLUMN = "face_bboxes"
KIND = SOURCE_ROWS.polars()[COLUMN]
_ARROW = pa.list_(pa.list_(pa.float64()))
_UNREADABLE: list[list[float | None]] = [[]]  # a face that nobody can find: whoever blurs faces refuses the image


def boxes(values: pl.Series) -> pl.Series:
    """`face_bboxes` of a table, of any type -> that of `source_rows`.

    Empty cells are null, which says nothing of faces; an empty list says that there are none. A value that cannot be
    read is one face without numbers.
    """
    if values.dtype == pl.Null:
        return values.cast(KIND)
    inner = values.dtype
    depth = 0
    while isinstance(inner, pl.List | pl.Array):
        inner, depth = inner.inner, depth + 1
    if depth == 2 and inner.is_numeric():  # type: ignore[union-attr]
        return values.cast(KIND)
    return pl.Series(pa.array([_read(value) for value in values.to_list()], _ARROW)).cast(KIND)


def _read(value: Any) -> list[list[float | None]] | None:
    if value is None or value != value or (isinstance(value, str) and not value.strip()):  # NaN, too
        return None
    try:
        found = json.loads(value) if isinstance(value, str) else value
    except ValueError:
        return _UNREADABLE
    if found is None:
        return None
    return _faces(found)


def _faces(found: Any) -> list[list[float | None]]:
    if not isinstance(found, Sequence) or isinstance(found, str):
        return _UNREADABLE
    faces = [_numbers(face) for face in found]
    return [face for face in faces if face is not None] if None not in faces else _UNREADABLE


def _numbers(face: Any) -> list[float | None] | None:
    if not isinstance(face, Sequence) or isinstance(face, str):
        return None
    if not all(isinstance(side, int | float) and not isinstance(side, bool) for side in face):
        return None
    try:
        return [float(side) for side in face]
    except OverflowError:
        return None

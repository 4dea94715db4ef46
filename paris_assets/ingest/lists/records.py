"""Rows that are mappings with keys of their own (JSON, and what describes an image) -> our columns."""

from __future__ import annotations

import json
from collections.abc import Iterable, Mapping, Sequence
from math import isfinite
from typing import Any

import polars as pl
import pyarrow as pa

from paris_assets.ingest.lists import face_boxes
from paris_assets.ingest.lists.column_names import ALIASES, IMAGE
from paris_assets.ingest.lists.columns import (
    BETWEEN_TAGS,
    TEXTS,
    arrow_series,
    find_columns,
    names_of,
    normalise,
    texts_left_out,
)
from paris_assets.ingest.lists.texts import is_text, row_texts


def check_records(
    records: Iterable[Mapping[str, Any]], overrides: Mapping[str, str], where: str, needs_image: bool = True
) -> None:
    """`find_columns` for the first rows of a source whose rows are mappings with keys of their own (JSON)."""
    names = dict.fromkeys(name for record in records for name in record)
    find_columns(dict.fromkeys(names, pl.String()), overrides, where, needs_image)


def from_records(
    records: Sequence[Mapping[str, Any]], overrides: Mapping[str, str], first_source_row: int
) -> pl.DataFrame:
    """`normalise` for rows that are mappings with keys of their own (JSON).

    Each row is read by its own keys, so that it does not matter which rows share its shard; a row without any of ours
    is a row of nulls. `problem` is null: whoever knows whether there is an image says so.
    """
    present = {name for record in records for name in record}
    columns = {}
    for ours in ALIASES:
        if ours != IMAGE and (names := names_of(ours, present, overrides)):
            values = ([record[name] for name in names if name in record] for record in records)
            read = {"url": _address, "text": _row_texts, "tags": _tags, face_boxes.COLUMN: _as_json}.get(ours, _cell)
            columns[ours] = arrow_series([read(row) for row in values], TEXTS if ours == "text" else pa.string())
    return normalise(pl.DataFrame(columns), first_source_row, len(records))


def unused_texts(records: Sequence[Mapping[str, Any]], overrides: Mapping[str, str]) -> list[str]:
    """`texts_left_out` for rows that are mappings with keys of their own."""
    names = {name for record in records for name in record}
    return texts_left_out({name: [record.get(name) for record in records] for name in names}, overrides)


def _cell(values: Sequence[Any]) -> str | None:
    """The first value as text that reads back as the same value; null for what is no text or number."""
    value = values[0] if values else None
    if isinstance(value, str):
        return value if is_text(value) else None
    return repr(value) if isinstance(value, int | float) else None


def _tags(values: Sequence[Any]) -> str | None:
    """The first value, where it is a list the texts in it, one a line."""
    if not values or not isinstance(values[0], list | tuple):
        return _cell(values)
    return BETWEEN_TAGS.join(tag for tag in values[0] if isinstance(tag, str) and is_text(tag))


def _as_json(values: Sequence[Any]) -> str | None:
    """The first value as JSON, in which text tables hold lists; null where there is none."""
    value = values[0] if values else None
    return value if value is None or (isinstance(value, str) and is_text(value)) else json.dumps(value, default=str)


def _address(values: Sequence[Any]) -> str | None:
    """The first value that is not blank; without one, the first that is a text."""
    first = _cell(values)
    if len(values) < 2 or (first or "").strip():
        return first
    texts = [first, *(_cell([value]) for value in values[1:])]
    return next((text for text in texts if text and text.strip()), first)


def _row_texts(values: Sequence[Any]) -> list[str]:
    known = [None if isinstance(value, float) and not isfinite(value) else value for value in values]
    return row_texts([repr(value) if isinstance(value, int | float) else value for value in known])

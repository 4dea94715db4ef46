"""Columns of arrays: of one shape as fixed-size lists, or of several as bytes with height and width beside them."""

from __future__ import annotations

from collections.abc import Container, Mapping, Sequence

import numpy as np
import polars as pl


def array_columns(name: str, known: Container[str]) -> list[str]:
    """The columns that arrays are made from: the one of that name, and their height and width where it holds bytes.

    Args:
        known: all columns of the table.
    """
    return [column for column in (name, f"{name}_height", f"{name}_width") if column in known]


def ragged_schema(name: str) -> dict[str, pl.DataType]:
    """Columns of arrays (channels, height, width) float16 that differ in shape."""
    return {name: pl.Binary(), f"{name}_height": pl.Int32(), f"{name}_width": pl.Int32()}


def ragged(name: str, arrays: Sequence[np.ndarray | None]) -> dict[str, pl.Series]:
    """The columns of ``ragged_schema`` for (channels, height, width) float16 arrays, null where there is none."""
    values: Mapping[str, list[bytes | int | None]] = {
        name: [None if array is None else np.ascontiguousarray(array, "<f2").tobytes() for array in arrays],
        f"{name}_height": [None if array is None else array.shape[1] for array in arrays],
        f"{name}_width": [None if array is None else array.shape[2] for array in arrays],
    }
    return {column: pl.Series(column, values[column], kind) for column, kind in ragged_schema(name).items()}


def arrays_of(frame: pl.DataFrame, name: str) -> list[np.ndarray | None]:
    """The arrays of a column, whichever way it holds them; None where there is none.

    Args:
        frame: holds ``array_columns`` of it.
    """
    column = frame[name]
    if column.dtype != pl.Binary:
        arrays = iter(column.drop_nulls().to_numpy())
        return [next(arrays) if there else None for there in column.is_not_null()]
    rows = zip(*(frame[part] for part in ragged_schema(name)), strict=True)
    return [
        None if values is None else np.frombuffer(values, "<f2").reshape(-1, height, width)
        for values, height, width in rows
    ]

"""Vectors of the rows of a shard, from files beside the table or from its columns."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from contextlib import ExitStack
from typing import IO, Any

import numpy as np
import polars as pl
import pyarrow as pa
import pyarrow.parquet as pq

from paris_assets.config import Source
from paris_assets.ingest.files.names import COMPRESSIONS, PARQUET, TAR, kind_of, stem_of
from paris_assets.ingest.files.places import Place, locate
from paris_assets.ingest.lists import parquet_tables
from paris_assets.ingest.lists.columns import SourceError
from paris_assets.ingest.vectors import npy
from paris_assets.settings.pool_rows import PoolVectors
from paris_assets.storage.location import Location

BATCH_ROWS = 4096
Blocks = Iterator[np.ndarray]


def stored_vectors(
    source: Source, entry: Mapping[str, Any], settings: PoolVectors, root: Location
) -> dict[str, Blocks]:
    """Column of `pool_vectors` -> the vectors of a shard's rows, in blocks of rows, as the source holds them.

    Args:
        entry: the shard's row of the registry.
        root: where its list was put.

    Raises:
        SourceError: no such file, array or column, another number of rows than the table has, or a source that is no
            table; names both files.
    """
    place, file = locate(source.path), entry["file"]
    if entry["members"] is not None or kind_of(file) == TAR:
        held = "a tar" if entry["members"] is None else "a folder of images"
        raise SourceError(
            f"{place.base}/{file} is {held}: pool.vectors.origin {settings.origin!r} is of tables; `encoder` computes "
            "vectors from texts, `none` does without"
        )
    if settings.origin == "columns":
        return {ours: _column(place, entry, column) for ours, column in settings.keys.items()}
    rows = _table_rows(place, entry, root)
    return {ours: _array(place, entry, settings.origin, key, rows) for ours, key in settings.keys.items()}


def _table_rows(place: Place, entry: Mapping[str, Any], root: Location) -> int:
    """Rows of the whole table that the shard is a part of."""
    if entry["list"] is not None:
        with root.open(entry["list"]) as handle:
            return parquet_tables.count_rows(handle)
    with place.open(entry["file"]) as handle:
        return parquet_tables.count_rows(handle)


def file_beside(file: str, origin: str, key: str) -> str:
    """The file with the vectors of a table: `a/STEM.npz`, or `a/STEM.KEY.npy`."""
    stem = stem_of(file)
    if file.rpartition(".")[2].lower() in COMPRESSIONS:
        stem = stem_of(stem)
    return f"{stem}.npz" if origin == "npz" else f"{stem}.{key}.npy"


def _array(place: Place, entry: Mapping[str, Any], origin: str, key: str, rows: int) -> Blocks:
    """The shard's rows of an array beside its table; the file is open while they are read."""
    name = file_beside(entry["file"], origin, key)
    table, where = f"{place.base}/{entry['file']}", f"{place.base}/{name}"
    if not place.fs.exists(where):
        raise SourceError(
            f"{where} is not there, and pool.vectors reads the vectors of {table} from it: put it beside the table, or "
            "say in pool.vectors.origin where they are (`none`: do without)"
        )
    with ExitStack() as stack:
        handle: IO[bytes] = stack.enter_context(place.open(name))
        array = npy.of_npz(handle, key, where) if origin == "npz" else npy.opened(handle, where)
        if array.rows != rows:
            raise SourceError(
                f"{where} has {array.rows} rows of {key}, and {table} has {rows}: row i of one belongs to row i of the "
                "other; get the two that belong together"
            )
        yield from array.read(entry["first_row"], entry["rows"], where)


def _column(place: Place, entry: Mapping[str, Any], column: str) -> Blocks:
    """The shard's rows of a column of lists or arrays; a row without a list is a row of zeros."""
    file, where = entry["file"], f"{place.base}/{entry['file']}"
    if kind_of(file) != PARQUET:
        raise SourceError(f"{where}: only Parquet holds vectors in columns; see pool.vectors.origin")
    with place.open(file) as handle:
        table = pq.ParquetFile(handle)
        names = table.schema_arrow.names
        if column not in names:
            raise SourceError(f"{where} has no column {column!r} (pool.vectors), but {', '.join(names)}")
        batches = [each.column(0) for each in parquet_tables.batches(table, entry, [column], BATCH_ROWS)]
        values = pl.from_arrow(pa.chunked_array(batches, table.schema_arrow.field(column).type))
    assert isinstance(values, pl.Series)
    yield _matrix(values, f"{where}, column {column!r}")


def _matrix(values: pl.Series, where: str) -> np.ndarray:
    """(rows, dim) of a column.

    Raises:
        SourceError: no lists of numbers, or lists of several lengths.
    """
    if isinstance(values.dtype, pl.Array):
        values = values.arr.to_list()
    kind = values.dtype
    if not isinstance(kind, pl.List) or not kind.inner.is_float():
        raise SourceError(f"{where} holds {kind}: lists of floats are needed")
    lengths = values.list.len().drop_nulls().unique().sort().to_list()
    if len(lengths) != 1 or not lengths[0]:
        said = ", ".join(map(str, lengths[:5])) or "no"
        raise SourceError(f"{where} holds lists of {said} numbers: one length is needed")
    missing = values.is_null().to_numpy()
    flat = values.drop_nulls().explode().to_numpy().reshape(-1, lengths[0])
    found = np.zeros((len(values), lengths[0]), flat.dtype)
    found[~missing] = flat
    return found

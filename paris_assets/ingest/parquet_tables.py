"""Parquet sources: rows counted from the footer, read one row group at a time, with or without embedded images."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import IO, Any

import polars as pl
import pyarrow as pa
import pyarrow.parquet as pq

from paris_assets.ingest.columns import SourceError, find_columns, normalise
from paris_assets.ingest.fetch import Fetched

BATCH_ROWS = 65_536
BATCH_IMAGES = 64


def count_rows(handle: IO[bytes]) -> int:
    """Number of rows, from the footer."""
    return pq.ParquetFile(handle).metadata.num_rows


def cut(handle: IO[bytes], where: str, rows_per_shard: int, overrides: Mapping[str, str]) -> list[tuple[int, int, int]]:
    """(first row, rows, 0) of each part of a file; reads its footer only.

    Raises:
        SourceError: neither a url nor image bytes among the columns, or two columns of one name.
    """
    file = pq.ParquetFile(handle)
    find_columns(_schema(file, where), overrides, where)
    total = file.metadata.num_rows
    return [(first, min(rows_per_shard, total - first), 0) for first in range(0, total, rows_per_shard)]


def read(handle: IO[bytes], where: str, entry: Mapping[str, Any], overrides: Mapping[str, str]) -> pl.DataFrame:
    """The rows of one part, normalised; `locator` is `file#row` where the table embeds the image.

    Raises:
        SourceError: the file does not hold the rows that were registered.
    """
    file = pq.ParquetFile(handle)
    if file.metadata.num_rows < entry["first_row"] + entry["rows"]:
        raise SourceError(
            f"{where}: rows {entry['first_row']} to {entry['first_row'] + entry['rows']} were registered, and it has "
            f"{file.metadata.num_rows}"
        )
    found = find_columns(_schema(file, where), overrides, where)
    metadata = {ours: name for ours, name in found.items() if ours != "image"}
    parts = list(batches(file, entry, sorted(set(metadata.values())), BATCH_ROWS))
    table = _frame(_readable(pa.Table.from_batches(parts))) if metadata else pl.DataFrame()
    rows = normalise(table, metadata, entry["source_row"], entry["rows"])
    if "image" not in found:
        return rows
    number = pl.col("source_row") - entry["source_row"] + entry["first_row"]
    return rows.with_columns(locator=pl.concat_str(pl.lit(f"{entry['file']}#"), number))


def read_images(
    handle: IO[bytes], where: str, entry: Mapping[str, Any], overrides: Mapping[str, str]
) -> Iterator[Fetched]:
    """The embedded images of one part, in order; the column of one row group is in memory at a time."""
    file = pq.ParquetFile(handle)
    name = find_columns(_schema(file, where), overrides, where)["image"]
    source_row = entry["source_row"]
    for batch in batches(file, entry, [name], BATCH_IMAGES):
        column = _frame(pa.Table.from_batches([batch]))[name]
        for body in column.struct.field("bytes") if column.dtype == pl.Struct else column:
            yield Fetched.local(source_row, body)
            source_row += 1


def _schema(file: pq.ParquetFile, where: str) -> Mapping[str, pl.DataType]:
    schema = file.schema_arrow
    twice = next((name for name in schema.names if schema.names.count(name) > 1), None)
    if twice is not None:
        raise SourceError(f"{where} has more than one column {twice!r}: write it with one of that name")
    fields = [field.with_type(_known(field.type)) for field in schema]
    return _frame(pa.schema(fields).empty_table()).schema


def _known(kind: pa.DataType) -> pa.DataType:
    """The type that stands for one that polars panics on: text for a long decimal, any list for what holds one."""
    if "decimal256" not in str(kind):
        return kind
    return pa.list_(pa.null()) if pa.types.is_nested(kind) else pa.large_string()


def _frame(table: pa.Table) -> pl.DataFrame:
    frame = pl.from_arrow(table)
    assert isinstance(frame, pl.DataFrame)
    return frame


def _readable(table: pa.Table) -> pa.Table:
    """Text with bytes that are no UTF-8, as bytes, and long decimals as text: polars breaks on them."""
    for index, column in enumerate(table.columns):
        if pa.types.is_decimal256(column.type):
            table = table.set_column(index, table.field(index).name, column.cast(pa.large_string()))
            continue
        values = pa.chunked_array(
            [chunk.dictionary_decode() if pa.types.is_dictionary(column.type) else chunk for chunk in column.chunks]
        )
        try:
            values.validate(full=True)
        except pa.ArrowInvalid:
            table = table.set_column(index, table.field(index).name, values.cast(pa.large_binary()))
    return table


def batches(
    file: pq.ParquetFile, entry: Mapping[str, Any], columns: list[str], batch_rows: int
) -> Iterator[pa.RecordBatch]:
    """Rows [first_row, first_row + rows) of the file, opening only the row groups that hold them."""
    first, end, position = entry["first_row"], entry["first_row"] + entry["rows"], 0
    for group in range(file.num_row_groups):
        after = position + file.metadata.row_group(group).num_rows
        if after > first and position < end:
            for batch in file.iter_batches(batch_rows, row_groups=[group], columns=columns):
                low, high = max(first - position, 0), min(end - position, batch.num_rows)
                if low < high:
                    yield batch.slice(low, high - low)
                position += batch.num_rows
        position = after

"""Parquet sources: rows counted from the footer, read one row group at a time, with or without embedded images."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import IO, Any

import polars as pl
import pyarrow as pa
import pyarrow.parquet as pq

from paris_assets.ingest.columns import find_columns, normalise
from paris_assets.ingest.fetch import Fetched

BATCH_ROWS = 65_536
BATCH_IMAGES = 64


def count_rows(handle: IO[bytes]) -> int:
    """Number of rows, from the footer."""
    return pq.ParquetFile(handle).metadata.num_rows


def read(handle: IO[bytes], where: str, entry: Mapping[str, Any], overrides: Mapping[str, str]) -> pl.DataFrame:
    """The rows of one part, normalised; `locator` is `file#row` where the table embeds the image."""
    file = pq.ParquetFile(handle)
    found = find_columns(_schema(file), overrides, where)
    metadata = {ours: name for ours, name in found.items() if ours != "image"}
    batches = list(_batches(file, entry, sorted(set(metadata.values())), BATCH_ROWS))
    table = _frame(pa.Table.from_batches(batches)) if metadata else pl.DataFrame()
    rows = normalise(table, metadata, entry["source_row"], entry["rows"])
    if "image" not in found:
        return rows
    number = pl.col("source_row") - entry["source_row"] + entry["first_row"]
    return rows.with_columns(locator=pl.concat_str(pl.lit(f"{entry['file']}#"), number))


def read_images(
    handle: IO[bytes], where: str, entry: Mapping[str, Any], overrides: Mapping[str, str]
) -> Iterator[Fetched]:
    """The embedded images of one part, in order, a few in memory at a time."""
    file = pq.ParquetFile(handle)
    name = find_columns(_schema(file), overrides, where)["image"]
    source_row = entry["source_row"]
    for batch in _batches(file, entry, [name], BATCH_IMAGES):
        column = _frame(pa.Table.from_batches([batch]))[name]
        for body in column.struct.field("bytes") if column.dtype == pl.Struct else column:
            yield Fetched.local(source_row, body)
            source_row += 1


def _schema(file: pq.ParquetFile) -> Mapping[str, pl.DataType]:
    return _frame(file.schema_arrow.empty_table()).schema


def _frame(table: pa.Table) -> pl.DataFrame:
    frame = pl.from_arrow(table)
    assert isinstance(frame, pl.DataFrame)
    return frame


def _batches(
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

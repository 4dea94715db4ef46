"""Parquet sources: rows counted from the footer, read one row group at a time, with or without embedded images."""

from __future__ import annotations

from collections.abc import Container, Iterator, Mapping
from typing import IO, Any

import numpy as np
import polars as pl
import pyarrow as pa
import pyarrow.parquet as pq

from paris_assets.ingest.fetched import Fetched
from paris_assets.ingest.lists.column_names import IMAGE
from paris_assets.ingest.lists.columns import (
    NO_IMAGE,
    UNREADABLE_ROW,
    SourceError,
    find_columns,
    normalise,
    our_columns,
    texts_left_out,
    with_problems,
)
from paris_assets.ingest.lists.encodings import AUTO
from paris_assets.ingest.lists.texts import leaves

BATCH_ROWS = 65_536
BATCH_IMAGES = 64
BATCH_RECORDS = 1024
READ_BYTES = 1 << 20
PROBE_ROWS = 100
_NO_TEXT = object()


def count_rows(handle: IO[bytes]) -> int:
    """Number of rows, from the footer."""
    return pq.ParquetFile(handle).metadata.num_rows


def names(handle: IO[bytes]) -> list[str]:
    """Names of the columns, from the footer."""
    return pq.ParquetFile(handle).schema_arrow.names


def columns(handle: IO[bytes], where: str, overrides: Mapping[str, str]) -> dict[str, list[str]]:
    """Our column -> the table's, from the footer.

    Raises:
        SourceError: neither a url nor image bytes among the columns, or two columns of one name.
    """
    return find_columns(_schema(pq.ParquetFile(handle), where), overrides, where)


def cut(handle: IO[bytes], where: str, rows_per_shard: int, overrides: Mapping[str, str]) -> list[tuple[int, int]]:
    """(first row, rows) of each part of a file; reads its footer only.

    Raises:
        SourceError: neither a url nor image bytes among the columns, or two columns of one name.
    """
    file = pq.ParquetFile(handle)
    find_columns(_schema(file, where), overrides, where)
    total = file.metadata.num_rows
    return [(first, min(rows_per_shard, total - first)) for first in range(0, total, rows_per_shard)]


def read(
    handle: IO[bytes], where: str, entry: Mapping[str, Any], overrides: Mapping[str, str], encoding: str = AUTO
) -> pl.DataFrame:
    """The rows of one part, normalised; `locator` is `file#row` where the table embeds images.

    Without such a column `problem` says which rows cannot be fetched; with one, only the images themselves tell which
    are there (`read_images`). A row whose url or texts are no text is `unreadable_row`.

    Args:
        encoding: `source.encoding` of the profile: of texts that are stored as bytes.

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
    wanted = sorted({name for ours, names in found.items() if ours != IMAGE for name in names})
    unreadable = np.zeros(entry["rows"], bool)
    table = pl.DataFrame()
    if wanted:
        table = _frame(_readable(pa.Table.from_batches(list(batches(file, entry, wanted, BATCH_ROWS)))))
        needed = {*found.get("url", ()), *found.get("text", ())}
        table = _decoded(table, needed, "utf-8" if encoding == AUTO else encoding, unreadable)
    rows = normalise(our_columns(table, found), entry["source_row"], entry["rows"])
    if IMAGE not in found:
        return with_problems(rows, unreadable.tolist())
    number = pl.col("source_row") - entry["source_row"] + entry["first_row"]
    return rows.with_columns(
        locator=pl.concat_str(pl.lit(f"{entry['file']}#"), number),
        problem=pl.when(pl.Series(unreadable)).then(pl.lit(UNREADABLE_ROW)),
    )


def read_images(
    handle: IO[bytes], where: str, entry: Mapping[str, Any], overrides: Mapping[str, str]
) -> Iterator[Fetched]:
    """The embedded images of one part, in order; of a row group, however large, a few pages are in memory at a time.

    A row without bytes is `no_image`, also where it names a file: a stranger's list opens no files here.
    """
    file = pq.ParquetFile(handle, buffer_size=READ_BYTES, pre_buffer=False)
    name = find_columns(_schema(file, where), overrides, where)[IMAGE][0]
    source_row = entry["source_row"]
    for batch in batches(file, entry, [name], BATCH_IMAGES):
        column = _frame(pa.Table.from_batches([batch]))[name]
        for body in column.struct.field("bytes") if column.dtype == pl.Struct else column:
            yield Fetched.local(source_row, body, NO_IMAGE)
            source_row += 1


def left_out(handle: IO[bytes], where: str, entry: Mapping[str, Any], overrides: Mapping[str, str]) -> list[str]:
    """Columns of a part's first rows that nothing is made of, and whose values look like captions."""
    file = pq.ParquetFile(handle)
    schema = _schema(file, where)
    texts = [name for name, kind in schema.items() if pl.String in leaves(kind)]
    probe = {**entry, "rows": min(entry["rows"], PROBE_ROWS)}
    if not texts or not probe["rows"]:
        return []
    values = pa.Table.from_batches(list(batches(file, probe, texts, PROBE_ROWS)))
    columns = {name: _frame(_readable(values.select([name])))[name].to_list() for name in texts}
    return texts_left_out(columns, overrides)


def records(handle: IO[bytes], where: str, encoding: str = AUTO) -> Iterator[dict[str, Any] | None]:
    """The rows of a whole file without images, as mappings; None for one with a text that is none.

    Args:
        encoding: `source.encoding` of the profile: of texts that are stored as bytes.

    Raises:
        SourceError: two columns of one name.
    """
    file, codec = pq.ParquetFile(handle), "utf-8" if encoding == AUTO else encoding
    schema = _schema(file, where)
    texts = {name for name, kind in schema.items() if pl.Binary not in leaves(kind)}
    for batch in file.iter_batches(BATCH_RECORDS):
        frame = _frame(_readable(pa.Table.from_batches([batch])))
        for row in frame.iter_rows(named=True):
            values = {name: _text(value, codec) for name, value in row.items()}
            lost = [name for name, value in values.items() if value is _NO_TEXT]
            yield None if texts.intersection(lost) else values | dict.fromkeys(lost)


def holds_images(handle: IO[bytes], where: str) -> bool:
    """Whether a table embeds images; reads its footer only."""
    return IMAGE in find_columns(_schema(pq.ParquetFile(handle), where), {}, where, needs_image=False)


def _decoded(table: pl.DataFrame, needed: Container[str], codec: str, unreadable: np.ndarray) -> pl.DataFrame:
    """Bytes as text; those that are none are null, and mark their row where it needs them."""
    for name, kind in table.schema.items():
        if pl.Binary in leaves(kind):
            texts = [_text(value, codec) for value in table[name].to_list()]
            if name in needed:
                unreadable |= np.array([text is _NO_TEXT for text in texts])
            values = [None if text is _NO_TEXT else text for text in texts]
            table = table.with_columns(pl.Series(name, values, dtype=pl.String if kind == pl.Binary else None))
    return table


def _text(value: Any, codec: str) -> Any:
    """A value with the bytes in it as text; `_NO_TEXT` if some are none."""
    try:
        return _with_texts(value, codec)
    except UnicodeDecodeError:
        return _NO_TEXT


def _with_texts(value: Any, codec: str) -> Any:
    if isinstance(value, bytes):
        return value.decode(codec)
    if isinstance(value, Mapping):
        return {name: _with_texts(held, codec) for name, held in value.items()}
    return [_with_texts(held, codec) for held in value] if isinstance(value, list) else value


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
            table = table.set_column(index, table.field(index).name, values.cast(_as_bytes(values.type)))
    return table


def _as_bytes(kind: pa.DataType) -> pa.DataType:
    """A type with bytes in the place of texts."""
    if pa.types.is_struct(kind):
        return pa.struct([field.with_type(_as_bytes(field.type)) for field in kind])
    if pa.types.is_list(kind) or pa.types.is_large_list(kind):
        return pa.large_list(_as_bytes(kind.value_type))
    is_text = pa.types.is_string(kind) or pa.types.is_large_string(kind) or pa.types.is_string_view(kind)
    return pa.large_binary() if is_text else kind


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

"""Parquet tables written row group by row group, with a content hash and a commit record in the footer."""

from __future__ import annotations

import hashlib
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
import polars as pl
import pyarrow as pa
import pyarrow.parquet as pq

from paris_assets.storage.checksum import seal

Chunk = pl.DataFrame | pa.Table
GROUP_BYTES = 32 << 20
GROUP_ROWS = 1 << 16


class Written(NamedTuple):
    """What a table holds: rows, a hash of them and of the files beside them, and hashes of its slices by key."""

    rows: int
    content: str
    slices: dict[str, str]


class TableWriter:
    """Writes chunks of any size as row groups of one fixed size, hashing what it writes.

    Row groups are cut by the schema and, where rows hold bytes, by their sizes, so what is written does not depend on
    how the rows arrived. Fixed-size arrays and bytes (embeddings, latents) are stored uncompressed and without
    statistics; other columns use zstd.
    """

    def __init__(self, path: Path, volatile: tuple[str, ...] = (), slice_by: str | None = None) -> None:
        self.rows = 0
        self._path, self._volatile = path, volatile
        self._slices = _Slices(path.with_name(f"{path.name}.slices"), slice_by) if slice_by else None
        self._writer: pq.ParquetWriter | None = None
        self._schema: pa.Schema | None = None
        self._pending: list[pa.Table] = []
        self._hash = hashlib.sha256()

    def write(self, chunk: Chunk) -> None:
        """Add rows; every chunk must have the columns and types of the first."""
        table = chunk.to_arrow(compat_level=pl.CompatLevel.oldest()) if isinstance(chunk, pl.DataFrame) else chunk
        if self._schema is None:
            self._schema = schema = table.schema.remove_metadata()
            self._group_rows = group_rows(schema)
            self._binary = [field.name for field in schema if _is_binary(field.type)]
            self._writer = _open_writer(self._path, schema)
            self._hash.update(schema.to_string().encode())
        self._pending.append(table.cast(self._schema))
        while rows := self._full_group():
            self._flush(rows)

    def finish(self, files: Iterable[tuple[str, str]], metadata: Callable[[Written], Mapping[str, str]]) -> Written:
        """Write the rest and the footer.

        Args:
            files: (path, sha256) of the files beside the table, which are part of its content.
            metadata: makes the footer's key-value metadata from what was written.

        Raises:
            ValueError: no chunk was written, so the columns are unknown.
        """
        if self._writer is None:
            raise ValueError(f"{self._path.name}: no chunk was written, so the columns are unknown")
        if self._pending:
            self._flush(sum(part.num_rows for part in self._pending))
        for path, sha256 in files:
            self._hash.update(f"{path} {sha256}".encode())
        slices = self._slices.finish() if self._slices else {}
        written = Written(self.rows, self._hash.hexdigest(), slices)
        self._writer.add_key_value_metadata(dict(metadata(written)))
        self._writer.close()
        with open(self._path, "r+b") as file:
            seal(file)
        return written

    def abort(self) -> None:
        """Close the file without a record."""
        if self._writer is not None:
            self._writer.close()
        if self._slices:
            self._slices.abort()

    def _full_group(self) -> int:
        """Rows of the next row group, 0 while more are to come: those that make it full, at least one."""
        rows = sum(part.num_rows for part in self._pending)
        full = self._group_rows if rows >= self._group_rows else 0
        if not self._binary or not rows:
            return full
        ends = np.concatenate([_binary_bytes(part, self._binary) for part in self._pending]).cumsum()
        by_bytes = int(np.searchsorted(ends, GROUP_BYTES)) + 1
        return min(by_bytes, full or by_bytes) if by_bytes <= rows else full

    def _flush(self, rows: int) -> None:
        assert self._writer is not None
        pending = pa.concat_tables(self._pending)
        group = _without_hidden_values(pending.slice(0, rows).combine_chunks())
        self._pending = [pending.slice(rows)] if pending.num_rows > rows else []
        if not group.num_rows:
            return
        self._writer.write_table(group, row_group_size=rows)
        self.rows += group.num_rows
        stable = group.drop_columns([name for name in self._volatile if name in group.column_names])
        digest_rows(self._hash, stable)
        if self._slices:
            self._slices.add(stable)


def group_rows(schema: pa.Schema) -> int:
    """Rows per row group: a power of two that keeps fixed-size columns within 32 MB, at most 65,536."""
    row_bytes = sum(_fixed_bytes(field.type) for field in schema)
    return min(GROUP_ROWS, 1 << max(0, (GROUP_BYTES // max(row_bytes, 1)).bit_length() - 1))


def _fixed_bytes(kind: pa.DataType) -> int:
    if pa.types.is_fixed_size_list(kind):
        return kind.list_size * _fixed_bytes(kind.value_type)
    try:
        return max(1, kind.bit_width // 8)
    except ValueError:
        return 16


def _is_binary(kind: pa.DataType) -> bool:
    return pa.types.is_binary(kind) or pa.types.is_large_binary(kind)


def _binary_bytes(table: pa.Table, names: Sequence[str]) -> np.ndarray:
    """(N,) int64: bytes of each row in these columns."""
    import pyarrow.compute as pc

    lengths = [pc.fill_null(pc.call_function("binary_length", [table[name]]), 0) for name in names]
    return np.sum([np.asarray(each, np.int64) for each in lengths], axis=0)


def _open_writer(path: Path, schema: pa.Schema) -> pq.ParquetWriter:
    wide = {field.name for field in schema if pa.types.is_fixed_size_list(field.type) or _is_binary(field.type)}
    leaves = list(_leaves(schema))
    narrow = [leaf for leaf in leaves if leaf.split(".")[0] not in wide]
    compression = {leaf: "zstd" if leaf in narrow else "none" for leaf in leaves}
    # pyarrow takes settings per column here; its stubs know only the settings for all columns.
    per_column: dict[str, Any] = {"compression": compression, "use_dictionary": narrow, "write_statistics": narrow}
    return pq.ParquetWriter(path, schema, **per_column)


def _leaves(schema: pa.Schema) -> Iterator[str]:
    for field in schema:
        path, kind = field.name, field.type
        while pa.types.is_nested(kind):
            if pa.types.is_struct(kind):
                raise ValueError(f"column {field.name!r}: struct columns are not stored; use one column per value")
            path, kind = f"{path}.list.element", kind.value_type
        yield path


def _without_hidden_values(table: pa.Table) -> pa.Table:
    # Values that lie unseen under null arrays would enter the file and the hash, and do not survive the file.
    for index, field in enumerate(table.schema):
        if pa.types.is_fixed_size_list(field.type):
            chunks = [_clear_nulls(chunk) for chunk in table.column(index).chunks]
            table = table.set_column(index, field, pa.chunked_array(chunks, field.type))
    return table


def _clear_nulls(array: pa.Array) -> pa.Array:
    """The same fixed-size lists, with null for every value under a null list, as Parquet gives it back."""
    if not pa.types.is_fixed_size_list(array.type):
        return array
    size, nulls = array.type.list_size, array.is_null()
    values = array.values.slice(array.offset * size, len(array) * size)
    if array.null_count:
        hidden = np.repeat(nulls.to_numpy(zero_copy_only=False), size)
        values = values.take(pa.array(np.arange(len(values)), mask=hidden))
    mask = nulls if array.null_count else None
    return pa.FixedSizeListArray.from_arrays(_clear_nulls(values), type=array.type, mask=mask)


class _Slices:
    """Hashes of a table's rows by key. The rows of many millions of images wait in a file beside the table: each slice
    is hashed as one piece, as row groups cut it at places that depend on the rows of other slices."""

    def __init__(self, path: Path, column: str) -> None:
        self._path, self._column = path, column
        self._writer: pa.RecordBatchFileWriter | None = None
        self._groups: dict[str, list[int]] = {}
        self._count = 0

    def add(self, group: pa.Table) -> None:
        """The rows of a row group."""
        self._writer = self._writer or pa.ipc.new_file(str(self._path), group.schema)
        for batch in group.combine_chunks().to_batches():
            self._writer.write_batch(batch)
            for key in batch[self._column].unique().to_pylist():
                self._groups.setdefault(key, []).append(self._count)
            self._count += 1

    def finish(self) -> dict[str, str]:
        """Key -> hash."""
        if self._writer is None:
            return {}
        self._writer.close()
        with pa.memory_map(str(self._path)) as file:
            groups = pa.ipc.open_file(file)
            found = {key: self._hash(groups, key) for key in sorted(self._groups)}
        self._path.unlink()
        return found

    def abort(self) -> None:
        """Leave nothing."""
        if self._writer is not None:
            self._writer.close()
            self._path.unlink(missing_ok=True)

    def _hash(self, groups: pa.RecordBatchFileReader, key: str) -> str:
        import pyarrow.compute as pc

        rows = pa.Table.from_batches([groups.get_batch(number) for number in self._groups[key]])
        digest = hashlib.sha256()
        digest_rows(digest, rows.filter(pc.call_function("equal", [rows[self._column], key])).combine_chunks())
        return digest.hexdigest()


def digest_rows(digest: hashlib._Hash, table: pa.Table) -> None:
    """Add the rows of one row group to a content hash."""
    # A fresh copy has no offsets or spare validity bits: equal rows always give equal bytes.
    table = table.take(pa.array(np.arange(table.num_rows)))
    sink = pa.BufferOutputStream()
    with pa.ipc.new_stream(sink, table.schema) as stream:
        stream.write_table(table)
    digest.update(sink.getvalue())

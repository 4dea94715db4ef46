"""Text lists as Parquet under the root: each list is read once, from then on any part of it is read alone.

`source_lists/NAME-HASH.parquet` has one column, `record`: each row's text as it stands in the list (a line, a quoted
CSV record or a JSON element), so that nothing is lost or guessed, whatever keys and types the rows have; format and
column names are in the footer. HASH is that of the content: a list that is converted again is the same file, or
another list. A file that no registry names, as a killed registration leaves it, is never read.
"""

from __future__ import annotations

import hashlib
import json
import re
from collections.abc import Iterable, Iterator, Mapping
from contextlib import contextmanager
from itertools import islice
from pathlib import Path
from typing import IO, Any

import numpy as np
import polars as pl
import pyarrow as pa
import pyarrow.parquet as pq

from paris_assets.errors import MissingInput
from paris_assets.ingest import text_tables
from paris_assets.ingest.columns import SourceError, from_records
from paris_assets.ingest.parquet_tables import batches
from paris_assets.storage.checksum import DamagedFile, seal, sealed_footer
from paris_assets.storage.location import Location

FOLDER = "source_lists"
GROUP_ROWS = 5_000  # divides the usual rows per shard
GROUP_BYTES = 2 << 20
LAYOUT = "list"
SCHEMA = pa.schema([("record", pa.string())])


class _Digest:
    """Hash of records; it does not depend on how they are grouped."""

    def __init__(self, layout: str) -> None:
        self._layout, self._texts, self._lengths = layout, hashlib.sha256(), hashlib.sha256()

    def add(self, records: list[bytes]) -> int:
        self._texts.update(b"".join(records))
        self._lengths.update(np.array([len(record) for record in records], dtype="<u4").tobytes())
        return len(records)

    def hex(self) -> str:
        return hashlib.sha256(self._layout.encode() + self._texts.digest() + self._lengths.digest()).hexdigest()


def convert(handle: IO[bytes], file: str, kind: str, local: Path | None) -> tuple[int, str]:
    """Read a list once, from its start, and write it as Parquet.

    Memory holds one row group, of at most `GROUP_ROWS` rows and about `GROUP_BYTES`. The same rows give the same bytes,
    however the list is compressed.

    Args:
        handle: the list, decompressed; `file` is its path below the source, `kind` one of `text_tables.FORMATS`.
        local: where to write; None only counts.

    Returns:
        Number of rows, and the path below the root that the file is to have.

    Raises:
        SourceError: a line that never ends, or a JSON document that is broken.
    """
    layout = json.dumps({"format": kind, "columns": text_tables.columns(handle, file, kind)})
    groups, digest = _groups(text_tables.records(handle, file, kind)), _Digest(layout)
    rows = _write(local, groups, layout, digest) if local else sum(digest.add(group) for group in groups)
    # Letters that every file system has, and that people recognise.
    name = re.sub(r"[^A-Za-z0-9.-]+", "_", file)[-80:].lstrip(".")
    return rows, f"{FOLDER}/{name}-{digest.hex()[:16]}.parquet"


def check(root: Location, entry: Mapping[str, Any], overrides: Mapping[str, str]) -> None:
    """Whether the first rows of a registered list have the columns that the profile names now.

    Raises:
        SourceError: no such column.
    """
    first = {**entry, "first_row": 0, "rows": min(entry["rows"], text_tables.PROBE_ROWS)}
    with _opened(root, entry) as (file, kind, columns):
        text_tables.check_columns(_parsed(file, first, kind, columns), columns, kind, entry["file"], overrides)


def read(root: Location, entry: Mapping[str, Any], overrides: Mapping[str, str]) -> pl.DataFrame:
    """The rows of one part of a list, normalised.

    Args:
        entry: the shard's row of the registry: `list`, `first_row`, `rows` and `source_row`.
        overrides: `source.columns` of the profile.

    Raises:
        MissingInput: the converted list is gone.
        DamagedFile: its bytes are not those that were written.
        SourceError: it does not hold the rows that were registered.
    """
    with _opened(root, entry) as (file, kind, columns):
        records = _parsed(file, entry, kind, columns)
    if len(records) < entry["rows"]:
        raise SourceError(
            f"{root.uri(entry['list'])}: {entry['rows']} rows were registered from row {entry['first_row']} on: "
            f"{len(records)}"
        )
    return from_records(records, overrides, entry["source_row"])


def _write(local: Path, groups: Iterable[list[bytes]], layout: str, digest: _Digest) -> int:
    rows = 0
    with pq.ParquetWriter(
        local, SCHEMA, compression="zstd", use_dictionary=False, write_statistics=False, write_page_checksum=True
    ) as writer:
        for group in groups:
            writer.write_table(pa.table([_texts(group)], SCHEMA), row_group_size=len(group))
            rows += digest.add(group)
        writer.add_key_value_metadata({LAYOUT: layout})
    with open(local, "r+b") as file:
        seal(file)
    return rows


def _groups(records: Iterable[bytes]) -> Iterator[list[bytes]]:
    group, size = [], 0
    for record in records:
        group.append(record)
        size += len(record)
        if len(group) == GROUP_ROWS or size >= GROUP_BYTES:
            yield group
            group, size = [], 0
    if group:
        yield group


def _texts(records: list[bytes]) -> pa.Array:
    try:
        return pa.array(records, pa.binary()).cast(pa.string())
    except pa.ArrowInvalid:  # some are no UTF-8
        return pa.array([record.decode(errors="replace") for record in records], pa.string())


@contextmanager
def _opened(root: Location, entry: Mapping[str, Any]) -> Iterator[tuple[pq.ParquetFile, str, list[str]]]:
    path = entry["list"]
    if root.size(path) is None:
        raise MissingInput(f"{root.uri(path)} is gone: the next `paris run` makes it again from {entry['file']}")
    with root.open(path) as handle:
        if sealed_footer(handle) is None:
            raise DamagedFile(root.uri(path), "footer")
        file = pq.ParquetFile(handle, page_checksum_verification=True)
        layout = json.loads(file.metadata.metadata[LAYOUT.encode()])
        try:
            yield file, layout["format"], layout["columns"]
        except (OSError, pa.ArrowException) as error:
            if isinstance(error, OSError) and error.errno is not None:
                raise  # of the file system
            raise DamagedFile(root.uri(path), str(error)) from error


def _parsed(file: pq.ParquetFile, entry: Mapping[str, Any], kind: str, columns: list[str]) -> list[dict[str, Any]]:
    texts = (text for batch in batches(file, entry, ["record"], GROUP_ROWS) for text in batch.column(0).to_pylist())
    return [text_tables.parse(text, kind, columns) for text in islice(texts, entry["rows"])]

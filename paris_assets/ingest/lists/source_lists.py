"""Text lists as Parquet under the root: each list is read once, from then on any part of it is read alone.

`source_lists/NAME-HASH.parquet` has one column, `record`: each row's text as it stands in the list (a line, a quoted
CSV record or a JSON element), so that nothing is lost or guessed, whatever keys and types the rows have; null for bytes
that are no text in the list's encoding. How the list is written is in the footer. HASH is that of the content: a list
that is converted again is the same file, or another list. An encoding that the profile names is in the name, too
(`NAME-as-cp1251-HASH.parquet`). A file that no registry names, as a killed registration leaves it, is never read.
"""

from __future__ import annotations

import hashlib
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
from paris_assets.ingest.lists import text_tables
from paris_assets.ingest.lists.columns import SourceError, with_problems
from paris_assets.ingest.lists.encodings import AUTO, not_utf8
from paris_assets.ingest.lists.parquet_tables import batches
from paris_assets.ingest.lists.records import from_records, unused_texts
from paris_assets.ingest.lists.text_tables import Layout
from paris_assets.storage.checksum import DamagedFile, seal, sealed_footer
from paris_assets.storage.location import Location

FOLDER = "source_lists"
GROUP_ROWS = 5_000  # divides the usual rows per shard
GROUP_BYTES = 2 << 20
LAYOUT = "list"
NAMED = re.compile(r"-as-([a-z0-9_]+)-[0-9a-f]{16}\.parquet$")
SCHEMA = pa.schema([("record", pa.string())])


class _Digest:
    """Hash of records; it does not depend on how they are grouped."""

    def __init__(self, layout: str) -> None:
        self._layout, self._texts, self._lengths = layout, hashlib.sha256(), hashlib.sha256()

    def add(self, records: list[bytes]) -> list[bytes]:
        self._texts.update(b"".join(records))
        self._lengths.update(np.array([len(record) for record in records], dtype="<u4").tobytes())
        return records

    def hex(self) -> str:
        return hashlib.sha256(self._layout.encode() + self._texts.digest() + self._lengths.digest()).hexdigest()


def convert(
    handle: IO[bytes], file: str, kind: str, local: Path | None, encoding: str = AUTO, layout: Layout | None = None
) -> tuple[int, str]:
    """Read a list once, from its start, and write it as Parquet.

    Memory holds one row group, of at most `GROUP_ROWS` rows and about `GROUP_BYTES`. The same rows give the same bytes,
    however the list is compressed.

    Args:
        handle: the list, decompressed; `file` is its path below the source, `kind` one of `text_tables.FORMATS`.
        local: where to write; None only counts.
        encoding: `source.encoding` of the profile.
        layout: how the list is written, where that is known.

    Returns:
        Number of rows, and the path below the root that the file is to have.

    Raises:
        SourceError: nothing tells how it is written, a line that never ends, a JSON document that is broken, or more
            rows that are no UTF-8 than ones that are, and no encoding is named.
    """
    layout = layout or text_tables.layout_of(handle, file, kind, encoding)
    groups, digest = _groups(text_tables.records(handle, file, layout)), _Digest(layout.to_json())
    texts = _Texts(file)
    rows = (
        _write(local, groups, layout, digest, texts) if local else sum(texts.add(digest.add(group)) for group in groups)
    )
    if encoding == AUTO:
        texts.check()
    # Letters that every file system has, and that people recognise.
    name = re.sub(r"[^A-Za-z0-9.-]+", "_", file)[-80:].lstrip(".")
    read_as = "" if encoding == AUTO else f"-as-{_letters(encoding)}"
    return rows, f"{FOLDER}/{name}{read_as}-{digest.hex()[:16]}.parquet"


def read_as(path: str, encoding: str) -> bool:
    """Whether a list was converted under this `source.encoding`."""
    named = NAMED.search(path)
    return (named[1] if named else AUTO) == (AUTO if encoding == AUTO else _letters(encoding))


def check(root: Location, entry: Mapping[str, Any], overrides: Mapping[str, str]) -> None:
    """Whether the first rows of a registered list have the columns that the profile names now.

    Raises:
        SourceError: no such column.
    """
    layout, rows = _first_rows(root, entry)
    text_tables.check_columns(rows, layout, entry["file"], overrides)


def left_out(root: Location, entry: Mapping[str, Any], overrides: Mapping[str, str]) -> list[str]:
    """Columns of a part's first rows that nothing is made of, and whose values look like captions."""
    return unused_texts([row or {} for row in _first_rows(root, entry, entry["first_row"])[1]], overrides)


def said(root: Location, path: str) -> str:
    """How a converted list was read, where that is not plain from its name."""
    with _opened(root, {"list": path, "file": path}) as (_, layout):
        return layout.said()


def read(root: Location, entry: Mapping[str, Any], overrides: Mapping[str, str]) -> pl.DataFrame:
    """The rows of one part of a list, normalised; `problem` says which cannot be fetched.

    Args:
        entry: the shard's row of the registry: `list`, `first_row`, `rows` and `source_row`.
        overrides: `source.columns` of the profile.

    Raises:
        MissingInput: the converted list is gone.
        DamagedFile: its bytes are not those that were written.
        SourceError: it does not hold the rows that were registered.
    """
    with _opened(root, entry) as (file, layout):
        records = _parsed(file, entry, layout)
    if len(records) < entry["rows"]:
        raise SourceError(
            f"{root.uri(entry['list'])}: {entry['rows']} rows were registered from row {entry['first_row']} on: "
            f"{len(records)}"
        )
    rows = from_records([record or {} for record in records], overrides, entry["source_row"])
    return with_problems(rows, [record is None for record in records])


class _Texts:
    """Records of a list as text, and how many of them are none."""

    def __init__(self, file: str) -> None:
        self._file, self._rows, self._bad, self._good, self._first = file, 0, 0, 0, (0, b"")

    def add(self, records: list[bytes]) -> int:
        """Count records; gives their number."""
        self.array(records)
        return len(records)

    def array(self, records: list[bytes]) -> pa.Array:
        """The records as a column of text; null for bytes that are no UTF-8."""
        try:
            texts = pa.array(records, pa.binary()).cast(pa.string())
        except pa.ArrowInvalid:
            texts = pa.array([text_tables.text_of(record) for record in records], pa.string())
            if not self._bad:
                place = next(place for place, text in enumerate(texts) if not text.is_valid)
                self._first = (self._rows + place + 1, records[place])
        self._good += sum(not record.isascii() for record in records) - texts.null_count
        self._bad += texts.null_count
        self._rows += len(records)
        return texts

    def check(self) -> None:
        """Refuse a list whose first MiB does not tell that it is not UTF-8.

        Raises:
            SourceError: more than one row in a hundred is none, and more than those that need be.
        """
        if self._bad > max(self._good, self._rows // 100):
            raise not_utf8(self._file, f"row {self._first[0]}", self._first[1][-1000:])


def _write(local: Path, groups: Iterable[list[bytes]], layout: Layout, digest: _Digest, texts: _Texts) -> int:
    rows = 0
    with pq.ParquetWriter(
        local, SCHEMA, compression="zstd", use_dictionary=False, write_statistics=False, write_page_checksum=True
    ) as writer:
        for group in groups:
            writer.write_table(pa.table([texts.array(group)], SCHEMA), row_group_size=len(group))
            rows += len(digest.add(group))
        writer.add_key_value_metadata({LAYOUT: layout.to_json()})
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


@contextmanager
def _opened(root: Location, entry: Mapping[str, Any]) -> Iterator[tuple[pq.ParquetFile, Layout]]:
    path = entry["list"]
    if root.size(path) is None:
        raise MissingInput(f"{root.uri(path)} is gone: the next `paris run` makes it again from {entry['file']}")
    with root.open(path) as handle:
        if sealed_footer(handle) is None:
            raise DamagedFile(root.uri(path), "footer")
        file = pq.ParquetFile(handle, page_checksum_verification=True)
        layout = Layout.from_json(file.metadata.metadata[LAYOUT.encode()].decode())
        try:
            yield file, layout
        except (OSError, pa.ArrowException) as error:
            if isinstance(error, OSError) and error.errno is not None:
                raise  # of the file system
            raise DamagedFile(root.uri(path), str(error)) from error


def _first_rows(root: Location, entry: Mapping[str, Any], first: int = 0) -> tuple[Layout, list[dict[str, Any] | None]]:
    probe = {**entry, "first_row": first, "rows": min(entry["rows"], text_tables.PROBE_ROWS)}
    with _opened(root, entry) as (file, layout):
        return layout, _parsed(file, probe, layout)


def _parsed(file: pq.ParquetFile, entry: Mapping[str, Any], layout: Layout) -> list[dict[str, Any] | None]:
    texts = (text for batch in batches(file, entry, ["record"], GROUP_ROWS) for text in batch.column(0).to_pylist())
    return [text_tables.parse(text, layout) for text in islice(texts, entry["rows"])]


def _letters(encoding: str) -> str:
    return re.sub(r"[^a-z0-9]+", "_", encoding.lower())

"""CSV, TSV and JSON, plain or compressed: cut at known byte positions, so that each part is read alone.

A row that cannot be read (no JSON, more fields than columns) is a row of nulls: it is counted, and fails for want of a
url. A file that cannot be read is an error.
"""

from __future__ import annotations

import bz2
import csv
import gzip
import json
import lzma
from collections import deque
from collections.abc import Iterator, Mapping
from itertools import islice
from typing import IO, Any

import polars as pl

from paris_assets.ingest import json_documents
from paris_assets.ingest.columns import SourceError, check_records, from_records

FORMATS = ("csv", "tsv", "jsonl", "ndjson", "json")
MARK = b"\xef\xbb\xbf"  # UTF-8 byte order mark
UTF16_MARKS = (b"\xff\xfe", b"\xfe\xff")
LONGEST_LINE = 16 << 20
LONGEST_RECORD = 1 << 20  # that spans lines
PROBE_ROWS = 100
STEP_BYTES = 1 << 20
COMPRESSED = (gzip.GzipFile, bz2.BZ2File, lzma.LZMAFile)


def check(handle: IO[bytes], where: str, kind: str, overrides: Mapping[str, str]) -> None:
    """Whether the first rows of a file have usable columns; a file without rows passes.

    Args:
        handle: the file, decompressed; `where` is its name in errors and `kind` one of `FORMATS`.
        overrides: `source.columns` of the profile.

    Raises:
        SourceError: no url among the columns, or no row or header that can be read.
    """
    handle.seek(0)
    if handle.read(2) in UTF16_MARKS:
        raise SourceError(f"{where} is UTF-16: write it as UTF-8")
    if kind in ("csv", "tsv"):
        names, _ = _header(handle, where, kind)
        if names:
            check_records([dict.fromkeys(names)], overrides, where)
        return
    opened = json_documents.opening(handle) if kind == "json" else ""
    rows = [record for _, record in islice(_rows(handle, where, kind, [], opened), PROBE_ROWS)]
    if rows and not any(rows):
        raise SourceError(f"{where}: none of the first {len(rows)} rows is a JSON object with columns as keys")
    if rows:
        check_records(rows, overrides, where)


def cut(handle: IO[bytes], where: str, kind: str, rows_per_shard: int) -> Iterator[tuple[int, int, int]]:
    """(first row, rows, byte position of the first row) of each part of a file, reading it once from its start.

    Raises:
        SourceError: a line that never ends, or a JSON document that is broken.
    """
    opened = json_documents.opening(handle) if kind == "json" else ""
    skipped = 1 if kind in ("csv", "tsv") and _header(handle, where, kind)[1] else 0
    handle.seek(0)
    found = json_documents.elements(handle, where, opened) if opened else _records(handle, where, kind)
    starts = (start for start, _ in islice(found, skipped, None))
    first = 0
    while part := list(islice(starts, rows_per_shard)):
        yield first, len(part), part[0]
        first += len(part)


def read(
    head: IO[bytes], handle: IO[bytes], where: str, kind: str, entry: Mapping[str, Any], overrides: Mapping[str, str]
) -> pl.DataFrame:
    """The rows of one part, normalised.

    Args:
        head: the file, decompressed, for its first bytes; `where` is its name in errors and `kind` one of `FORMATS`.
        handle: the same file, for the rows; it need not stand at the start.
        entry: `offset`, `rows` and `source_row` of the part.
        overrides: `source.columns` of the profile.

    Raises:
        SourceError: the file does not hold the rows that were registered.
    """
    names = _header(head, where, kind)[0] if kind in ("csv", "tsv") else []
    opened = json_documents.opening(head) if kind == "json" else ""
    found = _rows(handle, where, kind, names, opened, entry["offset"])
    records = [record for _, record in islice(found, entry["rows"])]
    if len(records) < entry["rows"]:
        raise SourceError(f"{where}: {entry['rows']} rows were registered at byte {entry['offset']}: {len(records)}")
    return from_records(records, overrides, entry["source_row"])


def _rows(
    handle: IO[bytes], where: str, kind: str, names: list[str], opened: str, offset: int = 0
) -> Iterator[tuple[int, dict[str, Any]]]:
    """(position, columns and values) of each row from a position on; no columns for one that cannot be read."""
    _skip_to(handle, offset)
    if opened:
        for start, value in json_documents.elements(handle, where, opened, offset):
            yield start, value if isinstance(value, dict) else {}
        return
    for start, record in _records(handle, where, kind):
        yield offset + start, _named(record, names, kind) if kind in ("csv", "tsv") else _object(record)


def _skip_to(handle: IO[bytes], offset: int) -> None:
    """Seek; a compressed file reads up to the position anyway, and faster in large steps than by its own `seek`."""
    if isinstance(getattr(handle, "raw", None), COMPRESSED) and handle.tell() <= offset:
        ahead = offset - handle.tell()
        while ahead and (passed := len(handle.read(min(ahead, STEP_BYTES)))):
            ahead -= passed
    handle.seek(offset)


def _records(handle: IO[bytes], where: str, kind: str) -> Iterator[tuple[int, bytes]]:
    """(position from where the handle stands, bytes) of each record that is not blank; quoted fields may span lines."""
    start, ahead, readline = 0, deque[bytes](), handle.readline
    while line := ahead.popleft() if ahead else readline(LONGEST_LINE):
        if len(line) == LONGEST_LINE:
            raise SourceError(f"{where}: the line at byte {start} never ends")
        # RFC 4180. TSV has no quoting.
        record = _quoted(line, handle, ahead) if kind == "csv" and b'"' in line else line
        if record.strip(b" \r\n" if kind == "tsv" else None):
            yield start, record
        start += len(record)


def _quoted(line: bytes, handle: IO[bytes], ahead: deque[bytes]) -> bytes:
    """The record that a line with quotes begins; the line alone if no record comes of it (a quote without partner)."""
    taken: list[bytes] = []

    def lines() -> Iterator[str]:
        yield line.decode(errors="replace")
        size = 0
        while size < LONGEST_RECORD and (more := ahead.popleft() if ahead else handle.readline(LONGEST_LINE)):
            taken.append(more)
            size += len(more)
            yield more.decode(errors="replace")

    try:
        next(csv.reader(lines(), strict=True))
    except csv.Error:
        ahead.extendleft(reversed(taken))
        return line
    return line + b"".join(taken)


def _header(handle: IO[bytes], where: str, kind: str) -> tuple[list[str], bool]:
    """Column names, and whether the first record holds them; a first record with a url is data (CC12M)."""
    handle.seek(0)
    _, first = next(_records(handle, where, kind), (0, b""))
    fields = [field.strip() for field in _fields(first, kind)] if first else []
    if first and not fields:
        raise SourceError(f"{where}: its first line cannot be read as {kind}: lines must end in \\n")
    if not any("://" in field for field in fields):
        return fields, bool(fields)
    url = next(index for index, field in enumerate(fields) if "://" in field)
    names = [f"column_{index}" for index in range(max(2, len(fields)))]
    names[0 if url else 1], names[url] = "text", "url"
    return names, False


def _fields(record: bytes, kind: str) -> list[str]:
    text = record.removeprefix(MARK).decode(errors="replace").rstrip("\r\n")
    try:
        return text.split("\t") if kind == "tsv" else next(csv.reader([text]), [])
    except csv.Error:  # a field over 128 KiB, or a line end of old Macintoshes
        return []


def _named(record: bytes, names: list[str], kind: str) -> dict[str, Any]:
    """Values by column; none for a row with more values than columns, as nobody knows which one is too many."""
    fields = _fields(record, kind)
    if any(field.strip() for field in fields[len(names) :]):
        return {}
    return dict(zip(names, fields, strict=False))


def _object(record: bytes) -> dict[str, Any]:
    try:
        value = json.loads(record.removeprefix(MARK).decode(errors="replace"))
    except (ValueError, RecursionError):
        return {}
    return value if isinstance(value, dict) else {}

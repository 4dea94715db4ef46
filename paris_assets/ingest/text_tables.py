"""CSV, TSV and JSON, plain or compressed: where one row ends and the next begins, and what a row holds.

A row that cannot be read (no JSON, more fields than columns) is a row of nulls: it is counted, and fails for want of a
url. A file that cannot be read is an error.
"""

from __future__ import annotations

import csv
import json
from collections import deque
from collections.abc import Iterator, Mapping, Sequence
from itertools import islice
from typing import IO, Any

from paris_assets.ingest import json_documents
from paris_assets.ingest.columns import SourceError, check_records

FORMATS = ("csv", "tsv", "jsonl", "ndjson", "json")
MARK = "\ufeff"  # byte order mark
UTF16_MARKS = (b"\xff\xfe", b"\xfe\xff")
LONGEST_LINE = 16 << 20
LONGEST_RECORD = 1 << 20  # that spans lines
PROBE_ROWS = 100


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
    names = columns(handle, where, kind)
    first = [] if names else islice(records(handle, where, kind), PROBE_ROWS)
    check_columns([parse(_text(record), kind, names) for record in first], names, kind, where, overrides)


def check_columns(
    rows: Sequence[Mapping[str, Any]], names: Sequence[str], kind: str, where: str, overrides: Mapping[str, str]
) -> None:
    """`check` for the first rows of a file: what `parse` gave for them, and the file's `columns`."""
    if kind in ("csv", "tsv"):
        if names:
            check_records([dict.fromkeys(names)], overrides, where)
        return
    if rows and not any(rows):
        raise SourceError(f"{where}: none of the first {len(rows)} rows is a JSON object with columns as keys")
    if rows:
        check_records(rows, overrides, where)


def columns(handle: IO[bytes], where: str, kind: str) -> list[str]:
    """Names of the columns of CSV and TSV; JSON has keys in each row."""
    return _header(handle, where, kind)[0] if kind in ("csv", "tsv") else []


def records(handle: IO[bytes], where: str, kind: str) -> Iterator[bytes]:
    """The bytes of each row, from the start of a file to its end, one in memory at a time.

    Raises:
        SourceError: a line that never ends, or a JSON document that is broken.
    """
    opened = json_documents.opening(handle) if kind == "json" else ""
    skipped = 1 if kind in ("csv", "tsv") and _header(handle, where, kind)[1] else 0
    handle.seek(0)
    found = json_documents.elements(handle, where, opened) if opened else _lines(handle, where, kind)
    return islice(found, skipped, None)


def parse(record: str, kind: str, names: Sequence[str]) -> dict[str, Any]:
    """The columns and values of one row; none for one that cannot be read.

    Args:
        record: the text of one of `records`; `names` are the file's `columns`.
    """
    return _named(record, names, kind) if kind in ("csv", "tsv") else _object(record)


def _text(record: bytes) -> str:
    return record.decode(errors="replace")


def _lines(handle: IO[bytes], where: str, kind: str) -> Iterator[bytes]:
    """Each record of one or more lines that is not blank; quoted fields may span lines."""
    start, ahead, readline = 0, deque[bytes](), handle.readline
    while line := ahead.popleft() if ahead else readline(LONGEST_LINE):
        if len(line) == LONGEST_LINE:
            raise SourceError(f"{where}: the line at byte {start} never ends")
        # RFC 4180. TSV has no quoting.
        record = _quoted(line, handle, ahead) if kind == "csv" and b'"' in line else line
        if record.strip(b" \r\n" if kind == "tsv" else None):
            yield record
        start += len(record)


def _quoted(line: bytes, handle: IO[bytes], ahead: deque[bytes]) -> bytes:
    """The record that a line with quotes begins; the line alone if no record comes of it (a quote without partner)."""
    taken: list[bytes] = []

    def lines() -> Iterator[str]:
        yield _text(line)
        size = 0
        while size < LONGEST_RECORD and (more := ahead.popleft() if ahead else handle.readline(LONGEST_LINE)):
            taken.append(more)
            size += len(more)
            yield _text(more)

    try:
        next(csv.reader(lines(), strict=True))
    except csv.Error:
        ahead.extendleft(reversed(taken))
        return line
    return line + b"".join(taken)


def _header(handle: IO[bytes], where: str, kind: str) -> tuple[list[str], bool]:
    """Column names, and whether the first record holds them; a first record with a url is data (CC12M)."""
    handle.seek(0)
    first = next(_lines(handle, where, kind), b"")
    fields = [field.strip() for field in _fields(_text(first), kind)] if first else []
    if first and not fields:
        raise SourceError(f"{where}: its first line cannot be read as {kind}: lines must end in \\n")
    if not any("://" in field for field in fields):
        return fields, bool(fields)
    url = next(index for index, field in enumerate(fields) if "://" in field)
    names = [f"column_{index}" for index in range(max(2, len(fields)))]
    names[0 if url else 1], names[url] = "text", "url"
    return names, False


def _fields(record: str, kind: str) -> list[str]:
    text = record.removeprefix(MARK).rstrip("\r\n")
    try:
        return text.split("\t") if kind == "tsv" else next(csv.reader([text]), [])
    except csv.Error:  # a field over 128 KiB, or a line end of old Macintoshes
        return []


def _named(record: str, names: Sequence[str], kind: str) -> dict[str, Any]:
    """Values by column; none for a row with more values than columns, as nobody knows which one is too many."""
    fields = _fields(record, kind)
    if any(field.strip() for field in fields[len(names) :]):
        return {}
    return dict(zip(names, fields, strict=False))


def _object(record: str) -> dict[str, Any]:
    try:
        value = json.loads(record.removeprefix(MARK))
    except (ValueError, RecursionError):
        return {}
    return value if isinstance(value, dict) else {}

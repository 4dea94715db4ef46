"""CSV, TSV and JSON lines, plain or compressed: cut at known byte positions, so that each part is read alone."""

from __future__ import annotations

import csv
import io
import json
from collections.abc import Iterator, Mapping
from itertools import islice
from typing import IO, Any

import polars as pl

from paris_assets.ingest.columns import SourceError, from_records

FORMATS = ("csv", "tsv", "jsonl", "ndjson")
MARK = b"\xef\xbb\xbf"  # UTF-8 byte order mark
LONGEST_RECORD = 16 << 20


def cut(handle: IO[bytes], where: str, kind: str, rows_per_shard: int) -> Iterator[tuple[int, int, int]]:
    """(first row, rows, byte position of the first row) of each part of a file, reading it once from its start.

    Raises:
        SourceError: a record that never ends.
    """
    skipped = 1 if kind in ("csv", "tsv") and _header(handle, where, kind)[1] else 0
    handle.seek(0)
    starts = (start for start, _ in islice(_records(handle, where, kind), skipped, None))
    first = 0
    while part := list(islice(starts, rows_per_shard)):
        yield first, len(part), part[0]
        first += len(part)


def read(
    handle: IO[bytes], where: str, kind: str, entry: Mapping[str, Any], overrides: Mapping[str, str]
) -> pl.DataFrame:
    """The rows of one part, normalised.

    Args:
        handle: the file, decompressed; `where` is its name in errors and `kind` one of `FORMATS`.
        entry: `offset`, `rows` and `source_row` of the part.
        overrides: `source.columns` of the profile.

    Raises:
        SourceError: a record that is not JSON, or fewer records than were registered.
    """
    names = _header(handle, where, kind)[0] if kind in ("csv", "tsv") else []
    handle.seek(entry["offset"])
    records = [
        _parse(record, names, kind, f"{where}, byte {entry['offset'] + start}")
        for start, record in islice(_records(handle, where, kind), entry["rows"])
    ]
    if len(records) < entry["rows"]:
        raise SourceError(f"{where}: {entry['rows']} rows were registered at byte {entry['offset']}: {len(records)}")
    return from_records(records, overrides, where, entry["source_row"])


def _records(handle: IO[bytes], where: str, kind: str) -> Iterator[tuple[int, bytes]]:
    """(position from where the handle stands, bytes) of each record that is not blank; quoted fields may span lines."""
    start, record = 0, b""
    for line in handle:
        record += line
        # RFC 4180: quotes come in pairs within a record. TSV has no quoting.
        if kind == "csv" and record.count(b'"') % 2:
            if len(record) > LONGEST_RECORD:
                raise SourceError(f"{where}: the record at byte {start} never ends: a quote without its partner")
            continue
        if record.strip():
            yield start, record
        start, record = start + len(record), b""
    if record.strip():
        raise SourceError(f"{where}: the record at byte {start} never ends: a quote without its partner")


def _header(handle: IO[bytes], where: str, kind: str) -> tuple[list[str], bool]:
    """Column names, and whether the first record holds them; a first record with a url is data (CC12M)."""
    handle.seek(0)
    _, first = next(_records(handle, where, kind), (0, b""))
    fields = _fields(first, kind)
    if not any("://" in field for field in fields):
        return fields, True
    url = next(index for index, field in enumerate(fields) if "://" in field)
    names = [f"column_{index}" for index in range(len(fields))]
    names[url] = "url"
    if len(names) > 1:
        names[1 if url == 0 else 0] = "text"
    return names, False


def _fields(record: bytes, kind: str) -> list[str]:
    text = record.removeprefix(MARK).decode(errors="replace").rstrip("\r\n")
    return text.split("\t") if kind == "tsv" else next(csv.reader(io.StringIO(text, newline="")), [])


def _parse(record: bytes, names: list[str], kind: str, where: str) -> dict[str, Any]:
    if kind in ("csv", "tsv"):
        fields = _fields(record, kind)
        return {name: fields[index] if index < len(fields) else None for index, name in enumerate(names)}
    try:
        value = json.loads(record.removeprefix(MARK).decode(errors="replace"))
    except ValueError as error:
        raise SourceError(f"{where}: not a line of JSON: {error}") from error
    if not isinstance(value, dict):
        raise SourceError(f"{where}: expected an object with columns as keys, found {type(value).__name__}")
    return value

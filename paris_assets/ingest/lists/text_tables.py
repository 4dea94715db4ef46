"""CSV, TSV, JSON and lists of addresses, plain or compressed: how one is written, which rows it has, what a row holds.

A row that cannot be read (no JSON, more fields than columns, bytes that are no text) is a row of nulls: it is counted,
and fails as `unreadable_row`. A file that cannot be read is an error.
"""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import asdict, dataclass
from itertools import islice
from typing import IO, Any

from paris_assets.ingest.lists import delimited, dialects, json_documents
from paris_assets.ingest.lists.columns import SourceError, names_of
from paris_assets.ingest.lists.delimited import MARK, Dialect
from paris_assets.ingest.lists.dialects import PROBE_ROWS
from paris_assets.ingest.lists.encodings import AUTO, UTF8, as_utf8, encoding_of
from paris_assets.ingest.lists.records import check_records
from paris_assets.ingest.lists.texts import is_text

FORMATS = ("csv", "tsv", "jsonl", "ndjson", "json", "txt")


@dataclass(frozen=True)
class Layout:
    """How a list is written.

    Attributes:
        format: one of `FORMATS`.
        encoding: codec of its bytes.
        dialect: of CSV, TSV and lists of addresses.
        shape: of JSON, one of those in `json_documents`.
    """

    format: str
    encoding: str = UTF8
    dialect: Dialect | None = None
    shape: str = json_documents.LINES

    def columns(self) -> list[str]:
        """Names of the columns; JSON has keys in each row."""
        return [*self.dialect.columns] if self.dialect else []

    def said(self) -> str:
        """What a user may want to know of how it was read; empty for a list as its name says."""
        encoded = f"read as {self.encoding}" if self.encoding != UTF8 else ""
        shaped = f"JSON {self.shape}" if self.shape == json_documents.BY_COLUMNS else ""
        return "; ".join(filter(None, [encoded, self.dialect.said() if self.dialect else shaped]))

    def to_json(self) -> str:
        """As text, with sorted keys."""
        return json.dumps(asdict(self), sort_keys=True)

    @classmethod
    def from_json(cls, text: str) -> Layout:
        """What `to_json` gave."""
        held = json.loads(text)
        dialect = held["dialect"]
        if dialect is not None:
            dialect = Dialect(**(dialect | {"columns": tuple(dialect["columns"])}))
        return cls(**(held | {"dialect": dialect}))


def layout_of(handle: IO[bytes], where: str, kind: str, encoding: str = AUTO) -> Layout:
    """How a list is written, by its first MiB.

    Args:
        handle: the file, decompressed; `where` is its name in errors and `kind` one of `FORMATS`.
        encoding: `source.encoding` of the profile.

    Raises:
        SourceError: nothing tells its encoding, or what separates its fields.
    """
    codec = encoding_of(handle, where, encoding)
    text = as_utf8(handle, codec)
    if kind in dialects.DELIMITERS:
        return Layout(kind, codec, dialect=dialects.dialect_of(text, where, kind))
    return Layout(kind, codec, shape=json_documents.shape_of(text, where))


def check(handle: IO[bytes], where: str, layout: Layout, overrides: Mapping[str, str]) -> None:
    """Whether the first rows of a file have usable columns; a file without rows passes.

    Args:
        handle: the file, decompressed; `where` is its name in errors.
        overrides: `source.columns` of the profile.

    Raises:
        SourceError: no url among the columns, or no row or header that can be read.
    """
    first = [] if layout.dialect else islice(records(handle, where, layout), PROBE_ROWS)
    check_columns([parse(text_of(record), layout) for record in first], layout, where, overrides)


def check_columns(
    rows: Sequence[Mapping[str, Any] | None], layout: Layout, where: str, overrides: Mapping[str, str]
) -> None:
    """`check` for the first rows of a file, as `parse` gave them."""
    if layout.dialect:
        if layout.columns():
            check_records([dict.fromkeys(layout.columns())], overrides, where)
        return
    read = [row for row in rows if row]
    if rows and not read:
        raise SourceError(
            f"{where}: none of the first {len(rows)} rows is a JSON object with columns as keys, such as "
            '{"url": "https://...", "caption": "..."}'
        )
    if not rows:
        return
    check_records(read, overrides, where)
    urls = [row[name] for row in read for name in names_of("url", row, overrides) if row[name] is not None]
    if urls and all(isinstance(url, list | dict) for url in urls):
        raise SourceError(
            f"{where}: the url of each of its first rows is a list or an object, not one address: write one object per "
            "row, with one url"
        )


def records(handle: IO[bytes], where: str, layout: Layout) -> Iterator[bytes]:
    """The bytes of each row in UTF-8, from the start of a file to its end, one in memory at a time.

    Raises:
        SourceError: a line that never ends, or a JSON document that is broken.
    """
    text = as_utf8(handle, layout.encoding)
    if layout.shape != json_documents.LINES:
        return json_documents.elements(text, where, layout.shape)
    return delimited.records(text, where, layout.dialect or Dialect("\n", header=False, quoted=False))


def text_of(record: bytes) -> str | None:
    """A record as text; null for bytes that are no text in the encoding of the list."""
    try:
        return record.decode()
    except UnicodeDecodeError:
        return None


def parse(record: str | None, layout: Layout) -> dict[str, Any] | None:
    """The columns and values of one row; null for one that cannot be read.

    Args:
        record: the text of one of `records`.
    """
    if record is None:
        return None
    return _named(record, layout.dialect) if layout.dialect else _object(record)


def _named(record: str, dialect: Dialect) -> dict[str, Any] | None:
    """Values by column; null for a row with more values than columns, as nobody knows which one is too many."""
    fields = delimited.fields(record, dialect)
    if len(fields) > len(dialect.columns) and any(field and field.strip() for field in fields[len(dialect.columns) :]):
        return None
    return dict(zip(dialect.columns, fields, strict=False))


def _object(record: str) -> dict[str, Any] | None:
    try:
        value = json.loads(record.removeprefix(MARK).lstrip("\x1e"))  # RFC 7464
    except (ValueError, RecursionError):
        return None
    if isinstance(value, str) and "://" in value:
        return {"url": value}
    if not isinstance(value, dict):
        return None
    halves = ("\\ud" in record or "\\uD" in record) and not is_text(json.dumps(value, ensure_ascii=False))
    return None if halves else value

"""CSV, TSV and lists of addresses: where one record ends, and what its fields are.

Records are read as RFC 4180 says, or with a backslash before a quote (Spark) or before any sign (MySQL), whichever the
list does. A field whose quotes do not pair is taken as it stands, quotes and all.
"""

from __future__ import annotations

import csv
import re
from collections import deque
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass
from functools import lru_cache
from itertools import islice
from typing import IO

from paris_assets.ingest.lists.columns import SourceError

MARK = "\ufeff"  # byte order mark
LONGEST_LINE = 16 << 20
LONGEST_RECORD = 1 << 20  # that spans lines
NAMES = {",": "commas", "\t": "tabs"}
SIGNS = {"n": "\n", "t": "\t", "r": "\r", "0": "\0", "b": "\b", "Z": "\x1a"}
NULL = "\\N"


@dataclass(frozen=True)
class Dialect:
    """How a list is written.

    Attributes:
        delimiter: one sign.
        columns: names of the fields.
        skipped: lines before the first row (Excel's, comments).
        header: whether the first record names the columns.
        quoted: whether fields may stand in double quotes, over several lines.
        escaped: whether a backslash takes its meaning from the sign after it.
        spaced: whether blanks may stand before a field, in quotes or not.
    """

    delimiter: str
    columns: tuple[str, ...] = ()
    skipped: int = 0
    header: bool = True
    quoted: bool = True
    escaped: bool = False
    spaced: bool = False

    def said(self) -> str:
        """What is not plain about it, in words; empty for a list as its name says."""
        named = f"no header: columns are taken as {', '.join(self.columns)}" if not self.header else ""
        several = self.delimiter not in NAMES and len(self.columns) > 1
        separated = f"fields separated by {self.delimiter!r}" if several else ""
        return "; ".join(filter(None, [separated, "backslash escapes" if self.escaped else "", named]))


def records(handle: IO[bytes], where: str, dialect: Dialect) -> Iterator[bytes]:
    """Each row that is not blank, from the start of a list to its end.

    Raises:
        SourceError: a line that never ends.
    """
    handle.seek(0)
    skipped = sum(len(handle.readline(LONGEST_LINE)) for _ in range(dialect.skipped))
    return islice(_records(handle, where, dialect, skipped), 1 if dialect.header else 0, None)


def fields(text: str, dialect: Dialect) -> list[str | None]:
    """The fields of one record; null where it says `\\N`."""
    text = text.removeprefix(MARK).rstrip("\r\n")
    found: list[str]
    if dialect.escaped and not dialect.quoted:
        found = [_unescaped(field) for field in _between(dialect.delimiter).findall(text)]
    else:
        found = _quoted_fields(text, dialect) if dialect.quoted and '"' in text else text.split(dialect.delimiter)
        found = [field.lstrip(" ") for field in found] if dialect.spaced else found
    return [None if field == NULL else field for field in found] if NULL in text else found  # type: ignore[return-value]


def _records(handle: IO[bytes], where: str, dialect: Dialect, start: int) -> Iterator[bytes]:
    """Each record of one or more lines that is not blank; quoted fields may span lines."""
    ahead, readline = deque[bytes](), handle.readline
    continued = dialect.escaped and not dialect.quoted
    blank = b" \r\n" if dialect.delimiter == "\t" else None
    while line := ahead.popleft() if ahead else readline(LONGEST_LINE):
        if len(line) == LONGEST_LINE:
            raise SourceError(f"{where}: the line at byte {start} never ends")
        record = _joined(line, handle, ahead, dialect) if dialect.quoted and b'"' in line else line
        while continued and _odd_backslashes(record) and (more := readline(LONGEST_LINE)):
            record += more
        if record.strip(blank):
            yield record
        start += len(record)


def _joined(line: bytes, handle: IO[bytes], ahead: deque[bytes], dialect: Dialect) -> bytes:
    """The record that a line with quotes begins; the line alone if no record comes of it (a quote without partner)."""
    ways = (dialect.escaped, not dialect.escaped) if b'\\"' in line else (dialect.escaped,)
    if any(complete(dialect.delimiter, escaped, dialect.spaced)(line) for escaped in ways):
        return line
    escapes = len(ways) > 1
    for escaped in (dialect.escaped, not dialect.escaped):
        if escaped != dialect.escaped and not escapes:
            break
        taken: list[bytes] = []
        if _read(_from(line, handle, ahead, taken, escaped), dialect, LONGEST_LINE) is not None:
            return line + b"".join(taken)
        escapes = escapes or any(b'\\"' in more for more in taken)
        ahead.extendleft(reversed(taken))
    return line


def _from(line: bytes, handle: IO[bytes], ahead: deque[bytes], taken: list[bytes], escaped: bool) -> Iterator[str]:
    """A line and those after it, which are noted in `taken`, up to the length of a record."""
    read = _rfc if escaped else str
    yield read(as_text(line))
    size = 0
    while size < LONGEST_RECORD and (more := ahead.popleft() if ahead else handle.readline(LONGEST_LINE)):
        taken.append(more)
        size += len(more)
        yield read(as_text(more))


def _quoted_fields(text: str, dialect: Dialect) -> list[str]:
    for escaped in (dialect.escaped, not dialect.escaped) if '\\"' in text else (dialect.escaped,):
        found = strict(_rfc(text) if escaped else text, dialect)
        if found is not None:
            return found
    return text.split(dialect.delimiter)


def strict(text: str, dialect: Dialect) -> list[str] | None:
    """Fields of a record as RFC 4180 says; null if it is none."""
    return _read([text], dialect, len(text))


def _read(lines: Iterable[str], dialect: Dialect, longest: int) -> list[str] | None:
    """Fields of the record that lines begin with; null if they begin with none."""
    before = csv.field_size_limit()
    if longest > before:  # for the whole process, so it is put back
        csv.field_size_limit(longest)
    try:
        delimiter, spaced = dialect.delimiter, dialect.spaced
        return next(csv.reader(lines, delimiter=delimiter, skipinitialspace=spaced, strict=True), [])
    except csv.Error:
        return None
    finally:
        if longest > before:
            csv.field_size_limit(before)


@lru_cache
def complete(delimiter: str, escaped: bool, spaced: bool = False) -> Callable[[bytes], object]:
    """Match of a line that is one record."""
    sign = re.escape(delimiter.encode("latin-1"))
    within = rb'[^"\\]|\\.|""' if escaped else rb'[^"]|""'
    field = rb'%s(?:"(?:%s)*+"|(?!")[^%s\r\n]*+)' % (b" *+" if spaced else b"", within, sign)
    return re.compile(rb"%s(?:%s%s)*+\r?\n?" % (field, sign, field), re.DOTALL).fullmatch


@lru_cache
def _between(delimiter: str) -> re.Pattern[str]:
    """Fields between signs that no backslash escapes."""
    sign = re.escape(delimiter)
    return re.compile(rf"(?:^|{sign})((?:\\.|[^\\{sign}]|\\$)*)", re.DOTALL)


def _unescaped(field: str) -> str:
    return (
        field if field == NULL else re.sub(r"\\(.)", lambda sign: SIGNS.get(sign[1], sign[1]), field, flags=re.DOTALL)
    )


def _rfc(text: str) -> str:
    """A record with backslash escapes as RFC 4180 has it."""
    return re.sub(r'\\(["\\\n])', lambda sign: '""' if sign[1] == '"' else sign[1], text)


def _odd_backslashes(record: bytes) -> bool:
    line = record.rstrip(b"\r\n")
    return (len(line) - len(line.rstrip(b"\\"))) % 2 == 1


def as_text(record: bytes) -> str:
    """A record that is looked at, not published."""
    return record.decode(errors="replace")

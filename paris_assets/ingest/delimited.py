"""CSV, TSV and lists of addresses: what separates fields, where one record ends, and what its fields are.

Records are read as RFC 4180 says, or with a backslash before a quote (Spark) or before any sign (MySQL), whichever the
list does. A field whose quotes do not pair is taken as it stands, quotes and all.
"""

from __future__ import annotations

import csv
import io
import re
from collections import Counter, deque
from collections.abc import Iterable, Iterator
from dataclasses import dataclass, replace
from functools import lru_cache
from itertools import islice
from typing import IO

from paris_assets.ingest.columns import SourceError
from paris_assets.ingest.column_names import known

MARK = "\ufeff"  # byte order mark
LONGEST_LINE = 16 << 20
LONGEST_RECORD = 1 << 20  # that spans lines
HEAD_BYTES = 1 << 20
PROBE_ROWS = 100
DELIMITERS = {"csv": ",;\t|", "tsv": "\t", "txt": "\t"}
NAMES = {",": "commas", "\t": "tabs"}
URL = re.compile(r"\s*\w+://\S+\s*")
SEPARATOR = re.compile(rb'(?:\xef\xbb\xbf)?"?sep=(.)"?\s*', re.IGNORECASE)  # Excel's first line
SIGNS = {"n": "\n", "t": "\t", "r": "\r", "0": "\0", "b": "\b", "Z": "\x1a"}
NULL = "\\N"
NULL_FIELD = re.compile(rb"(?:^|\t)\\N(?=\t|\r?\n|$)", re.MULTILINE)


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
    """

    delimiter: str
    columns: tuple[str, ...] = ()
    skipped: int = 0
    header: bool = True
    quoted: bool = True
    escaped: bool = False

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
    if dialect.escaped and not dialect.quoted:
        found = [_unescaped(field) for field in _between(dialect.delimiter).findall(text)]
    else:
        found = _quoted_fields(text, dialect) if dialect.quoted and '"' in text else text.split(dialect.delimiter)
    return [None if field == NULL else field for field in found] if NULL in text else [*found]


def dialect_of(handle: IO[bytes], where: str, kind: str) -> Dialect:
    """How a list is written, by its first MiB.

    Args:
        handle: the list in UTF-8; `where` is its name in errors, and `kind` `csv`, `tsv` or `txt`.

    Raises:
        SourceError: a line that never ends, a header that names a column twice or fewer than there are, or a list
            without header whose fields nothing separates.
    """
    handle.seek(0)
    head = handle.read(HEAD_BYTES)
    if b"\n" not in head and b"\r" in head.rstrip():
        raise SourceError(f"{where}: its first line cannot be read as {kind}: lines must end in \\n, not in \\r alone")
    if len(head) == HEAD_BYTES:
        head = head[: head.rfind(b"\n") + 1] or head + handle.readline(LONGEST_LINE)
    skipped, delimiters = _before_rows(head, DELIMITERS[kind])
    found = [_sniffed(head, where, Dialect(sign, skipped=skipped), kind) for sign in delimiters]
    if all(dialect.header for dialect, _ in found):
        best = max(found, key=lambda one: (any(map(known, one[0].columns)), len(one[0].columns)))[0]
    else:
        best, share = max(found, key=lambda one: (one[1], len(one[0].columns) > 1))
        if share < 0.5:
            raise SourceError(
                f"{where} has no header, and neither {', '.join(NAMES.get(sign, sign) for sign in delimiters)} separate "
                "its fields alike in each row: write a first line with names of the columns, or another format"
            )
    _check(best, head, where)
    return best


def _before_rows(head: bytes, delimiters: str) -> tuple[int, str]:
    """Lines to skip, and signs that may separate fields."""
    skipped = 0
    for line in head.split(b"\n", PROBE_ROWS)[:PROBE_ROWS]:
        if said := SEPARATOR.fullmatch(line):
            return skipped + 1, said[1].decode("latin-1")
        if not line.removeprefix(MARK.encode()).startswith(b"#") or _names(line.decode(errors="replace"), delimiters):
            break
        skipped += 1
    return skipped, delimiters


def _names(line: str, delimiters: str) -> bool:
    """Whether a line that looks like a comment names columns: some programs write `#url,caption`."""
    return any(known(name.strip(' "#\r')) for sign in delimiters for name in line.split(sign))


def _sniffed(head: bytes, where: str, plain: Dialect, kind: str) -> tuple[Dialect, float]:
    """The dialect if this sign separates fields, and the share of rows that then have an address where all have it."""
    lines = head.split(b"\n")[plain.skipped :]
    dialect = replace(plain, escaped=_escapes(lines, plain))
    if kind != "csv" and not _quotes(head, where, plain):
        dialect = replace(dialect, quoted=False, escaped=bool(NULL_FIELD.search(head)))
    rows = [fields(_text(record), dialect) for record in _first(head, where, replace(dialect, header=False))]
    first = [(name or "").strip() for name in rows[0]] if rows else []
    if not any("://" in name for name in first):
        return replace(dialect, columns=tuple(name.removeprefix("#").strip() for name in first)), 0.0
    widths = Counter(len(row) for row in rows if len(row) > 1)
    width = widths.most_common(1)[0][0] if widths else 1
    places = Counter(next((place for place, field in enumerate(row) if URL.fullmatch(field or "")), -1) for row in rows)
    url = max(range(width), key=lambda place: places[place])
    fits = [len(row) == width if kind == "csv" else len(row) <= width for row in rows]  # TSV has no other choice
    share = sum(fit and bool(URL.fullmatch(row[url] or "")) for fit, row in zip(fits, rows, strict=True)) / len(rows)
    return replace(dialect, columns=_headerless(rows, width, url), header=False), share


def _headerless(rows: list[list[str | None]], width: int, url: int) -> tuple[str, ...]:
    """Names where there is no header: the text is the column with the most words."""
    names = [f"column_{place}" for place in range(max(2, width))]
    words = [sum(len((row[place] or "").split()) for row in rows if place < len(row)) for place in range(len(names))]
    text = max((place for place in range(len(names)) if place != url), key=lambda place: (words[place], -place))
    names[url], names[text] = "url", "text"
    return tuple(names[:width]) if width == 1 else tuple(names)


def _check(dialect: Dialect, head: bytes, where: str) -> None:
    """Whether the header fits the first rows."""
    if dialect.header and all(re.fullmatch("'.+'", name) for name in dialect.columns) and dialect.columns:
        raise SourceError(f"{where} has its fields in single quotes: write double quotes, or none")
    twice = [name for name, count in Counter(dialect.columns).items() if name and count > 1]
    if twice:
        raise SourceError(f"{where} has more than one column {twice[0]!r}: write it with one of that name")
    rows = [fields(_text(record), dialect) for record in _first(head, where, dialect)]
    widths = [max((place for place, field in enumerate(row, 1) if (field or "").strip()), default=0) for row in rows]
    if widths and min(widths) > len(dialect.columns):
        raise SourceError(
            f"{where}: its first line names {len(dialect.columns)} columns {list(dialect.columns)} and its rows have "
            f"{min(widths)}: name all of them"
        )


def _first(head: bytes, where: str, dialect: Dialect) -> list[bytes]:
    return [*islice(records(io.BytesIO(head), where, dialect), PROBE_ROWS)]


def _escapes(lines: Iterable[bytes], plain: Dialect) -> bool:
    """Whether more lines are a record only if a backslash escapes quotes than only if it does not."""
    escaped, plainly = _complete(plain.delimiter, True), _complete(plain.delimiter, False)
    found = [(bool(escaped(line)), bool(plainly(line))) for line in lines if b'\\"' in line]
    votes = [with_escapes for with_escapes, without in found if with_escapes != without]
    return sum(votes) * 2 > len(votes)


def _quotes(head: bytes, where: str, plain: Dialect) -> bool:
    """Whether a TSV has quoted fields: all that begin with a quote are, and one would be needless if none was."""
    if b'"' not in head:
        return False
    starts, needed = 0, False
    for record in _first(head, where, replace(plain, header=False)):
        text = _text(record).removeprefix(MARK).rstrip("\r\n")
        begun = sum(field.startswith('"') for field in text.split(plain.delimiter))
        parsed = _strict(text, plain.delimiter) if begun else None
        if begun and parsed is None:
            return False
        needed |= bool(parsed) and (len(parsed) < len(text.split(plain.delimiter)) or '""' in text or "\n" in text)
        starts += begun == len(text.split(plain.delimiter))
    return needed or starts > 1


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
    if any(_complete(dialect.delimiter, escaped)(line) for escaped in ways):
        return line
    for escaped in ways:
        taken: list[bytes] = []
        if _read(_from(line, handle, ahead, taken, escaped), dialect.delimiter, LONGEST_LINE) is not None:
            return line + b"".join(taken)
        ahead.extendleft(reversed(taken))
    return line


def _from(line: bytes, handle: IO[bytes], ahead: deque[bytes], taken: list[bytes], escaped: bool) -> Iterator[str]:
    """A line and those after it, which are noted in `taken`, up to the length of a record."""
    read = _rfc if escaped else str
    yield read(_text(line))
    size = 0
    while size < LONGEST_RECORD and (more := ahead.popleft() if ahead else handle.readline(LONGEST_LINE)):
        taken.append(more)
        size += len(more)
        yield read(_text(more))


def _quoted_fields(text: str, dialect: Dialect) -> list[str]:
    for escaped in (dialect.escaped, not dialect.escaped) if '\\"' in text else (dialect.escaped,):
        found = _strict(_rfc(text) if escaped else text, dialect.delimiter)
        if found is not None:
            return found
    return text.split(dialect.delimiter)


def _strict(text: str, delimiter: str) -> list[str] | None:
    return _read([text], delimiter, len(text))


def _read(lines: Iterable[str], delimiter: str, longest: int) -> list[str] | None:
    """Fields of the record that lines begin with; null if they begin with none."""
    before = csv.field_size_limit()
    if longest > before:  # for the whole process, so it is put back
        csv.field_size_limit(longest)
    try:
        return next(csv.reader(lines, delimiter=delimiter, strict=True), [])
    except csv.Error:
        return None
    finally:
        if longest > before:
            csv.field_size_limit(before)


@lru_cache
def _complete(delimiter: str, escaped: bool):  # noqa: ANN202  # re has no type for it
    """Match of a line that is one record."""
    sign = re.escape(delimiter.encode("latin-1"))
    within = rb'[^"\\]|\\.|""' if escaped else rb'[^"]|""'
    field = rb'(?:"(?:%s)*+"|(?!")[^%s\r\n]*+)' % (within, sign)
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


def _text(record: bytes) -> str:
    return record.decode(errors="replace")

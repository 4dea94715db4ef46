"""How a CSV, a TSV or a list of addresses is written: signs between fields, quotes, escapes, names of columns."""

from __future__ import annotations

import io
import re
from collections import Counter
from collections.abc import Iterable
from dataclasses import replace
from itertools import islice
from typing import IO

from paris_assets.ingest.lists.column_names import known
from paris_assets.ingest.lists.columns import SourceError
from paris_assets.ingest.lists.delimited import (
    LONGEST_LINE,
    MARK,
    NAMES,
    Dialect,
    as_text,
    complete,
    fields,
    records,
    strict,
)

HEAD_BYTES = 1 << 20
DELIMITERS = {"csv": ",;\t|", "tsv": "\t", "txt": "\t"}
URL = re.compile(r"\s*\w+://\S+\s*")
SEPARATOR = re.compile(rb'(?:\xef\xbb\xbf)?"?sep=(.)"?\s*', re.IGNORECASE)  # Excel's first line
NULL_FIELD = re.compile(rb"(?:^|\t)\\N(?=\t|\r?\n|$)", re.MULTILINE)
PROBE_ROWS = 100


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
            signs = ", ".join(NAMES.get(sign, sign) for sign in delimiters)
            raise SourceError(
                f"{where} has no header, and none of {signs} separates its fields alike in each row: write a first "
                "line with the names of the columns, or another format"
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
    plain = replace(plain, spaced=_spaced(lines, plain))
    dialect = replace(plain, escaped=_escapes(lines, plain))
    if kind != "csv" and not _quotes(head, where, plain):
        dialect = replace(dialect, quoted=False, escaped=bool(NULL_FIELD.search(head)))
    rows = [fields(as_text(record), dialect) for record in _first(head, where, replace(dialect, header=False))]
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
    rows = [fields(as_text(record), dialect) for record in _first(head, where, dialect)]
    if len(rows) > 1 and any(_single_quoted(rows, place) for place in range(min(map(len, rows)))):
        raise SourceError(f"{where} has fields in single quotes: write double quotes, or none")
    twice = [name for name, count in Counter(dialect.columns).items() if name and count > 1]
    if twice:
        raise SourceError(f"{where} has more than one column {twice[0]!r}: write it with one of that name")
    widths = [max((place for place, field in enumerate(row, 1) if (field or "").strip()), default=0) for row in rows]
    if widths and min(widths) > len(dialect.columns):
        raise SourceError(
            f"{where}: its first line names {len(dialect.columns)} columns {list(dialect.columns)} and its rows have "
            f"{min(widths)}: name all of them"
        )


def _single_quoted(rows: list[list[str | None]], place: int) -> bool:
    """Whether all values of a column begin with a single quote, and some end with one, be it after a comma."""
    texts = [[(value or "").strip() for value in row[place:]] for row in rows]
    return all(row[0].startswith("'") for row in texts) and any(text.endswith("'") for row in texts for text in row)


def _first(head: bytes, where: str, dialect: Dialect) -> list[bytes]:
    return [*islice(records(io.BytesIO(head), where, dialect), PROBE_ROWS)]


def _escapes(lines: Iterable[bytes], plain: Dialect) -> bool:
    """Whether more lines are a record only if a backslash escapes quotes than only if it does not."""
    escaped, plainly = (complete(plain.delimiter, escapes, plain.spaced) for escapes in (True, False))
    found = [(bool(escaped(line)), bool(plainly(line))) for line in lines if b'\\"' in line]
    votes = [with_escapes for with_escapes, without in found if with_escapes != without]
    return sum(votes) * 2 > len(votes)


def _spaced(lines: Iterable[bytes], plain: Dialect) -> bool:
    """Whether fields in quotes have blanks before them, and none is without."""
    sign = plain.delimiter.encode("latin-1")
    quoted = [line for line in lines if sign + b' "' in line]
    return bool(quoted) and not any(sign + b'"' in line for line in lines) and plain.delimiter != "\t"


def _quotes(head: bytes, where: str, plain: Dialect) -> bool:
    """Whether a TSV has quoted fields: all that begin with a quote are, and one would be needless if none was."""
    if b'"' not in head:
        return False
    starts, needed = 0, False
    for record in _first(head, where, replace(plain, header=False)):
        text = as_text(record).removeprefix(MARK).rstrip("\r\n")
        begun = sum(field.startswith('"') for field in text.split(plain.delimiter))
        parsed = strict(text, plain) if begun else None
        if begun and parsed is None:
            return False
        needed |= bool(parsed) and (len(parsed) < len(text.split(plain.delimiter)) or '""' in text or "\n" in text)
        starts += begun == len(text.split(plain.delimiter))
    return needed or starts > 1

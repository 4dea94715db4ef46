"""JSON files that are no JSON lines, in whichever shape programs write them, read an element at a time.

[{...}, ...]                                an array of rows
{"a": {...}, "b": {...}}                    an object of rows (ye-pop; pandas `orient="index"`)
{"data": [{...}, ...], "version": 1}        rows under a key, beside others (pandas `orient="table"`)
{"columns": [...], "data": [[...], ...]}    rows whose columns are named before (pandas `orient="split"`)
{"url": [...], "caption": [...]}            by columns: the only one that is read whole, up to `WHOLE_BYTES`
{"url": {"0": ...}, "caption": {...}}       by columns (pandas' own default)
{...} {...}                                 rows one after the other, over several lines or with other signs between
"""

from __future__ import annotations

import json
import re
from collections.abc import Iterator
from typing import IO, Any

from paris_assets.ingest.lists.column_names import known, rank
from paris_assets.ingest.lists.columns import SourceError
from paris_assets.ingest.lists.json_text import MARK, JsonText

HEAD_BYTES = 1 << 20
WHOLE_BYTES = 64 << 20
OBJECT_OF_OBJECTS = re.compile(r'\{\s*"(?:[^"\\]|\\.)*"\s*:\s*\{')
LINES, ARRAY, KEYED, ROWS, STREAM, BY_COLUMNS = "", "array", "keyed", "rows", "stream", "by columns"


def shape_of(handle: IO[bytes], where: str) -> str:
    """How the rows of a file lie in it; `LINES` for JSON lines, one of which may be broken.

    Args:
        handle: the file, decompressed, in UTF-8; `where` is its name in errors.
    """
    handle.seek(0)
    head = handle.read(HEAD_BYTES).decode(errors="replace").removeprefix(MARK).lstrip(" \t\r\n\x1e")
    line, _, rest = head.partition("\n")
    if not head or (rest.strip() and _is_json(line)):
        return LINES
    if head.startswith("["):
        return ARRAY
    try:
        return _shape(JsonText(handle, where)) if head.startswith("{") else LINES
    except SourceError:  # a broken line, or a file that is cut off
        return KEYED if OBJECT_OF_OBJECTS.match(head) and not rest.lstrip().startswith("{") else LINES


def elements(handle: IO[bytes], where: str, shape: str) -> Iterator[bytes]:
    """The JSON text of each row.

    Args:
        handle: the file, decompressed, in UTF-8; `where` is its name in errors.
        shape: what `shape_of` gave.

    Raises:
        SourceError: the file is no JSON from some element on, or ends before it should; it has rows under more than
            one key, or is too large to be read by columns.
    """
    if shape == BY_COLUMNS:
        yield from _by_columns(handle, where)
        return
    text = JsonText(handle, where)
    if shape == STREAM:
        while text.peek():
            yield text.value()
            text.take(",")
        return
    if shape == ROWS:
        yield from _rows_under_a_key(text, where)
    else:
        text.take("[{", needed=True)
        for _ in _items(text):
            if shape == KEYED:
                text.key()
            yield text.value()
    text.end()


def _shape(text: JsonText) -> str:
    """Of a file that is an object or begins with one, from as few of its values as tell."""
    text.take("{", needed=True)
    names, kinds, rows = list[str](), list[str](), 0
    for _ in _items(text):
        name, opened = text.key(), text.peek()
        within = text.peek_within() if opened == "[" else ""
        if within == "{" or (within == "[" and "columns" in names):
            return ROWS
        if rank("url", name) is not None and opened != "{":
            return BY_COLUMNS if opened == "[" else STREAM
        value = json.loads(text.value())
        rows += isinstance(value, dict) and any(map(known, value))
        names.append(name)
        kinds.append(opened)
        if rows == 2 and {*kinds} == {"{"}:
            return KEYED
    if {*kinds} == {"{"}:
        return BY_COLUMNS if any(map(known, names)) and not rows else KEYED
    return BY_COLUMNS if {*kinds} == {"["} else STREAM


def _items(text: JsonText) -> Iterator[None]:
    """Once before each element of what was opened, up to where it is closed."""
    if text.take("]}"):
        return
    while True:
        yield
        if text.take(",]}", needed=True) != ",":
            return


def _rows_under_a_key(text: JsonText, where: str) -> Iterator[bytes]:
    text.take("{", needed=True)
    columns, found = list[str](), ""
    for _ in _items(text):
        name = text.key()
        if text.peek() != "[" or text.peek_within() not in "[{":
            value = text.value()
            columns = json.loads(value) if name == "columns" else columns
            continue
        if found:
            raise SourceError(
                f"{where} has rows under {found!r} and under {name!r} (as COCO has images and annotations): join them "
                "to one object per image, with a url and its captions"
            )
        found = name
        text.take("[", needed=True)
        for _ in _items(text):
            value = text.value()
            yield json.dumps(_named(json.loads(value), columns)).encode() if value.startswith(b"[") else value


def _named(values: list[Any], columns: list[Any]) -> Any:
    """A row as an object; as it is where it has more or fewer values than there are columns, and no row then."""
    return dict(zip(map(str, columns), values, strict=True)) if len(values) == len(columns) else values


def _by_columns(handle: IO[bytes], where: str) -> Iterator[bytes]:
    handle.seek(0)
    content = handle.read(WHOLE_BYTES + 1)
    advice = "write one object per row instead, such as `frame.to_json(FILE, orient='records', lines=True)` of pandas"
    if len(content) > WHOLE_BYTES:
        raise SourceError(f'{where} is JSON by columns ({{"url": [...], ...}}) of more than 64 MiB: {advice}')
    try:
        columns = json.loads(content.removeprefix(MARK.encode()))
    except (ValueError, RecursionError) as error:
        raise SourceError(f"{where} is JSON by columns that cannot be read ({error}): {advice}") from error
    listed = {name: values for name, values in columns.items() if isinstance(values, list | dict)}
    if single := [name for name in columns if name not in listed and rank("text", name) is not None]:
        raise SourceError(f"{where} has a list of urls and one {single[0]!r}: write one object per url, with its text")
    if len({len(values) for values in listed.values()}) > 1 or len({type(values) for values in listed.values()}) > 1:
        lengths = {name: len(values) for name, values in listed.items()}
        raise SourceError(f"{where} is JSON by columns of different lengths ({lengths}): {advice}")
    first = next(iter(listed.values()))
    for place in range(len(first)) if isinstance(first, list) else first:
        yield json.dumps({name: _at(values, place) for name, values in listed.items()}).encode()


def _at(values: Any, place: Any) -> Any:
    return values[place] if isinstance(values, list) else values.get(place)


def _is_json(line: str) -> bool:
    try:
        json.loads(line)
    except (ValueError, RecursionError):
        return False
    return True

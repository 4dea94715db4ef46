"""The texts of a row: several columns may hold captions, and each may hold one text, a list, or objects with texts."""

from __future__ import annotations

import ast
import json
import re
from collections.abc import Iterable, Iterator, Mapping, Sequence
from typing import Any

import polars as pl

from paris_assets.ingest.lists.column_names import key, rank

LANGUAGE = re.compile(r"[a-z]{2,3}([_-][A-Za-z]{2,4})?")
LAST = 10_000
OF_OBJECTS = ("raw", "value", "content", "en", "eng", "english")  # fields that are texts within a caption only
OPENINGS = ('["', "['", '{"', "{'", "[{")
LONGEST = 1 << 20
_STRING = r"""'(?:[^'\\]|\\.)*+'|"(?:[^"\\]|\\.)*+\""""
STRING = re.compile(_STRING, re.DOTALL)
STRINGS = re.compile(rf"\[\s*(?:{_STRING})(?:[\s,]+(?:{_STRING}))*+\s*\]", re.DOTALL)
WORDS = re.compile(r"\w\s+\w|[\u0e00-\u0eff\u1000-\u109f\u1780-\u17ff\u3040-\u30ff\u3400-\u9fff]{4}")


def row_texts(cells: Sequence[Any]) -> list[str]:
    """The texts of a row, the one to take first.

    Args:
        cells: values of the columns that hold captions, in their order: texts, lists or objects.

    Returns:
        Those that are not blank, each once. Without one, the first of all as it stands, if there is any.
    """
    if len(cells) == 1 and isinstance(cells[0], str) and cells[0].isascii() and cells[0][:1] not in "[{":
        return [cells[0]]  # as nearly every row of most lists
    texts = [text for cell in cells for text in texts_of(cell)]
    return list(dict.fromkeys(text for text in texts if text.strip())) or texts[:1]


def texts_of(value: Any) -> Iterator[str]:
    """Each text that a cell holds: itself, those of a list, those of an object's fields; lists and objects in a text,
    too, as JSON and as Python writes them (pandas does in CSV).

    Of an object these are the fields with the name of a caption; else its languages, English first; else its only text.
    """
    if isinstance(value, str):
        held = _written_out(value)
        if held is not None:
            yield from texts_of(held)
        elif is_text(value):
            yield value
    elif isinstance(value, Mapping):
        for name in _fields(value):
            yield from texts_of(value[name])
    elif isinstance(value, list | tuple):
        for item in value:
            yield from texts_of(item)


def may_hold_texts(kind: pl.DataType) -> bool:
    """Whether values of a column's type can be captions: what is flat, and what holds texts within."""
    texts = (pl.String, pl.Categorical, pl.Enum)
    return not kind.is_nested() or any(leaf in texts for leaf in leaves(kind))


def leaves(kind: Any) -> list[pl.DataType]:
    """The types within a column's type, however deep; the type itself where it is flat."""
    if isinstance(kind, pl.List | pl.Array):
        return leaves(kind.inner)
    if isinstance(kind, pl.Map):
        return leaves(kind.value)
    return [leaf for field in kind.fields for leaf in leaves(field.dtype)] if isinstance(kind, pl.Struct) else [kind]


def looks_like_text(values: Iterable[Any]) -> bool:
    """Whether most of a column's values that are not empty have words in a row, or signs of a script without spaces."""
    found = [" ".join(_every_text(value)) for value in values]
    filled = [text for text in found if text.strip()]
    return sum(bool(WORDS.search(text)) and "://" not in text for text in filled) * 2 > len(filled)


def is_text(value: str) -> bool:
    """Whether a text has no half surrogate pair, which JSON may escape and which is no text."""
    if value.isascii():
        return True
    try:
        value.encode()
    except UnicodeEncodeError:
        return False
    return True


def _fields(value: Mapping[str, Any]) -> list[str]:
    filled = [name for name, held in value.items() if isinstance(held, str | list | Mapping)]
    ranks = {name: place for name in filled if (place := _rank_within(name)) is not None}
    if filled and all(LANGUAGE.fullmatch(name) for name in filled):
        return sorted(filled, key=lambda name: ranks.get(name, LAST))
    texts = [name for name in filled if isinstance(value[name], str)]
    return sorted(ranks, key=lambda name: ranks[name]) or (texts if len(texts) == 1 else [])


def _rank_within(name: str) -> int | None:
    place = rank("text", name)
    if place is None and key(name) in OF_OBJECTS:
        place = LAST // 2 + OF_OBJECTS.index(key(name))
    return place


def _written_out(text: str) -> list[Any] | Mapping[str, Any] | None:
    """The texts or objects with texts that a text is the JSON, Python's `repr` or numpy's `str` of."""
    if text[:2] not in OPENINGS or text.rstrip()[-1:] not in ("]", "}") or len(text) > LONGEST:
        return None
    try:
        value = json.loads(text)
    except (ValueError, RecursionError):
        value = _of_python(text.strip())
    items = value if isinstance(value, list) else [value]
    return value if all(isinstance(item, str) or (isinstance(item, dict) and _fields(item)) for item in items) else None


def _of_python(text: str) -> Any:
    try:
        if STRINGS.fullmatch(text):  # numpy sets no commas, and Python would join what none separates
            return [ast.literal_eval(item) for item in STRING.findall(text)]
        return ast.literal_eval(text)
    except (ValueError, SyntaxError, RecursionError, MemoryError):
        return None


def _every_text(value: Any) -> Iterator[str]:
    if isinstance(value, str):
        yield value
    elif isinstance(value, Mapping | list):
        for item in value.values() if isinstance(value, Mapping) else value:
            yield from _every_text(item)

"""Values of MDS columns by their encoding: sizes, and whether they can be read. Nothing is unpickled.

Encodings as the library names them (streaming 0.14): scalars, strings, images, JSON, and arrays in three forms:
`ndarray:DTYPE:D1,D2` (data alone), `ndarray:DTYPE` (a byte that tells rank and width of the sides, the sides, the data)
and `ndarray` (a byte that tells the dtype before these).
"""

from __future__ import annotations

import math
import re
from collections.abc import Iterator
from functools import lru_cache

from paris_assets.formats.mds_columns import SCALARS, Column
from paris_assets.lint.contents import Seen, faults, of_values

TEXTS = ("str_int", "str_float", "str_decimal")
FREE = ("bytes", "str", "json", *TEXTS, "pil", "jpeg", "jpeg_array", "jpegarray", "png")
PICKLED = "pkl"
_LIST = re.compile(r"list\[(?P<inner>.+)\]")


_column = lru_cache(maxsize=256)(Column)


class UnknownEncoding(ValueError):
    """No encoding of the library."""


def size_of(encoding: str) -> int | None:
    """Bytes of every value, or None where they differ.

    Raises:
        UnknownEncoding: it is none of the library's.
    """
    if encoding in FREE or encoding == PICKLED or _LIST.fullmatch(encoding):
        return None
    try:
        return _column("", encoding).size
    except ValueError as error:
        raise UnknownEncoding(encoding) from error


def value_faults(column: str, encoding: str, data: bytes, seen: Seen) -> Iterator[tuple[str, str]]:
    """Kind of problem and what it is, of one value; the form of an array is noted in ``seen``."""
    if encoding == PICKLED:
        yield "pickle", f"column {column} is a pickle"
    elif encoding.startswith("ndarray"):
        yield from _of_array(_column(column, encoding), data, seen)
    elif encoding in SCALARS:
        if not math.isfinite(_column(column, encoding).decode(data)):
            yield "not_finite", f"column {column} is not finite"
    elif encoding in ("json", "jpeg", "png"):
        for kind, what in faults(encoding, data, seen):
            yield kind, f"column {column}: {what}"
    elif encoding == "str" or encoding in TEXTS:
        yield from _of_text(column, encoding, data)


def _of_array(column: Column, data: bytes, seen: Seen) -> Iterator[tuple[str, str]]:
    try:
        array = column.decode(data)
    except ValueError as error:
        yield "bad_column", str(error)
        return
    yield from of_values(column.name, array, seen)


def _of_text(column: str, encoding: str, data: bytes) -> Iterator[tuple[str, str]]:
    try:
        text = data.decode()
    except UnicodeDecodeError as error:
        yield "bad_column", f"column {column} is no UTF-8 at byte {error.start}"
        return
    if encoding in TEXTS:
        try:
            int(text) if encoding == "str_int" else float(text)
        except ValueError:
            yield "bad_column", f"column {column} is no number: {text[:40]!r}"

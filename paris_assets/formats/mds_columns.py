"""Columns of MDS files, the format of mosaicml/streaming: their encodings, a sample's bytes and back.

The format is described by what its library writes (version 2, little-endian); only encodings that the library has by
itself are used, so its reader needs nothing of ours.
"""

from __future__ import annotations

import json
import re
import struct
from collections.abc import Mapping
from math import prod
from typing import Any

import numpy as np

from paris_assets.storage.hashed_file import size_of

MDS_VERSION = 2
LARGEST_FILE = (1 << 32) - 1
"""Positions in a file are uint32."""
SCALARS = ("uint8", "uint16", "uint32", "uint64", "int8", "int16", "int32", "int64", "float16", "float32", "float64")
TEXTS = {"str": str, "str_int": int, "str_float": float, "json": json.loads}
"""Encoding of text -> what makes a value of it."""
_ARRAY = re.compile(r"ndarray(?::(?P<dtype>\w+)(?::(?P<shape>\d+(?:,\d+)*))?)?")
HEAD_BYTES = 64
"""Of an array of a few axes: enough to tell its type and shape."""
_CODES = {8: "uint8", 9: "int8", 16: "uint16", 17: "int16", 18: "float16", 32: "uint32", 33: "int32", 34: "float32",
          64: "uint64", 65: "int64", 66: "float64"}  # fmt: skip
"""Types of arrays, by the byte that tells them."""
_WIDTHS = tuple(np.dtype(name) for name in ("<u1", "<u2", "<u4", "<u8"))
"""Integers of a shape, by their code."""

Part = bytes | np.ndarray
Data = bytes | memoryview


class BadValue(ValueError):
    """A value does not fit its column; the message names it."""


class Column:
    """One column: how its values become bytes.

    Args:
        name: of the column.
        encoding: ``str``, ``str_int``, ``str_float``, ``bytes``, ``int``, ``json``, a scalar type, or an array:
            ``ndarray:DTYPE:D1,D2`` of one shape, ``ndarray:DTYPE`` of any; ``ndarray`` of any type is only read.

    Attributes:
        size: bytes of every value; None where they differ.
        scalar, text, array: which of these it holds.

    Raises:
        ValueError: another encoding.
    """

    def __init__(self, name: str, encoding: str) -> None:
        self.name, self.encoding, self.shape, self.size = name, encoding, None, None
        array = _ARRAY.fullmatch(encoding)
        self.array = array is not None and array["dtype"] in (None, *SCALARS)
        self.scalar = encoding in SCALARS or encoding == "int"
        self.text = encoding in TEXTS
        if array is not None and self.array:
            self.dtype = np.dtype(array["dtype"]) if array["dtype"] else None
            if array["shape"]:
                self.shape = tuple(int(side) for side in array["shape"].split(","))
                self.size = prod(self.shape) * np.dtype(array["dtype"]).itemsize
        elif self.scalar:
            self.dtype = np.dtype("int64" if encoding == "int" else encoding)
            self.size = self.dtype.itemsize
        elif self.text or encoding == "bytes":
            self.dtype = None
        else:
            raise ValueError(f"column {name!r}: no encoding {encoding!r} is known here")

    def encode(self, value: Any) -> list[Part]:
        """The buffers of a value, one after the other.

        Raises:
            BadValue: it is of another type or shape.
        """
        if self.encoding == "str":
            return [value.encode()]
        if self.encoding == "bytes":
            return [value]
        if self.text:
            return [(json.dumps(value) if self.encoding == "json" else str(value)).encode()]
        if self.scalar:
            assert self.dtype is not None
            return [self.dtype.type(value).tobytes()]
        fits = value.dtype == self.dtype and value.size and value.shape == (self.shape or value.shape)
        if self.dtype is None or not fits:
            raise BadValue(f"column {self.name!r} ({self.encoding}) is given {value.dtype} of shape {value.shape}")
        array = np.ascontiguousarray(value)
        return [array] if self.shape else [_shape_bytes(array.shape), array]

    def decode(self, data: Data) -> Any:
        """The value of its bytes; arrays are views of them.

        Raises:
            ValueError: they are no such value.
        """
        if self.text:
            try:
                return TEXTS[self.encoding](str(data, "utf-8"))
            except RecursionError as error:
                raise ValueError(f"column {self.name!r}: JSON within JSON without end") from error
            except ValueError as error:
                raise ValueError(f"column {self.name!r} is no {self.encoding} ({error})") from error
        if self.scalar:
            assert self.dtype is not None
            return np.frombuffer(data, self.dtype)[0].item()
        if not self.array:
            return bytes(data)
        dtype, shape, at = self.array_head(data, len(data))
        return np.frombuffer(data, dtype, offset=at).reshape(shape) if prod(shape) else np.zeros(shape, dtype)

    def array_head(self, head: Data, size: int) -> tuple[np.dtype, tuple[int, ...], int]:
        """Type and shape of an array of so many bytes, and how many of them come before its values.

        Args:
            head: its first bytes, ``HEAD_BYTES`` or all.

        Raises:
            ValueError: the column has no arrays, or the bytes tell none, or one of another size.
        """
        if not self.array:
            raise ValueError(f"column {self.name!r} of {self.encoding}, where an ndarray is read")
        dtype, shape, at = self.dtype, self.shape, 0
        if dtype is None:
            if not head or head[0] not in _CODES:
                raise ValueError(f"column {self.name!r}: an array without its type")
            dtype, at = np.dtype(_CODES[head[0]]), 1
        if shape is None:
            axes, code = divmod(head[at], 4) if len(head) > at else (0, 0)
            width = _WIDTHS[code].itemsize
            first, at = at + 1, at + 1 + axes * width
            if len(head) < at:
                raise ValueError(f"column {self.name!r}: an array without its shape")
            shape = tuple(int.from_bytes(head[side : side + width], "little") for side in range(first, at, width))
        if prod(shape) * dtype.itemsize != size - at:
            raise ValueError(f"column {self.name!r}: {size - at} bytes for {dtype} of shape {shape}")
        return dtype, shape, at


class UnreadColumn(Column):
    """A column whose encoding is not known here: its place is, and its values are bytes."""

    def __init__(self, name: str, encoding: str, size: int | None) -> None:
        super().__init__(name, "bytes")
        self.encoding, self.size = encoding, size


class Columns:
    """All columns of a file, in the order of their bytes.

    Args:
        encodings: name -> encoding.
        sizes: name -> bytes of each value, None where they differ, as an index lists them: columns are read in its
            order, of whatever encoding. Without it columns are those that can be written, sorted by name.

    Attributes:
        head_bytes: that a sample begins with, which tell where its columns lie.

    Raises:
        ValueError: an encoding that is not known here, or a size that is not its own.
    """

    def __init__(self, encodings: Mapping[str, str], sizes: Mapping[str, int | None] | None = None) -> None:
        if sizes is None:
            self.columns = [Column(name, encodings[name]) for name in sorted(encodings)]
        else:
            self.columns = [_listed(name, encoding, sizes[name]) for name, encoding in encodings.items()]
        self.by_name = {column.name: column for column in self.columns}
        varying = sum(column.size is None for column in self.columns)
        self.head_bytes, self._lengths = 4 * varying, f"<{varying}I"

    def encode(self, sample: Mapping[str, Any]) -> bytes:
        """The bytes of a sample: lengths of what is of no fixed size, then all values.

        Raises:
            BadValue: a value does not fit its column.
            KeyError: a column has none.
        """
        lengths, data = [], list[Part]()
        for column in self.columns:
            parts = column.encode(sample[column.name])
            if column.size is None:
                lengths.append(sum(map(size_of, parts)))
            data += parts
        return b"".join([struct.pack(self._lengths, *lengths), *data])  # pyright: ignore[reportArgumentType]

    def parts(self, head: Data, size: int) -> dict[str, tuple[int, int]]:
        """Name -> where the bytes of a column begin and end within those of a sample.

        Args:
            head: first bytes of the sample, ``head_bytes`` or more.
            size: all its bytes.

        Raises:
            ValueError: they are too few or too many.
        """
        at = self.head_bytes
        if min(len(head), size) < at:
            raise ValueError(f"a sample of {size} bytes")
        lengths = iter(struct.unpack_from(self._lengths, head))
        found = {}
        for column in self.columns:
            start = at
            at += next(lengths) if column.size is None else column.size
            found[column.name] = (start, at)
        if at != size:
            raise ValueError(f"a sample of {size} bytes whose columns take {at}")
        return found

    def described(self) -> dict[str, Any]:
        """What a file's header and an index say of the columns."""
        return {
            "column_encodings": [column.encoding for column in self.columns],
            "column_names": [column.name for column in self.columns],
            "column_sizes": [column.size for column in self.columns],
        }


def _listed(name: str, encoding: str, size: int | None) -> Column:
    try:
        column = Column(name, encoding)
    except ValueError:
        return UnreadColumn(name, encoding, size)
    if column.size != size:
        raise ValueError(f"column {name!r} of size {size}, where {encoding} has {column.size}")
    return column


def _shape_bytes(shape: tuple[int, ...]) -> bytes:
    code = sum(max(shape) >= 1 << bits for bits in (8, 16, 32))
    return bytes([len(shape) << 2 | code]) + np.array(shape, _WIDTHS[code]).tobytes()

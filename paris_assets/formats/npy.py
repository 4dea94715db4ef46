"""The header of `.npy` files: written for arrays that come a part at a time or many of one shape, and read."""

from __future__ import annotations

import io
import tokenize
from functools import lru_cache
from typing import BinaryIO, NamedTuple

import numpy as np

UNREADABLE = (ValueError, EOFError, SyntaxError, TypeError, OverflowError, MemoryError, RecursionError,
              tokenize.TokenError)  # fmt: skip
"""What numpy raises of headers that are none."""
LONGEST_HEADER = 1 << 16


class NpyHeader(NamedTuple):
    """What a header says.

    Attributes:
        start: where the values begin.
    """

    shape: tuple[int, ...]
    fortran_order: bool
    dtype: np.dtype
    start: int


def read_npy_header(data: bytes) -> NpyHeader:
    """The header that a file begins with; nothing is unpickled.

    Raises:
        ValueError: there is none.
    """
    if not data.startswith(b"\x93NUMPY"):
        raise ValueError("it does not begin as one")
    before = 12 if data[6:7] > b"\x01" else 10
    length = before + int.from_bytes(data[8:before], "little")
    if length > min(len(data), LONGEST_HEADER):
        raise ValueError("its header is cut off")
    return _parsed(data[:length])


@lru_cache(maxsize=4096)
def _parsed(header: bytes) -> NpyHeader:
    file = io.BytesIO(header)
    try:
        version = np.lib.format.read_magic(file)
        read = np.lib.format.read_array_header_1_0 if version == (1, 0) else np.lib.format.read_array_header_2_0
        return NpyHeader(*read(file), file.tell())
    except UNREADABLE as error:
        raise ValueError((str(error).splitlines() or [type(error).__name__])[0][:100]) from error


def write_npy_header(file: BinaryIO, dtype: np.dtype, shape: tuple[int, ...]) -> None:
    """The header of an array in C order, as `np.save` writes it."""
    header = {"descr": np.lib.format.dtype_to_descr(dtype), "fortran_order": False, "shape": shape}
    np.lib.format.write_array_header_1_0(file, header)


@lru_cache(maxsize=256)
def npy_header(dtype: np.dtype, shape: tuple[int, ...]) -> bytes:
    """The same as bytes."""
    file = io.BytesIO()
    write_npy_header(file, dtype, shape)
    return file.getvalue()

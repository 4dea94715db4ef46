"""Arrays in training files: type, shape and whether their values are numbers to train on. Nothing is unpickled."""

from __future__ import annotations

import math
from typing import NamedTuple

import numpy as np

from paris_assets.formats.npy import read_npy_header

EXPONENT_AND_FRACTION, INFINITE = np.uint16(0x7FFF), np.uint16(0x7C00)  # of float16


class Form(NamedTuple):
    """What an array is like."""

    dtype: str
    shape: tuple[int, ...]

    def __str__(self) -> str:
        return f"{self.dtype} {'x'.join(map(str, self.shape)) or 'scalar'}"


class BadArray(ValueError):
    """No array that can be used.

    Attributes:
        kind: of problem.
    """

    def __init__(self, kind: str, what: str) -> None:
        super().__init__(what)
        self.kind = kind


def read_npy(data: bytes) -> np.ndarray:
    """The array of an ``.npy`` member, over its own bytes.

    Raises:
        BadArray: none, one that is cut off or goes on, or one of Python objects.
    """
    try:
        shape, fortran, dtype, start = read_npy_header(data)
    except ValueError as error:
        raise BadArray("unreadable_member", f"no .npy array ({error})") from error
    if dtype.hasobject:
        raise BadArray("object_array", "an array of Python objects, which is a pickle")
    needed, held = dtype.itemsize * math.prod(shape), len(data) - start
    if needed != held:
        raise BadArray("unreadable_member", f"{dtype} {shape} takes {needed} bytes, and {held} follow its header")
    try:
        flat = np.frombuffer(data, dtype, offset=start)
        return flat.reshape(shape[::-1]).T if fortran else flat.reshape(shape)
    except ValueError as error:
        raise BadArray("unreadable_member", f"{dtype} {shape} is no array ({error})") from error


def fault_of(array: np.ndarray) -> tuple[str, str] | None:
    """Kind of problem and what it is, of values that are no numbers to train on; None where they are."""
    if array.dtype.kind not in "fiu" or not array.size:
        return None
    if array.dtype.kind == "f" and not _all_finite(array):
        wrong = array.size - int(np.isfinite(array).sum())
        return "not_finite", f"{wrong} of {array.size} values are not finite"
    if array.size > 1 and not array.flat[0] and not array.any():
        return "all_zero", f"all {array.size} values are zero"
    return None


def _all_finite(array: np.ndarray) -> bool:
    """Whether every value of an array of floats is finite; half precision by its bits, which numpy is fast with."""
    if array.dtype.itemsize != 2 or not array.dtype.isnative:
        return bool(np.isfinite(array).all())
    return bool((array.view(np.uint16) & EXPONENT_AND_FRACTION).max() < INFINITE)

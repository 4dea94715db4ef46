"""Rows of vectors that are read some at a time: in memory, or as half precision in a file."""

from __future__ import annotations

from functools import partial
from typing import Any, Protocol

import numpy as np

from paris_assets.compiled import compiled_sums
from paris_assets.elsewhere import Held

BLOCK_ROWS = 4096


class Rows(Protocol):
    """(N, D) vectors, of which a caller holds a few at a time as float32."""

    @property
    def shape(self) -> tuple[int, int]:
        """N, D."""
        ...

    def take(self, rows: np.ndarray) -> np.ndarray:
        """(n,) int64 rising positions -> (n, D) float32, contiguous; not to be written to."""
        ...

    def held(self, rows: np.ndarray) -> Held:
        """``Rows`` of these positions alone, as parts of a step have them."""
        ...


class InMemory:
    """Vectors as they are.

    Args:
        vectors: (N, D) float32, contiguous, in memory or mapped from a file.
    """

    def __init__(self, vectors: np.ndarray) -> None:
        self._vectors = read_only(np.asarray(vectors))  # no memmap: its bytes would be copied wherever it is sent
        self.shape: tuple[int, int] = vectors.shape[0], vectors.shape[1]

    def take(self, rows: np.ndarray) -> np.ndarray:
        """See ``Rows``; consecutive ones are a view."""
        if len(rows) and rows[-1] - rows[0] + 1 == len(rows):
            return self._vectors[rows[0] : rows[-1] + 1]
        return read_only(self._vectors[rows])

    def held(self, rows: np.ndarray) -> Held:
        """See ``Rows``."""
        return Held(Some(self, rows), partial(self.take, rows), InMemory)


class UnitHalves:
    """Half-precision vectors, each part of which is given length one in float32 as it is read.

    Args:
        halves: (N, D) float16 or their bits, in memory or mapped from a file; finite, and no part of zeros only.
        ends: where each part ends, the last one D.
    """

    def __init__(self, halves: np.ndarray, ends: list[int]) -> None:
        self._bits = read_only(np.asarray(halves).view(np.uint16))
        self._ends = np.array(ends)
        self.shape: tuple[int, int] = halves.shape[0], halves.shape[1]

    def take(self, rows: np.ndarray) -> np.ndarray:
        """See ``Rows``; a row depends on its own values alone."""
        return read_only(_unit_parts(self._bits, rows, self._ends))

    def held(self, rows: np.ndarray) -> Held:
        """See ``Rows``."""
        return Held(Some(self, rows), partial(self._of, rows), partial(UnitHalves, ends=self._ends.tolist()))

    def _of(self, rows: np.ndarray) -> np.ndarray:
        return self._bits[rows]


class Some:
    """A part of other rows.

    Args:
        chosen: (n,) int64 rising positions.
    """

    def __init__(self, rows: Rows, chosen: np.ndarray) -> None:
        self._rows, self._chosen = rows, chosen
        self.shape: tuple[int, int] = len(chosen), rows.shape[1]

    def take(self, rows: np.ndarray) -> np.ndarray:
        """See ``Rows``."""
        return self._rows.take(self._chosen[rows])

    def held(self, rows: np.ndarray) -> Held:
        """See ``Rows``."""
        return self._rows.held(self._chosen[rows])


class Blocks:
    """Rows in blocks of the same boundaries whoever looks at them, each brought to other processes once.

    Attributes:
        rows: all of them.
        slices: where each begins and ends.
        held: its rows as parts of a step have them.
    """

    def __init__(self, rows: Rows) -> None:
        self.rows, count = rows, rows.shape[0]
        self.slices = [slice(start, min(start + BLOCK_ROWS, count)) for start in range(0, count, BLOCK_ROWS)]
        self.held: list[Any] = [rows.held(np.arange(block.start, block.stop)) for block in self.slices]


def read_only(array: np.ndarray) -> np.ndarray:
    """The same values, as other processes have them: it is the same code that numba compiles for both."""
    found = array.view()
    found.flags.writeable = False
    return found


@compiled_sums
def _unit_parts(halves: np.ndarray, rows: np.ndarray, ends: np.ndarray) -> np.ndarray:
    """The bits of float16 -> float32: exponent and fraction in their places, then times 2 ** 112, which is exact."""
    bits = np.empty((len(rows), halves.shape[1]), np.uint32)
    found = bits.view(np.float32)
    for i in range(len(rows)):
        half, wide, vector = halves[rows[i]], bits[i], found[i]
        for d in range(len(half)):
            value = np.uint32(half[d])
            wide[d] = ((value & np.uint32(0x7FFF)) << np.uint32(13)) | ((value & np.uint32(0x8000)) << np.uint32(16))
        begin = 0
        for end in ends:
            total = 0.0
            for d in range(begin, end):
                vector[d] *= np.float32(2.0**112)
                total += np.float64(vector[d]) * np.float64(vector[d])
            scale = 1 / np.sqrt(total)
            for d in range(begin, end):
                vector[d] = np.float32(vector[d] * scale)
            begin = end
    return found

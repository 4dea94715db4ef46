"""One version of a remote object as a file that is read in ranges."""

from __future__ import annotations

import io
import os
from collections.abc import Callable
from typing import Any


class ObjectFile(io.RawIOBase):
    """A file of known size whose bytes are asked for as they are read.

    Args:
        size: bytes of the object.
        block: (start, size) -> bytes, fewer only at the end.
    """

    def __init__(self, size: int, block: Callable[[int, int], bytes]) -> None:
        self._size, self._block, self._at = size, block, 0

    def readable(self) -> bool:
        """It is."""
        return True

    def seekable(self) -> bool:
        """It is."""
        return True

    def seek(self, offset: int, whence: int = os.SEEK_SET) -> int:
        """Go to a position, which costs no request."""
        self._at = max(0, offset + (0, self._at, self._size)[whence])
        return self._at

    def readinto(self, buffer: Any) -> int:
        """Fill a buffer by one request; returns the bytes that came."""
        block = self._block(self._at, len(buffer))
        buffer[: len(block)] = block
        self._at += len(block)
        return len(block)

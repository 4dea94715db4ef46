"""Files that are asked for as they are read."""

from __future__ import annotations

import io
import os
from collections.abc import Callable
from typing import Any


class Ranges(io.RawIOBase):
    """A file of known size.

    Args:
        block: (start, size) -> bytes.
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
        """See ``io.IOBase``."""
        self._at = max(0, offset + (0, self._at, self._size)[whence])
        return self._at

    def readinto(self, buffer: Any) -> int:
        """See ``io.RawIOBase``."""
        block = self._block(self._at, len(buffer))
        buffer[: len(block)] = block
        self._at += len(block)
        return len(block)

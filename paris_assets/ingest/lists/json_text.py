"""A window on a JSON file of any size."""

from __future__ import annotations

import codecs
import json
import re
from typing import IO

from paris_assets.ingest.lists.columns import SourceError

CHUNK_BYTES = 1 << 18
LONGEST_ELEMENT = 16 << 20  # characters
MARK = "\ufeff"
# Besides JSON's own: the record separator of RFC 7464, and what some programs take for the end of a line.
SPACE = re.compile(r"[ \t\r\n\x1e\x85\u2028\u2029]*")


class JsonText:
    """A window on a JSON file, read a value at a time.

    Args:
        handle: the file, decompressed, in UTF-8; `where` is its name in errors.
    """

    def __init__(self, handle: IO[bytes], where: str) -> None:
        handle.seek(0)
        self._handle, self._where, self._ended = handle, where, False
        self._window, self._at, self._passed = "", 0, 0
        # Bytes that are no UTF-8 count as what they are: positions are exact, and elements are as they stand.
        self._decoder = codecs.getincrementaldecoder("utf-8")("surrogateescape")
        self.take(MARK)

    def value(self) -> bytes:
        """The text of the value that comes next."""
        self.skip_space()
        while True:
            try:
                _, end = _DECODER.raw_decode(self._window, self._at)
            except (ValueError, RecursionError):
                end = -1
            if 0 <= end < len(self._window) or (end > 0 and self._ended):
                text = self._window[self._at : end]
                self._at = end
                return text.encode("utf-8", "surrogateescape")
            if len(self._window) - self._at > LONGEST_ELEMENT or self._ended:
                raise self._error()
            self._fill()

    def key(self) -> str:
        """The key of an object that comes next, with its colon."""
        if self.peek() != '"':
            raise self._error()
        name = json.loads(self.value())
        self.take(":", needed=True)
        return name

    def take(self, choice: str, needed: bool = False) -> str:
        """The next character that is no space if it is one of these, else nothing."""
        found = self.peek()
        if not found or found not in choice:
            if needed:
                raise self._error()
            return ""
        self._at += 1
        return found

    def peek(self) -> str:
        """The next character that is no space; empty at the end."""
        self.skip_space()
        return self._window[self._at : self._at + 1]

    def peek_within(self) -> str:
        """The first character within what the next one opens."""
        while True:
            space = SPACE.match(self._window, self._at + 1)
            place = space.end() if space else self._at + 1
            if place < len(self._window) or not self._fill():
                return self._window[place : place + 1]

    def skip_space(self) -> None:
        """Move to the next character that is no space."""
        while True:
            space = SPACE.match(self._window, self._at)
            self._at = space.end() if space else self._at
            if self._at < len(self._window) or not self._fill():
                return

    def end(self) -> None:
        """Refuse anything but space up to the end of the file."""
        if self.peek():
            raise self._error()

    def _fill(self) -> bool:
        chunk = self._handle.read(CHUNK_BYTES)
        self._ended = not chunk
        self._passed += self._bytes_read()
        self._window = self._window[self._at :] + self._decoder.decode(chunk, final=self._ended)
        self._at = 0
        return bool(chunk)

    def _bytes_read(self) -> int:
        return len(self._window[: self._at].encode("utf-8", "surrogateescape"))

    def _error(self) -> SourceError:
        position = self._passed + self._bytes_read()
        return SourceError(f"{self._where}: no JSON at byte {position}, or the file is cut off")


_DECODER = json.JSONDecoder()

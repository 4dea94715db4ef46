"""JSON files that are one array of objects, or one object of objects (ye-pop): read an element at a time."""

from __future__ import annotations

import codecs
import json
import re
from collections.abc import Iterator
from typing import IO

from paris_assets.ingest.columns import SourceError, without_surrogates

HEAD_BYTES = 1 << 20
CHUNK_BYTES = 1 << 18
LONGEST_ELEMENT = 16 << 20  # characters
MARK = "\ufeff"
OBJECT_OF_OBJECTS = re.compile(r'\{\s*"(?:[^"\\]|\\.)*"\s*:\s*\{')
SPACE = re.compile(r"[ \t\r\n]*")


def opening(handle: IO[bytes]) -> str:
    """`[` or `{` for a file that is one array or one object of objects; empty for JSON lines."""
    handle.seek(0)
    head = handle.read(HEAD_BYTES).decode(errors="replace").removeprefix(MARK).lstrip()
    if head.startswith("["):
        return "["
    if not OBJECT_OF_OBJECTS.match(head):
        return ""
    line, _, rest = head.partition("\n")
    return "" if _is_json(line) and rest.lstrip().startswith("{") else "{"


def elements(handle: IO[bytes], where: str, opened: str) -> Iterator[bytes]:
    """The JSON text of each element, as UTF-8; keys of an object of objects are left out.

    Args:
        handle: the file, decompressed; `where` is its name in errors.
        opened: what `opening` gave.

    Raises:
        SourceError: the file is no JSON from some element on, or ends before the array does.
    """
    text = _Text(handle, where)
    text.take(MARK)
    text.take(opened)
    if text.take("]}"):
        text.end()
        return
    while True:
        if opened == "{":
            text.value()
            text.take(":", needed=True)
        yield without_surrogates(text.value()).encode()
        if text.take(",]}", needed=True) != ",":
            text.end()
            return


class _Text:
    """A window on the file."""

    def __init__(self, handle: IO[bytes], where: str) -> None:
        handle.seek(0)
        self._handle, self._where, self._ended = handle, where, False
        self._window, self._at, self._passed = "", 0, 0
        # Bytes that are no UTF-8 count as what they are, so that the position in an error is exact.
        self._decoder = codecs.getincrementaldecoder("utf-8")("surrogateescape")

    def value(self) -> str:
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
                return text
            if len(self._window) - self._at > LONGEST_ELEMENT or not self._fill():
                raise self._error()

    def take(self, choice: str, needed: bool = False) -> str:
        """The next character that is no space if it is one of these, else nothing."""
        self.skip_space()
        found = self._window[self._at : self._at + 1]
        if not found or found not in choice:
            if needed:
                raise self._error()
            return ""
        self._at += 1
        return found

    def skip_space(self) -> None:
        """Move to the next character that is no space."""
        while True:
            space = SPACE.match(self._window, self._at)
            self._at = space.end() if space else self._at
            if self._at < len(self._window) or not self._fill():
                return

    def end(self) -> None:
        """Refuse anything but space up to the end of the file."""
        self.skip_space()
        if self._at < len(self._window):
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


def _is_json(line: str) -> bool:
    try:
        json.loads(line)
    except (ValueError, RecursionError):
        return False
    return True

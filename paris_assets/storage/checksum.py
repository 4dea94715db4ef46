"""Parquet files that know their own bytes: two hashes in the gap before the footer, where no reader looks.

Parquet's page checksums leave the footer out and polars does not verify them; a hash inside the footer cannot speak of
the footer. Readers find pages by position and the footer from the end, so bytes between the two are free.
"""

from __future__ import annotations

import hashlib
import io
import json
import threading
from contextlib import suppress
from pathlib import Path
from typing import IO

from paris_assets.errors import BrokenInvariant, UserError
from paris_assets.storage.location import Location
from paris_assets.storage.object_store import Stamp

MAX_FOOTER = 64 << 20
MAX_LINE = 4096
"""Bytes that one write adds to a file whole, whoever else adds to it."""
_HASH = 32
_END = 8  # length of the footer (little-endian) and the magic word


class DamagedFile(UserError, BrokenInvariant):
    """A file's bytes are not those that were written; the message names it."""

    def __init__(self, uri: str, what: str = "") -> None:
        found = f" ({what})" if what else ""
        super().__init__(f"{uri} is damaged{found}: its bytes are not those written. Delete it, and run again")


def seal(file: IO[bytes]) -> None:
    """Insert sha256(pages) and sha256(that hash + footer) before the footer of a finished Parquet file."""
    start = file.seek(0, 2) - _footer_bytes(_tail(file, _END))
    file.seek(start)
    footer = file.read()
    pages = _digest(file, start)
    file.seek(start)
    file.write(pages + hashlib.sha256(pages + footer).digest() + footer)


def sealed_footer(file: IO[bytes]) -> bytes | None:
    """Seal and footer of a file, or None where they are not as they were sealed."""
    length = _footer_bytes(_tail(file, _END))
    if length > MAX_FOOTER:
        return None
    tail = _tail(file, length + 2 * _HASH)
    known, footer = tail[: 2 * _HASH], tail[2 * _HASH :]
    whole = len(tail) == length + 2 * _HASH and hashlib.sha256(known[:_HASH] + footer).digest() == known[_HASH:]
    return tail if whole else None


def intact(file: IO[bytes]) -> bool:
    """Whether every byte is as it was sealed; about 1 second per GB."""
    tail = sealed_footer(file)
    return tail is not None and _digest(file, file.seek(0, 2) - len(tail)) == tail[:_HASH]


class VerifiedFiles:
    """Tables of a local root whose bytes are known to be those that were written: each version is read once per run.

    Object stores keep checksums of their own.
    """

    def __init__(self, location: Location, journal: Path | None = None) -> None:
        """Nothing is verified yet.

        Args:
            journal: a local file in which the processes of one run tell each other what they have verified or written,
                a line each; it is made when there is something to tell.
        """
        self._location, self._journal, self._at = location, journal, 0
        self._known: dict[str, Stamp] = {}
        self._lock = threading.Lock()

    def check(self, path: str) -> None:
        """Read a table's bytes, unless a process of this run has verified or written this very version of it.

        Raises:
            DamagedFile: they are not those that were sealed.
        """
        stamp = None if self._location.remote else self._location.stamp(path)
        if stamp is None or self._known.get(path) == stamp:
            return
        self._listen()
        if self._known.get(path) == stamp:
            return
        with self._location.open(path) as file:
            if not intact(file):
                raise DamagedFile(self._location.uri(path))
        self._tell(path, stamp)

    def wrote(self, path: str) -> None:
        """This process has just put a table in its place, and knows its bytes."""
        stamp = None if self._location.remote else self._location.stamp(path)
        if stamp is not None:
            self._tell(path, stamp)

    def _tell(self, path: str, stamp: Stamp) -> None:
        self._known[path] = stamp
        line = (json.dumps([path, *stamp]) + "\n").encode()
        if self._journal is None or len(line) > MAX_LINE:
            return
        self._journal.parent.mkdir(parents=True, exist_ok=True)
        with open(self._journal, "ab", buffering=0) as file:
            file.write(line)

    def _listen(self) -> None:
        """Read what was added to the journal since; half a line is left for the next time, a broken one left out."""
        if self._journal is None or not self._journal.exists():
            return
        with self._lock, open(self._journal, "rb") as file:
            self._at = self._at if self._at <= file.seek(0, io.SEEK_END) else 0
            file.seek(self._at)
            lines = file.read().splitlines(keepends=True)
            for line in lines:
                if not line.endswith(b"\n"):
                    break
                self._at += len(line)
                with suppress(ValueError):
                    path, *stamp = json.loads(line)
                    self._known[path] = tuple(stamp)


def _footer_bytes(end: bytes) -> int:
    return int.from_bytes(end[:4], "little") + _END


def _tail(file: IO[bytes], count: int) -> bytes:
    file.seek(max(0, file.seek(0, io.SEEK_END) - count))
    return file.read()


def _digest(file: IO[bytes], size: int) -> bytes:
    """sha256 of the first ``size`` bytes."""
    digest = hashlib.sha256()
    file.seek(0)
    while size > 0 and (block := file.read(min(size, 1 << 20))):
        digest.update(block)
        size -= len(block)
    return digest.digest()

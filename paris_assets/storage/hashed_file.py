"""Files that are hashed while they are written, by a thread beside: what is written is read once, in memory."""

from __future__ import annotations

import hashlib
import os
from collections import deque
from collections.abc import Iterable, Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from pathlib import Path
from types import TracebackType
from typing import Any, Protocol

import numpy as np
import xxhash

Buffer = bytes | bytearray | memoryview | np.ndarray
HASHES = ("blake2b", "md5", "sha1", "sha256", "sha512", "xxh3_64", "xxh64", "xxh128")
"""Names as StreamingDataset knows them too."""
BLOCK_BYTES = 1 << 20
BLOCKS_AHEAD = 4
"""Blocks of a file that wait for their hash: so much memory it takes, and no more."""
SENT_BYTES = 8 << 20
"""Bytes after which the disk is asked to begin."""


class Digest(Protocol):
    """What hashes bytes as they come."""

    def update(self, data: Any, /) -> None:
        """Further bytes."""
        ...

    def hexdigest(self) -> str:
        """The hash of all of them."""
        ...


def new_digest(name: str) -> Digest:
    """An empty hash of a name in ``HASHES``.

    Raises:
        ValueError: it is none of them.
    """
    if name not in HASHES:
        raise ValueError(f"{name!r} is no hash that is known here: {', '.join(HASHES)}")
    return getattr(xxhash, name)() if name.startswith("xxh") else hashlib.new(name, usedforsecurity=False)


def hashes_of(data: Buffer, names: Sequence[str]) -> dict[str, str]:
    """Name -> hex hash of bytes in memory."""
    found = {}
    for name in names:
        digest = new_digest(name)
        digest.update(data)
        found[name] = digest.hexdigest()
    return found


class HashedFile:
    """A new local file and the hashes of what is in it.

    Args:
        path: it must not be open elsewhere; what is there is replaced.
        hashes: names, of ``HASHES``.
        threads: they hash, several files at once, each hash of a file in the order of its blocks.
    """

    def __init__(self, path: Path, hashes: Sequence[str], threads: ThreadPoolExecutor) -> None:
        self.path, self.size_bytes = path, 0
        self._digests = {name: new_digest(name) for name in hashes}
        self._threads, self._waiting = threads, deque[list[Future[None]]]()
        self._parts: list[Buffer] = []
        self._held = self._sent = 0
        self._file = open(path, "wb", buffering=0)  # noqa: SIM115 (closed by close)

    def write(self, parts: Iterable[Buffer]) -> None:
        """Add buffers, which must not change until ``close``; arrays must be contiguous."""
        for part in parts:
            self._parts.append(part)
            self._held += size_of(part)
            if self._held >= BLOCK_BYTES:
                self._flush()

    def close(self) -> dict[str, str]:
        """Finish the file; name -> hex hash."""
        try:
            self._flush()
            while self._waiting:
                _wait(self._waiting.popleft())
        finally:
            self._file.close()
        return {name: digest.hexdigest() for name, digest in self._digests.items()}

    def __enter__(self) -> HashedFile:
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, at: TracebackType | None) -> None:
        self._file.close()

    def _flush(self) -> None:
        # One buffer: a thread that hashes many waits for the interpreter after each, which costs more than a copy.
        block = b"".join(self._parts)  # pyright: ignore[reportArgumentType]
        self._parts, self._held, self.size_bytes = [], 0, self.size_bytes + len(block)
        if len(self._waiting) >= BLOCKS_AHEAD:
            _wait(self._waiting.popleft())
        before = self._waiting[-1] if self._waiting else [None] * len(self._digests)
        self._waiting.append(
            [
                self._threads.submit(_update, digest, block, earlier)
                for digest, earlier in zip(self._digests.values(), before, strict=True)
            ]
        )
        self._put(block)
        if self.size_bytes - self._sent >= SENT_BYTES and hasattr(os, "posix_fadvise"):
            # Linux begins to write these pages to the disk, so the sync at the end finds little left.
            os.posix_fadvise(self._file.fileno(), self._sent, self.size_bytes - self._sent, os.POSIX_FADV_DONTNEED)
            self._sent = self.size_bytes

    def _put(self, block: bytes) -> None:
        rest = memoryview(block)
        while rest:  # a disk that is almost full takes a part
            rest = rest[self._file.write(rest) :]


def size_of(part: Buffer) -> int:
    """Bytes of a buffer."""
    return part.nbytes if isinstance(part, memoryview | np.ndarray) else len(part)


def _update(digest: Digest, block: bytes, before: Future[None] | None) -> None:
    if before is not None:
        before.result()  # begun earlier, so it never waits for this one
    digest.update(block)


def _wait(futures: Iterable[Future[None]]) -> None:
    for future in futures:
        future.result()

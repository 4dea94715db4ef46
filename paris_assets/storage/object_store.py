"""Files of a remote root: whole objects by name, read as they were stored or not at all; no listing is trusted."""

from __future__ import annotations

import errno
import glob
import hashlib
import io
import os
import re
import time
from collections.abc import Callable
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import IO, Any, TypeVar, cast

import fsspec
from fsspec import AbstractFileSystem
from fsspec.implementations.dirfs import DirFileSystem
from fsspec.utils import glob_translate

from paris_assets.errors import FileError
from paris_assets.storage.ranges import Ranges

T = TypeVar("T")
Stamp = tuple[Any, ...]
"""Opaque but for its second part, the size in bytes."""

ATTEMPTS = 4
"""Reads of an object of which other bytes came than were stored."""
BLOCK_BYTES = 16 << 20
WINDOW_BYTES = 256 << 10


class StorageError(FileError):
    """The root's object store did not do what was asked; the message says where, why and what to do."""

    def __init__(self, message: str) -> None:
        super().__init__(errno.EIO, message)


@dataclass(frozen=True)
class Head:
    """What a store says of an object: ETag or time of change, bytes, and the sha256 that `put` wrote beside it."""

    version: str
    size: int
    sha256: str | None = None


class OtherBytes(Exception):
    """What came is not what was stored."""


class ObjectStore:
    """The objects below one fsspec URL. Paths are relative to it.

    Every public method raises `StorageError` when the store stays out of reach, and `FileNotFoundError` for an absent
    object.
    """

    errors: tuple[type[Exception], ...] = (OSError,)
    """What requests raise and `_explain` puts into words."""

    def __init__(self, url: str) -> None:
        self.url = url

    def __reduce__(self) -> tuple[Any, ...]:
        return type(self), (self.url,)  # another process connects by itself

    def scan_options(self) -> dict[str, Any]:
        """polars' ``storage_options``."""
        return {}

    def abort_abandoned_uploads(self) -> None:
        """Abort uploads in parts that a killed process began, where the store keeps such."""

    def stamp(self, path: str) -> Stamp | None:
        """(version, bytes) by one request, or None when there is no such object."""
        try:
            head = self.head(path)
        except FileNotFoundError:
            return None
        return head.version, head.size

    def head(self, path: str) -> Head:
        """What the store says of an object, by one request."""
        return self._ask(path, lambda: self._head(path))

    def read(self, path: str) -> bytes:
        """A whole object in memory, of one version."""

        def whole() -> bytes:
            head = self._head(path)
            return self._range(path, head, 0, head.size)

        return self._ask(path, whole)

    def open(self, path: str) -> IO[bytes]:
        """A seekable file over one version of the object; reading fails once it is replaced."""
        head = self.head(path)
        return io.BufferedReader(Ranges(head.size, self._ranges(path, head)), WINDOW_BYTES)

    def ranges(self, path: str) -> Callable[[int, int], bytes]:
        """Reads (first byte, bytes) of one version of the object; they fail once it is replaced."""
        return self._ranges(path, self.head(path))

    def _ranges(self, path: str, head: Head) -> Callable[[int, int], bytes]:
        return lambda at, size: self._block(path, head, at, size)

    def put(self, local: Path, path: str) -> None:
        """Send a file: one request, or for a large one parts that only together become an object."""
        with local.open("rb") as file:
            sha256 = hashlib.file_digest(file, "sha256").hexdigest()
        try:
            self._ask(path, lambda: self._put(local, path, sha256))
        except FileNotFoundError:
            # The answer to "make the parts one object" was lost, and when asked again the store knows no parts.
            if self.head(path).sha256 != sha256:
                raise

    def put_if(self, data: bytes, path: str, stamp: Stamp | None) -> bool:
        """Write a small object if it is still that of `stamp` (None: if there is none); whether it then is ours."""
        version = None if stamp is None else str(stamp[0])
        try:
            return self._ask(path, lambda: self._put_if(data, path, version)) or self.read(path) == data
        except FileNotFoundError:
            return False

    def delete(self, path: str) -> None:
        """Remove an object; nothing happens when it is absent."""
        try:
            self._ask(path, lambda: self._delete(path))
        except FileNotFoundError:
            return

    def glob(self, pattern: str) -> list[str]:
        """What a listing, which may be out of date, says matches; a name without wildcards is looked up."""
        if not glob.has_magic(pattern):
            return [] if self.stamp(pattern) is None else [pattern]
        folder = re.split(r"[*?[]", pattern)[0].rpartition("/")[0]
        wanted = re.compile(glob_translate(pattern))
        return sorted(path for path in self._ask(pattern, lambda: self._list(folder)) if wanted.match(path))

    def download(self, path: str, local: Path) -> None:
        """Copy an object, block by block, to a local file that appears when it is whole and has its sha256."""
        part = local.with_name(f"{local.name}.part")
        self._ask(path, lambda: self._copy(path, part))
        os.replace(part, local)

    # How the store is asked: by fsspec, unless its class knows better.

    @cached_property
    def _files(self) -> AbstractFileSystem:
        try:
            files, base = fsspec.core.url_to_fs(self.url, use_listings_cache=False)
        except (ValueError, ImportError) as error:  # a scheme that nothing installed here knows
            raise StorageError(f"{self.url} cannot be reached: {error}") from error
        return DirFileSystem(base.rstrip("/"), files)

    def _head(self, path: str) -> Head:
        info = self._files.info(path)
        if info["type"] == "directory":
            raise FileNotFoundError(path)
        changed = info.get("etag") or info.get("ETag") or info.get("mtime") or info.get("created")
        return Head(str(changed), int(info["size"]))

    def _get(self, path: str, version: str, start: int, end: int) -> bytes:
        return cast(bytes, self._files.cat_file(path, start, end))

    def _put(self, local: Path, path: str, sha256: str) -> None:
        self._files.put_file(str(local), path)

    def _put_if(self, data: bytes, path: str, version: str | None) -> bool:
        found = self._head(path).version if self._files.isfile(path) else None
        if found == version:  # of two that ask at the same time, both may write
            self._files.pipe_file(path, data)
        return found == version

    def _delete(self, path: str) -> None:
        self._files.rm_file(path)

    def _list(self, folder: str) -> list[str]:
        return [str(path) for path in self._files.find(folder)]

    def _explain(self, error: Exception, path: str) -> str:
        return f"{self.url}/{path}: {type(error).__name__}: {error}"

    def _copy(self, path: str, local: Path) -> None:
        head, digest = self.head(path), hashlib.sha256()
        with local.open("wb") as copy:
            for start in range(0, head.size, BLOCK_BYTES):
                block = self._block(path, head, start, BLOCK_BYTES)
                digest.update(block)
                copy.write(block)
        _compare(head, digest.hexdigest())

    def _block(self, path: str, head: Head, start: int, size: int) -> bytes:
        """Bytes of one version of an object, fewer than ``size`` only at its end."""
        return self._ask(path, lambda: self._range(path, head, start, min(start + size, head.size)))

    def _range(self, path: str, head: Head, start: int, end: int) -> bytes:
        data = self._get(path, head.version, start, end) if start < end else b""
        if len(data) != max(0, end - start):
            raise OtherBytes(f"{len(data)} bytes came of {end - start}")
        if len(data) == head.size:
            _compare(head, hashlib.sha256(data).hexdigest())
        return data

    def _ask(self, path: str, request: Callable[[], T]) -> T:
        """The answer to a request, asked again when other bytes came, or an error in words."""
        for attempt in range(1, ATTEMPTS + 1):
            try:
                return request()
            except OtherBytes as error:
                if attempt == ATTEMPTS:
                    raise StorageError(f"{self.url}/{path}: {error}, {attempt} times; run again to go on") from None
                time.sleep(0.1 * attempt)
            except StorageError:
                raise
            except FileNotFoundError:
                raise FileNotFoundError(f"no file {self.url}/{path}") from None
            except self.errors as error:
                raise StorageError(self._explain(error, path)) from None
        raise AssertionError("the last attempt returns or raises")


def _compare(head: Head, sha256: str) -> None:
    if head.sha256 not in (None, sha256):
        raise OtherBytes("the bytes that came are not those that were stored")

"""Files with a size and a hash that somebody promised: brought near, hashed by threads ahead of use, and compared."""

from __future__ import annotations

import os
import shutil
import tempfile
import tokenize
import zipfile
from collections.abc import Iterable, Mapping
from concurrent.futures import Future, ThreadPoolExecutor
from pathlib import Path, PurePosixPath
from types import TracebackType
from typing import BinaryIO, Literal, NamedTuple

import numpy as np

from paris_assets.storage.location import Location, sha256_file
from paris_assets.verification.findings import Findings

# What numpy raises for the headers of damaged files, by what the damage happens to look like.
UNREADABLE = (
    ValueError,
    EOFError,
    OSError,
    SyntaxError,
    TypeError,
    OverflowError,
    MemoryError,
    RecursionError,
    tokenize.TokenError,
    zipfile.BadZipFile,
)


class Promise(NamedTuple):
    """What a manifest or a record says of a file."""

    size_bytes: int
    sha256: str


def load_array(source: Path | BinaryIO, mmap_mode: Literal["r"] | None = None) -> np.ndarray:
    """The array of an ``.npy`` file.

    Raises:
        ValueError: it is none; the message is one short line.
    """
    try:
        array = np.load(source, mmap_mode=mmap_mode, allow_pickle=False)
    except UNREADABLE as error:
        raise ValueError((str(error).splitlines() or [type(error).__name__])[0][:100]) from error
    if not isinstance(array, np.ndarray):
        array.close()
        raise ValueError("an archive of arrays")
    return array


class _Found(NamedTuple):
    local: Path | None
    size_bytes: int
    sha256: str
    error: str


class ListedFiles:
    """Local copies of listed files (the files themselves under a local root), each read and hashed once.

    Hashing runs in threads, block by block. Of a remote root only files that were asked for are copied, into a
    scratch folder, until they are dropped.
    """

    def __init__(self, root: Location, promises: Mapping[str, Promise], findings: Findings) -> None:
        self.promises = {path: promise for path, promise in promises.items() if self._inside(path, findings)}
        self._root, self._findings = root, findings
        self._pool = ThreadPoolExecutor(min(8, os.cpu_count() or 1), thread_name_prefix="hash")
        self._folder = Path(tempfile.mkdtemp(prefix="paris-verify-")) if root.remote else Path()
        self._jobs: dict[str, Future[_Found]] = {}
        self._taken: dict[str, Path | None] = {}

    def __enter__(self) -> ListedFiles:
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, at: TracebackType | None) -> None:
        self._pool.shutdown(cancel_futures=True)
        if self._root.remote:
            shutil.rmtree(self._folder, ignore_errors=True)

    def prepare(self, paths: Iterable[str]) -> None:
        """Begin to read and hash files that will be taken."""
        for path in paths:
            if path in self.promises and path not in self._jobs:
                self._jobs[path] = self._pool.submit(self._read, path, len(self._jobs))

    def take(self, path: str) -> Path | None:
        """The local copy, or None when there is none; what differs from the promise is reported once."""
        if path not in self._taken:
            self.prepare([path])
            found = self._jobs[path].result() if path in self._jobs else None
            self._taken[path] = found.local if found else None
            if found:
                self._compare(path, found)
        return self._taken[path]

    def drop(self, paths: Iterable[str]) -> None:
        """Forget the local copies of a remote root's files."""
        for path in paths:
            local = self._taken.get(path)
            if local and self._root.remote:
                local.unlink(missing_ok=True)

    def _read(self, path: str, number: int) -> _Found:
        try:
            if self._root.size(path) is None:
                return _Found(None, 0, "", "")
            folder = self._folder / str(number)
            if self._root.remote:
                folder.mkdir()
            local = self._root.fetch(path, folder)
            return _Found(local, local.stat().st_size, sha256_file(local), "")
        except OSError as error:
            return _Found(None, 0, "", str(error))

    def _compare(self, path: str, found: _Found) -> None:
        promise = self.promises[path]
        self._findings.checked["files"] += 1
        self._findings.checked["bytes"] += found.size_bytes
        if found.local is None:
            missing = ("a file that cannot be read: " + found.error) if found.error else "no such file"
            self._findings.problem(path, f"{promise.size_bytes} bytes", missing, "bring it back: paris run")
        elif found.size_bytes != promise.size_bytes:
            said = f"{found.size_bytes} bytes"
            self._findings.problem(path, f"{promise.size_bytes} bytes", said, "make it again: paris run")
        elif found.sha256 != promise.sha256:
            self._findings.problem(path, f"sha256 {promise.sha256}", f"sha256 {found.sha256}")

    @staticmethod
    def _inside(path: str, findings: Findings) -> bool:
        inside = not path.startswith("/") and ".." not in PurePosixPath(path).parts and "://" not in path
        if not inside or "\0" in path:
            found = "one with a NUL" if inside else "one that leads out of it"
            remedy = "the file was not read; make the manifest again: paris run --force --select pipeline_manifest"
            findings.problem(path.replace("\0", "\\0"), "a path below the manifest's folder", found, remedy)
        return inside and "\0" not in path

"""Where results live: a local folder or any fsspec URL, written atomically."""

from __future__ import annotations

import glob
import hashlib
import os
import platform
import shutil
import tempfile
import uuid
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path, PurePosixPath
from typing import IO, Any

import fsspec


class Root:
    """A tree of finished files. Paths are relative to it, with forward slashes.

    A file is either absent or whole: data is first complete in a local scratch file, then renamed (local) or sent in
    one put (remote). Listings are never used to decide what exists.
    """

    def __init__(self, url: str | Path, storage_options: dict[str, Any] | None = None) -> None:
        self.url = str(url).rstrip("/")
        self.remote = "://" in self.url and not self.url.startswith("file://")
        self.storage_options = dict(storage_options or {}) if self.remote else {}
        if not self.remote:
            self.url = str(Path(self.url.removeprefix("file://")).absolute())
        listing = {"use_listings_cache": False} if self.remote else {}
        self._fs, self._base = fsspec.core.url_to_fs(self.url, **self.storage_options, **listing)

    def uri(self, path: str) -> str:
        """The full address of ``path``, as polars and people use it."""
        return f"{self.url}/{_relative(path)}"

    def size(self, path: str) -> int | None:
        """Bytes of a file, or None when there is none."""
        try:
            if not self.remote:
                return Path(self.uri(path)).stat().st_size
            self._fs.invalidate_cache()
            return int(self._fs.info(self._at(path))["size"])
        except FileNotFoundError:
            return None

    def read(self, path: str) -> bytes:
        """The bytes of a file; FileNotFoundError when there is none."""
        return bytes(self._fs.cat_file(self._at(path)))

    @contextmanager
    def open(self, path: str) -> Iterator[IO[bytes]]:
        """A file opened for random reads."""
        with self._fs.open(self._at(path), "rb") as file:
            yield file

    def put(self, local: Path, path: str) -> None:
        """Move a complete scratch file to its final name, replacing what is there."""
        if self.remote:
            self._fs.put_file(str(local), self._at(path))
            local.unlink()
            return
        final = Path(self.uri(path))
        final.parent.mkdir(parents=True, exist_ok=True)
        with open(local, "rb") as file:
            os.fsync(file.fileno())
        os.replace(local, final)
        _sync_folder(final.parent)

    def put_bytes(self, data: bytes, path: str) -> None:
        """Write a small file atomically."""
        with self.scratch() as folder:
            local = folder / "file"
            local.write_bytes(data)
            self.put(local, path)

    def delete(self, path: str) -> None:
        """Remove a file; nothing happens when it is absent."""
        try:
            self._fs.rm_file(self._at(path))
        except FileNotFoundError:
            return

    def glob(self, pattern: str) -> list[str]:
        """Relative paths that match; only for finding leftovers, never for deciding what is done."""
        if self.remote:
            self._fs.invalidate_cache()
        base = self._base.rstrip("/") + "/"
        found = self._fs.glob(glob.escape(base) + _relative(pattern))
        return sorted(path.removeprefix(base) for path in found)

    @contextmanager
    def scratch(self) -> Iterator[Path]:
        """A private folder for files in the making, on the root's own disk when the root is local."""
        parent = self._scratch_parent()
        folder = parent / f"{_host()}-{os.getpid()}-{uuid.uuid4().hex[:8]}"
        folder.mkdir(parents=True)
        try:
            yield folder
        finally:
            shutil.rmtree(folder, ignore_errors=True)

    def remove_abandoned_scratch(self) -> None:
        """Delete scratch folders of this machine whose process is gone (a killed run leaves them)."""
        for folder in self._scratch_parent().glob(f"{_host()}-*-*"):
            if not _alive(int(folder.name.split("-")[1])):
                shutil.rmtree(folder, ignore_errors=True)

    def fetch(self, path: str, folder: Path) -> Path:
        """A local copy of a file: the file itself when the root is local."""
        if not self.remote:
            return Path(self.uri(path))
        local = folder / PurePosixPath(path).name
        if not local.exists():
            self._fs.get_file(self._at(path), str(local))
        return local

    def _scratch_parent(self) -> Path:
        return Path(tempfile.gettempdir()) / "paris_assets" if self.remote else Path(self.url) / ".scratch"

    def _at(self, path: str) -> str:
        return f"{self._base.rstrip('/')}/{_relative(path)}"


def sha256_file(path: Path) -> str:
    """Hex sha256 of a local file, read in blocks."""
    with open(path, "rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()


def _relative(path: str) -> str:
    parts = PurePosixPath(path).parts
    if path.startswith("/") or ".." in parts:
        raise ValueError(f"{path!r} is not a path below the root")
    return "/".join(parts)


def _host() -> str:
    """This machine's name as one word: a process id means nothing on another machine that shares the disk."""
    return platform.node().replace("-", "_") or "host"


def _alive(process: int) -> bool:
    try:
        os.kill(process, 0)
    except ProcessLookupError:
        return False
    except PermissionError:
        return True
    return True


def _sync_folder(folder: Path) -> None:
    descriptor = os.open(folder, os.O_RDONLY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)

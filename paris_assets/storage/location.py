"""Where results live: a local folder or any fsspec URL, written atomically."""

from __future__ import annotations

import errno
import glob
import hashlib
import os
import shutil
import uuid
from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager, contextmanager
from pathlib import Path, PurePosixPath
from typing import IO, Any
from zlib import crc32

from paris_assets.errors import explained
from paris_assets.storage.address import parse_address
from paris_assets.storage.lock import exclusive, free, held
from paris_assets.storage.object_store import ObjectStore, Stamp
from paris_assets.storage.private_folder import private_folder
from paris_assets.storage.s3_credentials import S3Credentials

LOCKS = 64
HELD = ".held"
"""A lock in each scratch folder that its process holds."""


class Location:
    """A tree of finished files. Paths are relative to it, with forward slashes.

    A file is either absent or whole: data is first complete in a local scratch file, then renamed (local) or sent in
    one put (remote). Listings are never used to decide what exists.
    """

    def __init__(self, url: str | Path, s3: S3Credentials | None = None) -> None:
        """A folder, ``file://`` URL or fsspec URL.

        Args:
            s3: how an ``s3://`` bucket is reached; by default as boto3 finds out by itself.

        Raises:
            AddressError: the address holds credentials, or names no folder.
        """
        self.url = parse_address(str(url))
        self.remote = "://" in self.url
        self.on_s3 = self.url.startswith("s3://")
        self._objects: ObjectStore | None = None
        if self.on_s3:
            from paris_assets.storage.s3 import S3Objects

            self._objects = S3Objects(self.url, s3 or S3Credentials())
        elif self.remote:
            self._objects = ObjectStore(self.url)

    @property
    def storage_options(self) -> dict[str, Any]:
        """What polars needs to read below the root; empty when the root is local."""
        return self._objects.scan_options() if self._objects else {}

    def uri(self, path: str) -> str:
        """The full address of ``path``, as polars and people use it."""
        return f"{self.url.rstrip('/')}/{_relative(path)}"

    def stamp(self, path: str) -> Stamp | None:
        """An opaque value that changes whenever the file does, or None when there is none; one request if remote."""
        if self._objects:
            return self._objects.stamp(_relative(path))
        try:
            status = os.stat(self.uri(path))
        except FileNotFoundError:
            return None
        except OSError:
            with explained(self.uri(path)):
                raise
        return status.st_mtime_ns, status.st_size, status.st_ino

    def size(self, path: str) -> int | None:
        """Bytes of a file, or None when there is none."""
        stamp = self.stamp(path)
        return None if stamp is None else stamp[1]

    def read(self, path: str) -> bytes:
        """The bytes of a file; FileNotFoundError when there is none."""
        if self._objects:
            return self._objects.read(_relative(path))
        with explained(self.uri(path), but=(FileNotFoundError,)):
            return Path(self.uri(path)).read_bytes()

    @contextmanager
    def open(self, path: str) -> Iterator[IO[bytes]]:
        """A file opened for random reads: all of them see one version of it, or fail."""
        with self._objects.open(_relative(path)) if self._objects else _opened(self.uri(path)) as file:
            yield file

    def ranges(self, path: str) -> Callable[[int, int], bytes]:
        """Reads (first byte, bytes) of one version of a remote file, by a request each, from several threads at once.

        Fewer bytes come at its end; StorageError once it is replaced, FileNotFoundError when there is none.
        """
        if not self._objects:
            raise ValueError(f"{self.url} is a folder: map its files")
        return self._objects.ranges(_relative(path))

    def put(self, local: Path, path: str) -> None:
        """Move a complete scratch file to its final name, replacing what is there."""
        if self._objects:
            self._objects.put(local, _relative(path))
            local.unlink()
            return
        final = Path(self.uri(path))
        with explained(final, "written"):
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

    def probe(self) -> None:
        """Write, read back and delete a small file.

        Raises:
            OSError: the root cannot be used; the message says why.
        """
        path = f".probe-{uuid.uuid4().hex}"
        self.put_bytes(b"probe", path)
        try:
            self.read(path)
        finally:
            self.delete(path)

    def put_if(self, data: bytes, path: str, stamp: Stamp | None) -> bool:
        """Write a small object of a remote root if it is still that of `stamp` (None: if there is none).

        Returns:
            Whether it was written, so far as the store knows conditional requests.
        """
        if not self._objects:
            raise ValueError(f"{self.url} is a folder: use a lock file there")
        return self._objects.put_if(data, _relative(path), stamp)

    def delete(self, path: str) -> None:
        """Remove a file; nothing happens when it is absent."""
        if self._objects:
            self._objects.delete(_relative(path))
        else:
            with explained(self.uri(path), "removed"):
                Path(self.uri(path)).unlink(missing_ok=True)

    def glob(self, pattern: str) -> list[str]:
        """Relative paths that match; only for finding leftovers, never for deciding what is done."""
        if self._objects:
            return self._objects.glob(_relative(pattern))
        return sorted(glob.glob(_relative(pattern), root_dir=self.url, recursive=True))

    @contextmanager
    def scratch(self) -> Iterator[Path]:
        """A private folder for files in the making, on the root's own disk when the root is local.

        Raises:
            FileError: it cannot be made, or its disk is full.
        """
        folder = self._scratch_parent() / f"files-{os.getpid()}-{uuid.uuid4().hex}"
        draft = folder.with_name(f".{folder.name}")
        try:
            with explained(draft, "made"):
                draft.mkdir(parents=True)
            with held(draft / HELD):
                draft.rename(folder)  # whoever sees it finds it held
                with _full_disk_explained(folder):
                    yield folder
        finally:
            shutil.rmtree(folder, ignore_errors=True)
            shutil.rmtree(draft, ignore_errors=True)

    def remove_abandoned_scratch(self) -> None:
        """Delete scratch folders whose process is gone (a killed run leaves them), and of an S3 root its uploads."""
        if self._objects:
            self._objects.abort_abandoned_uploads()
        for folder in self._scratch_parent().glob("files-*-*"):
            # Process numbers and host names say nothing of another container or machine; a lock does.
            if free(folder / HELD):
                shutil.rmtree(folder, ignore_errors=True)

    def alone(self, path: str) -> AbstractContextManager[None]:
        """A lock between processes of this machine, for files that have to change together."""
        return exclusive(self._scratch_parent() / f"lock-{crc32(self.uri(path).encode()) % LOCKS:02d}")

    def fetch(self, path: str, folder: Path) -> Path:
        """A local copy of a file, whole: the file itself when the root is local.

        Raises:
            FileNotFoundError: there is none.
        """
        if not self._objects:
            return Path(self.uri(path))
        local = folder / PurePosixPath(path).name
        if not local.exists():
            self._objects.download(_relative(path), local)
        return local

    def _scratch_parent(self) -> Path:
        return private_folder() if self.remote else Path(self.url) / ".scratch"


def sha256_file(path: Path) -> str:
    """Hex sha256 of a local file, read in blocks."""
    with open(path, "rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()


def _opened(path: str) -> IO[bytes]:
    with explained(path, but=(FileNotFoundError,)):
        return open(path, "rb")


@contextmanager
def _full_disk_explained(folder: Path) -> Iterator[None]:
    """Of what is done in a folder only this is sure to be the user's to mend."""
    try:
        yield
    except OSError as error:
        if error.errno not in (errno.ENOSPC, errno.EDQUOT):
            raise
        with explained(folder, "written"):
            raise


def _relative(path: str) -> str:
    parts = path.split("/")
    if path.startswith("/") or ".." in parts:
        raise ValueError(f"{path!r} is not a path below the root")
    return "/".join(part for part in parts if part not in ("", "."))


def _sync_folder(folder: Path) -> None:
    descriptor = os.open(folder, os.O_RDONLY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)

"""Files of a remote root: whole objects by name, asked for again within bounds; no listing is trusted."""

from __future__ import annotations

import glob
import hashlib
import io
import os
import time
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import IO, Any, TypeVar, cast

import fsspec
from fsspec.asyn import sync

from paris_assets.storage.object_file import ObjectFile
from paris_assets.storage.s3 import S3, StorageError, split_url

T = TypeVar("T")
Stamp = tuple[Any, ...]
"""Opaque but for its second part, the size in bytes."""

ATTEMPTS = 4
DEADLINE_S = 60.0
"""A request that broke off is not begun anew after this long. Each has its own retries and timeouts (see s3.py)."""
BLOCK_BYTES = 16 << 20
PART_BYTES = 32 << 20
WINDOW_BYTES = 256 << 10
OTHER_BYTES = "the bytes that came are not those that were stored"


@dataclass(frozen=True)
class Head:
    """What the store says of an object."""

    version: str
    """ETag, or for other stores a time of change."""
    size: int
    sha256: str | None = None
    """Written by `put` beside the object."""


class BrokenOff(OSError):
    """An answer ended early, or is not what was stored."""


class ObjectStore:
    """The objects below one fsspec URL. Paths are relative to it.

    Every method raises `StorageError` when the store stays out of reach, and `FileNotFoundError` for an absent object.
    """

    def __init__(self, url: str) -> None:
        self.url = url
        self._s3 = S3(url) if url.startswith("s3://") else None
        options = self._s3.s3fs_options() if self._s3 else {}
        self._fs, base = fsspec.core.url_to_fs(url, **options, use_listings_cache=False)
        self._base = base.rstrip("/")
        self._fs.retries = 1  # botocore repeats requests, and this module what breaks off: s3fs would multiply both

    def scan_options(self) -> dict[str, Any]:
        """polars' ``storage_options``."""
        return self._s3.polars_options() if self._s3 else {}

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
        """A whole object in memory, of one version: asked for again when it was replaced between two requests."""

        def whole() -> bytes:
            head = self._head(path)
            try:
                return self._range(path, head, 0, head.size)
            except OSError as error:
                if _refused_by_condition(error):
                    raise BrokenOff("it was replaced while it was read") from error
                raise

        return self._ask(path, whole)

    def open(self, path: str) -> IO[bytes]:
        """A seekable file over one version of the object; reading fails once it is replaced."""
        head = self.head(path)
        ranges = ObjectFile(head.size, lambda start, size: self.block(path, head, start, size))
        return io.BufferedReader(ranges, WINDOW_BYTES)

    def put(self, local: Path, path: str) -> None:
        """Send a file: one request, or for a large one parts that only together become an object."""
        with local.open("rb") as file:
            sha256 = hashlib.file_digest(file, "sha256").hexdigest()
        named = {"Metadata": {"sha256": sha256}} if self._s3 else {}
        try:
            self._ask(path, lambda: self._fs.put_file(str(local), self._at(path), chunksize=PART_BYTES, **named))
        except FileNotFoundError:
            # The answer to "make the parts one object" was lost, and when asked again the store knows no parts.
            if self.head(path).sha256 != sha256:
                raise

    def create(self, data: bytes, path: str) -> bool:
        """Write a small object unless there is one already; False when there is."""
        if not self._s3:
            if self.stamp(path) is None:
                self._ask(path, lambda: self._fs.pipe_file(self._at(path), data))
                return True
            return False

        def put() -> bool:
            try:
                self._fs.call_s3("put_object", **self._object(path), Body=data, IfNoneMatch="*")
            except OSError as error:
                if _refused_by_condition(error):
                    return False
                raise
            return True

        return self._ask(path, put)

    def delete(self, path: str) -> None:
        """Remove an object; nothing happens when it is absent."""
        try:
            self._ask(path, lambda: self._fs.rm_file(self._at(path)))
        except FileNotFoundError:
            return

    def glob(self, pattern: str) -> list[str]:
        """What a listing, which may be out of date, says matches."""
        self._fs.invalidate_cache()
        found: list[str] = self._ask(pattern, lambda: self._fs.glob(f"{glob.escape(self._base)}/{pattern}"))
        return sorted(path.removeprefix(f"{self._base}/") for path in found)

    def download(self, path: str, local: Path) -> None:
        """Copy an object, block by block, to a local file that appears when it is whole and has its sha256."""
        part = local.with_name(f"{local.name}.part")
        self._ask(path, lambda: self._copy(path, part))
        os.replace(part, local)

    def block(self, path: str, head: Head, start: int, size: int) -> bytes:
        """Bytes of one version of an object, fewer than ``size`` only at its end."""
        end = min(start + size, head.size)
        return self._ask(path, lambda: self._range(path, head, start, end))

    def _head(self, path: str) -> Head:
        if self._s3:
            answer = self._fs.call_s3("head_object", **self._object(path))
            return Head(answer["ETag"], answer["ContentLength"], answer.get("Metadata", {}).get("sha256"))
        info = self._fs.info(self._at(path))
        changed = info.get("etag") or info.get("ETag") or info.get("mtime") or info.get("created")
        return Head(str(changed), int(info["size"]))

    def _range(self, path: str, head: Head, start: int, end: int) -> bytes:
        if start >= end:
            return b""
        if self._s3:
            data = self._get(path, Range=f"bytes={start}-{end - 1}", IfMatch=head.version)
        else:
            data = bytes(self._fs.cat_file(self._at(path), start, end))
        if len(data) != end - start:
            raise BrokenOff(f"{len(data)} bytes came of {end - start}")
        if head.sha256 and end - start == head.size and hashlib.sha256(data).hexdigest() != head.sha256:
            raise BrokenOff(OTHER_BYTES)
        return data

    def _get(self, path: str, **request: str) -> bytes:
        from botocore.exceptions import FlexibleChecksumError
        from s3fs.core import S3_RETRYABLE_ERRORS

        answer = self._fs.call_s3("get_object", **self._object(path), **request)
        try:
            return cast(bytes, sync(self._fs.loop, _drain, answer["Body"]))
        except (FlexibleChecksumError, *S3_RETRYABLE_ERRORS) as error:
            raise BrokenOff(f"the answer broke off ({type(error).__name__})") from error

    def _copy(self, path: str, local: Path) -> None:
        head, digest = self._head(path), hashlib.sha256()
        with local.open("wb") as copy:
            for start in range(0, head.size, BLOCK_BYTES):
                block = self.block(path, head, start, BLOCK_BYTES)
                digest.update(block)
                copy.write(block)
        if head.sha256 and digest.hexdigest() != head.sha256:
            raise BrokenOff(OTHER_BYTES)

    def _ask(self, path: str, request: Callable[[], T]) -> T:
        """The answer to a request, asked again when it broke off, or an error in words."""
        start, pause = time.monotonic(), 0.1
        for attempt in range(1, ATTEMPTS + 1):
            try:
                return request()
            except StorageError:
                raise
            except BrokenOff as error:
                if attempt == ATTEMPTS or time.monotonic() - start > DEADLINE_S:
                    raise StorageError(f"{self.url}/{path}: {error}, {attempt} times; run again to go on") from None
            except (OSError, *self._sdk_errors()) as error:
                words = self._explain(error, path)
                if words is None:
                    raise FileNotFoundError(f"no file {self.url}/{path}") from None
                raise StorageError(words) from None
            time.sleep(pause)
            pause *= 2
        raise AssertionError("the last attempt returns or raises")

    def _explain(self, error: Exception, path: str) -> str | None:
        if self._s3:
            return self._s3.explain(error, path)
        return None if isinstance(error, FileNotFoundError) else f"{self.url}/{path}: {type(error).__name__}: {error}"

    def _sdk_errors(self) -> tuple[type[Exception], ...]:
        if not self._s3:
            return ()
        from botocore.exceptions import BotoCoreError

        return (BotoCoreError,)

    def _object(self, path: str) -> dict[str, str]:
        bucket, prefix = split_url(self.url)
        return {"Bucket": bucket, "Key": f"{prefix}/{path}".lstrip("/")}

    def _at(self, path: str) -> str:
        return f"{self._base}/{path}"


def _refused_by_condition(error: OSError) -> bool:
    """Whether `IfMatch` or `IfNoneMatch` did not hold."""
    cause = repr(error.__cause__)
    return "PreconditionFailed" in cause or "ConditionalRequestConflict" in cause


async def _drain(body: Any) -> bytes:
    try:
        return await body.read()
    finally:
        body.close()

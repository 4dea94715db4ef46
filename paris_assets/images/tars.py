"""Tars whose bytes depend on their members only, read back by position."""

from __future__ import annotations

import hashlib
import io
import os
import tarfile
from collections.abc import Iterable, Iterator
from pathlib import Path

import polars as pl

from paris_assets.storage.checksum import DamagedFile


def write_tar(path: Path, members: Iterable[tuple[str, bytes]]) -> list[int]:
    """Write an uncompressed ustar archive with fixed headers (mtime 0, uid and gid 0, mode 0644).

    Args:
        path: local file, replaced if it exists.
        members: (name, content), taken one at a time; names of at most 100 bytes.

    Returns:
        The byte position of each member's content.

    Raises:
        ValueError: a name that does not fit a ustar header.
    """
    offsets: list[int] = []
    with tarfile.open(path, "w", format=tarfile.USTAR_FORMAT) as tar:
        for name, content in members:
            if len(name.encode()) > tarfile.LENGTH_NAME:
                raise ValueError(f"{path}: member name {name!r} is longer than {tarfile.LENGTH_NAME} bytes")
            header = tarfile.TarInfo(name)
            header.size, header.mode = len(content), 0o644
            offsets.append(tar.offset + tarfile.BLOCKSIZE)
            tar.addfile(header, io.BytesIO(content))
    return offsets


def read_images(path: Path, wanted: pl.DataFrame) -> Iterator[tuple[str, bytes]]:
    """Images of a shard's tar, in the order of their position, which is the order of their image_id.

    Args:
        path: local tar.
        wanted: `image_id` Str, `offset` i64, `stored_bytes` i64, `stored_sha256` Str; repeated ids are read once.

    Raises:
        DamagedFile: an image is not what was stored.
    """
    rows = wanted.select("image_id", "offset", "stored_bytes", "stored_sha256").unique("image_id").sort("offset")
    with path.open("rb") as tar:
        for image_id, offset, size, sha256 in rows.iter_rows():
            content = os.pread(tar.fileno(), size, offset)
            yield image_id, whole_image(image_id, content, sha256, str(path))


def whole_image(image_id: str, content: bytes, sha256: str, uri: str) -> bytes:
    """The content, which is what was stored of an image: the file as fetched, whose hash its image_id is a part of, or
    what was encoded from it.

    Raises:
        DamagedFile: it is not.
    """
    if hashlib.sha256(content).hexdigest() != sha256:
        raise DamagedFile(uri, f"image {image_id}")
    return content

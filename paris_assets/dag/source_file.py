"""Whether a source file is still the one whose rows were read."""

from __future__ import annotations

import glob
import hashlib
from collections.abc import Sequence
from functools import lru_cache
from itertools import takewhile
from typing import IO, Any, cast

import fsspec
from fsspec import AbstractFileSystem

MIB = 1 << 20


def source_identity(source: str, file: str, members: Sequence[str] | None = None) -> str:
    """Hash that changes when a shard's part of the source does.

    Args:
        source: file, glob, folder or URL of the source.
        file: path below the source's folder; empty for a folder of images.
        members: images of the shard, for a folder of images: known by size and time of change, with metadata.jsonl.
    """
    if file:
        return file_identity(source, file)
    fs, inner = fsspec.core.url_to_fs(source.rstrip("/"), use_listings_cache=False)
    digest = hashlib.sha256()
    for member in (*(members or ()), "metadata.jsonl"):
        path = f"{inner}/{member}"
        if member in (members or ()) or fs.exists(path):
            digest.update(f"{member} {_stamp(fs.info(path))}\n".encode())
    return digest.hexdigest()


def file_identity(source: str, file: str) -> str:
    """Hash of a source file's size, first and last MiB, and, beyond these two, of the time that it was changed.

    Args:
        source: file, glob, folder or URL of the source.
        file: path below the source's folder.
    """
    fs, inner = fsspec.core.url_to_fs(source.rstrip("/"), use_listings_cache=False)
    fixed = list(takewhile(lambda part: not glob.has_magic(part), inner.split("/")))
    whole = "/".join(fixed) == inner.rstrip("/")
    if fs.isfile(inner):
        base = inner.rpartition("/")[0]
    else:
        base = inner if whole and fs.isdir(inner) else "/".join(fixed[:-1] if whole else fixed)
    info = fs.info(f"{base}/{file}")
    ends = _ends if info["size"] <= 2 * MIB else _known_ends
    return ends(fs, f"{base}/{file}", _stamp(info) if info["size"] > 2 * MIB else "")


def _ends(fs: AbstractFileSystem, path: str, stamp: str) -> str:
    with cast(IO[bytes], fs.open(path, "rb")) as handle:
        size = handle.seek(0, 2)
        handle.seek(0)
        digest = hashlib.sha256(str(size).encode() + handle.read(MIB))
        handle.seek(max(0, size - MIB))
        digest.update(handle.read(MIB))
    digest.update(stamp.encode())
    return digest.hexdigest()


# A large file has many shards, each of which asks; it is another file when its stamp is another.
_known_ends = lru_cache(maxsize=256)(_ends)


def _stamp(info: dict[str, Any]) -> str:
    """Size and what the file system knows of the last change: an ETag, or a time."""
    changed = info.get("ETag") or info.get("etag") or info.get("mtime") or info.get("LastModified")
    return f"{info['size']} {changed}"

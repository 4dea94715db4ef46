"""A file of the source: how it is reached, and whether it is still the one that was registered."""

from __future__ import annotations

import hashlib
from collections.abc import Iterable, Iterator, Mapping
from contextlib import contextmanager
from functools import lru_cache
from typing import IO, Any, cast

from fsspec import AbstractFileSystem
from fsspec.implementations.local import LocalFileSystem

from paris_assets.errors import UserError, explained
from paris_assets.ingest.lists.columns import SourceError
from paris_assets.settings.import_path import in_words

MIB = 1 << 20
Info = Mapping[str, Any]  # what a file system says of a file: `size` in bytes, and perhaps an ETag or a time
CHANGES = ("ETag", "etag", "mtime", "LastModified", "Last-Modified", "updated", "created")


@contextmanager
def reached(fs: AbstractFileSystem, path: str) -> Iterator[None]:
    """Say in words why a file or folder of the source cannot be looked at or opened; for calls of ``fs`` alone.

    Raises:
        FileError: of a local one.
        SourceError: of a remote one.
    """
    if isinstance(fs, LocalFileSystem):
        with explained(path):
            yield
        return
    try:
        yield
    except UserError:
        raise
    except Exception as error:  # every kind of remote file system has its own
        raise unreachable(path, error) from error


def unreachable(path: str, error: Exception) -> SourceError:
    """What a remote file system's error means to a user."""
    advice = "check the address, the credentials in the environment and the network, then run again"
    return SourceError(f"{path} cannot be reached ({in_words(error)}): {advice}")


def file_identity(fs: AbstractFileSystem, path: str, info: Info) -> str:
    """Hash that changes when a file does.

    A local file is known by its size, its first and last MiB and, beyond these two, by the time that it was changed;
    a remote one by its size and ETag (or time) in the listing, without a request, where there is one.

    Args:
        path: the file on its file system; `info` what the listing says of it.
    """
    if _last_change(info) is not None and not isinstance(fs, LocalFileSystem):
        return hashlib.sha256(_stamp(info).encode()).hexdigest()
    ends = _ends if info["size"] <= 2 * MIB else _known_ends
    return ends(fs, path, _stamp(info) if info["size"] > 2 * MIB else "")


def members_identity(files: Mapping[str, Info], members: Iterable[str]) -> str:
    """Hash that changes when a file of a shard does: known by size and time of change.

    Args:
        files: what the listing says of each file; `members` are the shard's images and what describes them.
    """
    digest = hashlib.sha256()
    for member in members:
        digest.update(f"{member} {_stamp(files[member])}\n".encode())
    return digest.hexdigest()


def _ends(fs: AbstractFileSystem, path: str, stamp: str) -> str:
    with reached(fs, path), cast(IO[bytes], fs.open(path, "rb")) as handle:
        size = handle.seek(0, 2)
        handle.seek(0)
        digest = hashlib.sha256(str(size).encode() + handle.read(MIB))
        handle.seek(max(0, size - MIB))
        digest.update(handle.read(MIB))
    digest.update(stamp.encode())
    return digest.hexdigest()


# Sensors look every half minute; a large file is another one when its stamp is another.
_known_ends = lru_cache(maxsize=4096)(_ends)


def _stamp(info: Info) -> str:
    return f"{info['size']} {_last_change(info)}"


def _last_change(info: Info) -> Any:
    """What the file system knows of the last change: an ETag, or a time."""
    return next((info[name] for name in CHANGES if info.get(name)), None)

"""Files of a root, put into an export as they are."""

from __future__ import annotations

import os
import shutil
from pathlib import Path

from paris_assets.errors import MissingInput
from paris_assets.storage.checksum import DamagedFile
from paris_assets.storage.location import Location, sha256_file


def brought(root: Location, path: str, sha256: str, scratch: Path, size_bytes: int | None = None) -> Path:
    """A file of a root in a scratch folder: a hard link where both lie on one disk, else a copy.

    Args:
        size_bytes: where it is given, a link is held against it alone: it need not be read to be used.

    Raises:
        DamagedFile: its bytes are not those that were written.
        MissingInput: there is no such file.
    """
    local = scratch / path.rpartition("/")[2]
    try:
        source = root.fetch(path, scratch)
        linked = source != local and _linked(source, local)
        if source != local and not linked:
            shutil.copyfile(source, local)
    except FileNotFoundError:
        raise MissingInput(f"{root.uri(path)} is not there: `paris run` makes it again") from None
    by_size = linked and size_bytes is not None
    if (local.stat().st_size != size_bytes) if by_size else (sha256_file(local) != sha256):
        raise DamagedFile(root.uri(path))
    return local


def _linked(source: Path, local: Path) -> bool:
    try:
        os.link(source, local)
    except FileNotFoundError:
        raise
    except OSError:  # another disk, or one without links
        return False
    return True


def put_unless_same(local: Path, place: Location, path: str) -> bool:
    """Move a scratch file to its place, unless the same bytes are there; whether they are."""
    if place.size(path) == local.stat().st_size:
        with place.scratch() as scratch:
            there = place.fetch(path, scratch)
            if os.path.samefile(there, local) or sha256_file(there) == sha256_file(local):
                return True
    place.put(local, path)
    return False

"""Files and folders of this machine that settings name: whether they are still what they were."""

from __future__ import annotations

import hashlib
from functools import lru_cache
from pathlib import Path

from paris_assets.settings.local_path import local_path
from paris_assets.storage.location import sha256_file


def content_of(path: str) -> str | None:
    """What changes when a file does, wherever it lies: its sha256; of a folder, a hash of the names, sizes and times of
    the files in it. None where there is nothing."""
    place = Path(local_path(path) or path)
    if place.is_dir():
        return _hash_of_folder(place)
    if not place.is_file():
        return None
    status = place.stat()
    return _sha256(place, status.st_size, status.st_mtime_ns)


def _hash_of_folder(folder: Path) -> str:
    files = sorted(file for file in folder.rglob("*") if file.is_file())
    lines = (f"{file.relative_to(folder)} {(at := file.stat()).st_size} {at.st_mtime_ns}\n" for file in files)
    return hashlib.sha256("".join(lines).encode("utf-8", "surrogateescape")).hexdigest()


@lru_cache(maxsize=256)
def _sha256(file: Path, _size: int, _changed: int) -> str:
    return sha256_file(file)

"""Whether a disk has room for what a forecast says."""

from __future__ import annotations

import shutil
from pathlib import Path
from stat import S_ISREG

from paris_assets.forecast.forecast import Forecast
from paris_assets.forecast.said import in_bytes
from paris_assets.storage.location import Location


def free_space(folder: Path) -> int:
    """Bytes free on the folder's disk."""
    return shutil.disk_usage(folder).free


def nearest_folder(path: Path) -> Path:
    """A path, or the folder above it that is there."""
    return next(each for each in (path, *path.parents) if each.exists())


def bytes_there(root: Path) -> int:
    """Bytes of all files under a local root, on which a run may be at work; 0 where there is none."""
    return sum(_bytes_of(path) for path in root.rglob("*"))


def _bytes_of(path: Path) -> int:
    try:
        status = path.stat()
    except FileNotFoundError:  # removed since it was listed, or a link to nothing
        return 0
    return status.st_size if S_ISREG(status.st_mode) else 0


def disk_warning(root: Location, found: Forecast) -> str | None:
    """What to say where a local root's disk is too small; None where it is not, or where the root is remote."""
    if root.remote:
        return None
    folder = nearest_folder(Path(root.url))
    free, there = free_space(folder), bytes_there(Path(root.url))
    wanted = found.peak_bytes - there
    if wanted <= free:
        return None
    return (
        f"the disk is too small: {in_bytes(free)} free at {folder}, and {in_bytes(wanted)} are wanted"
        f"{f' beside {in_bytes(there)} that are there' if there else ''}: name another --root, keep smaller images "
        "(ingest.encode), or fewer rows"
    )

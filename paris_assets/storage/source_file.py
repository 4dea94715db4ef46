"""Whether a source file is still the one whose rows were read."""

from __future__ import annotations

import glob
import hashlib
from functools import lru_cache
from itertools import takewhile

import fsspec

MIB = 1 << 20


@lru_cache(maxsize=4096)
def file_identity(source: str, file: str) -> str:
    """Hash of a source file's size, first and last MiB: an edited file is read again, a copied one is not.

    Args:
        source: file, glob, folder or URL of the source.
        file: path below the source's folder; empty for a folder of images, which are identified by their own bytes.
    """
    if not file:
        return ""
    fs, inner = fsspec.core.url_to_fs(source.rstrip("/"), use_listings_cache=False)
    fixed = list(takewhile(lambda part: not glob.has_magic(part), inner.split("/")))
    whole = "/".join(fixed) == inner.rstrip("/")
    base = inner if whole and fs.isdir(inner) else "/".join(fixed[:-1] if whole else fixed)
    with fs.open(f"{base}/{file}", "rb") as handle:
        size = handle.seek(0, 2)
        handle.seek(0)
        digest = hashlib.sha256(str(size).encode() + handle.read(MIB))
        handle.seek(max(0, size - MIB))
        digest.update(handle.read(MIB))
    return digest.hexdigest()

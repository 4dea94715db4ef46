"""Files whose names do not tell what they are, by their first bytes."""

from __future__ import annotations

from collections.abc import Collection, Iterator, Mapping
from functools import lru_cache
from itertools import groupby
from typing import Any, cast

from fsspec import AbstractFileSystem
from fsspec.implementations.local import LocalFileSystem

from paris_assets.errors import UserError
from paris_assets.ingest.files import signatures
from paris_assets.ingest.files.left_out import LeftOut
from paris_assets.ingest.files.names import CAPTIONS, extension_of, is_compressed_tar
from paris_assets.ingest.files.places import Place
from paris_assets.ingest.files.source_file import Info, reached

PROBES = 8  # files of one extension that are looked into, on a remote place, before the others are
LOCAL_PROBES = 1_000
MOST_PROBES = 1_000
Files = Mapping[str, Info]


def images_among(place: Place, files: Files, known: Collection[str], left_out: LeftOut) -> set[str]:
    """Those that are images.

    Args:
        files: paths below the place, with what the listing says of each.
        known: files that are registered, which are images without a look.
        left_out: counts those that cannot be looked into.
    """
    registered = set(known)
    images = {file for file in files if file in registered}
    rest = [file for file in files if file not in images and not is_compressed_tar(file)]
    for extension, same in groupby(sorted(rest, key=extension_of), extension_of):
        if extension not in CAPTIONS:
            images.update(_images_of(place, {file: files[file] for file in same}, extension, left_out))
    return images


def _images_of(place: Place, files: Files, extension: str, left_out: LeftOut) -> Iterator[str]:
    """Of files of one extension, those that start as images do.

    What the first ones have in common holds for the others too: each look costs a request, or a file to open.
    """
    local = isinstance(place.fs, LocalFileSystem)
    most = len(files) if local else MOST_PROBES
    few = most if local and not extension else LOCAL_PROBES if local else PROBES
    verdicts: list[bool] = []
    for file, info in files.items():
        enough = len(verdicts) >= few and len(set(verdicts)) == 1
        verdict = verdicts[0] if enough else len(verdicts) < most and _starts_as_image(place, file, info, left_out)
        if not enough:
            verdicts.append(verdict)
        if verdict:
            yield file


def _starts_as_image(place: Place, file: str, info: Info, left_out: LeftOut) -> bool:
    try:
        stamp = (info["size"], info.get("mtime") or info.get("ETag"))
        return _starts(place.fs, f"{place.base}/{file}", stamp) if info["size"] else False
    except UserError:
        left_out.add("files that cannot be read", file)
        return False


@lru_cache(maxsize=1 << 17)  # sensors look every half minute
def _starts(fs: AbstractFileSystem, path: str, stamp: tuple[Any, ...]) -> bool:
    with reached(fs, path):
        return signatures.is_image(cast(bytes, fs.cat_file(path, 0, signatures.PROBE_BYTES)))

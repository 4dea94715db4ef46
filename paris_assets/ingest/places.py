"""Where a source lies, and which of the files there belong to it."""

from __future__ import annotations

import glob
from dataclasses import dataclass
from typing import Any

import fsspec
from fsspec import AbstractFileSystem

from paris_assets.ingest import folder, text_tables, webdataset
from paris_assets.ingest.columns import SourceError

COMPRESSIONS = ("gz", "bz2", "xz", "zst")


@dataclass(frozen=True)
class Place:
    """Files of a source lie below `base`; `pattern` selects among them, `file` is the only one. Else all of them."""

    fs: AbstractFileSystem
    base: str
    pattern: str | None = None
    file: str | None = None

    def open(self, file: str) -> Any:
        """A file opened for reading, decompressed if its name says so."""
        return self.fs.open(f"{self.base}/{file}", "rb", compression="infer")


def locate(path: str) -> Place:
    """The place of a local path, a glob or an fsspec URL, without listing it."""
    fs, inner = fsspec.core.url_to_fs(path, use_listings_cache=False)
    if fs.isfile(inner):
        base, _, file = inner.rpartition("/")
        return Place(fs, base, file=file)
    if glob.has_magic(inner):
        parts = inner.split("/")
        fixed = next(index for index, part in enumerate(parts) if glob.has_magic(part))
        return Place(fs, "/".join(parts[:fixed]), pattern=inner)
    return Place(fs, inner.rstrip("/"))


def list_files(place: Place) -> list[str]:
    """Files of the source below `place.base`, sorted; all of one kind.

    Raises:
        SourceError: no usable file, or files of more than one kind.
    """
    if place.file:
        files = [place.file]
    else:
        found = place.fs.glob(place.pattern) if place.pattern else place.fs.find(place.base)
        files = sorted(str(file)[len(place.base) + 1 :] for file in found)
    kinds: dict[str, list[str]] = {}
    for file in files:
        kind = kind_of(file)
        if kind and not any(part.startswith(".") for part in file.split("/")):
            kinds.setdefault(kind if kind in ("image", "tar") else "table", []).append(file)
    if "image" in kinds:  # describes them, and is no table of its own
        kinds["table"] = [file for file in kinds.get("table", []) if file != folder.METADATA]
    kinds = {kind: members for kind, members in kinds.items() if members}
    where = place.pattern or f"{place.base}/{place.file or ''}"
    if not kinds:
        raise SourceError(
            f"no source at {where}: expected tables (parquet, csv, tsv, jsonl), WebDataset tars or a folder of images"
        )
    if len(kinds) > 1:
        mixed = ", ".join(f"{len(members)} {kind}s ({members[0]} ...)" for kind, members in kinds.items())
        raise SourceError(f"{where} holds more than one kind of file: {mixed}. Give a file, a subfolder or a glob")
    return next(iter(kinds.values()))


def kind_of(file: str) -> str:
    """`parquet`, `tar`, `image` or a text format; empty for a file that is no source."""
    name, _, extension = file.rpartition("/")[2].lower().rpartition(".")
    if extension in COMPRESSIONS and name.rpartition(".")[2] in text_tables.FORMATS:
        return name.rpartition(".")[2]
    if extension in webdataset.IMAGE_EXTENSIONS:
        return "image"
    names = {"parquet": "parquet", "pq": "parquet", "tar": "tar", **{name: name for name in text_tables.FORMATS}}
    return names.get(extension, "")

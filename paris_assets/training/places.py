"""Where the training files of an expert and of the router lie: under a root, beside a manifest, or in a folder."""

from __future__ import annotations

import json
import re
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from paris_assets.errors import UsageError, UserError, did_you_mean
from paris_assets.storage.location import Location

MANIFEST = "pipeline_manifest.json"
FORMATS = {"webdataset": "*.tar", "mds": "index.json", "parquet": "*.parquet"}
"""Format -> its files in the folder of an expert."""
ROOMS = {"webdataset": "expert_shards/", "mds": "expert_mds/", "parquet": "parquet/"}
"""Format -> where a root holds the folders of experts."""


class MissingFiles(UserError, FileNotFoundError):
    """Training files that are not there; the message names them and where they were looked for."""

    def __str__(self) -> str:
        return str(self.args[0])


@dataclass(frozen=True)
class Place:
    """A folder or URL of training files.

    Attributes:
        location: the folder; all paths are relative to it.
        manifest: of the root, empty where there is none.
        files: what the manifest lists: path -> its entry; None without a manifest.
    """

    location: Location
    manifest: Mapping[str, Any] = field(default_factory=dict)
    files: Mapping[str, Any] | None = None

    def listed(self, pattern: str) -> list[str]:
        """Paths that match, sorted: by the manifest, where it names any, else as a listing tells them."""
        wanted = re.compile(re.escape(pattern).replace(r"\*", "[^/]*"))
        known = sorted(path for path in self.files or {} if wanted.fullmatch(path))
        return known or self.location.glob(pattern)

    def read(self, path: str) -> bytes:
        """A small file.

        Raises:
            MissingFiles: it is not there.
        """
        try:
            return self.location.read(path)
        except FileNotFoundError:
            raise MissingFiles(f"{self.location.uri(path)} is not there: fetch it, or run `paris run` again") from None

    def beside(self, folder: str, name: str) -> str | None:
        """The path of a file in a folder or the nearest one above it, or None."""
        parts = [part for part in folder.split("/") if part]
        for depth in range(len(parts), -1, -1):
            path = "/".join([*parts[:depth], name])
            if path in (self.files or {}) or self.location.stamp(path) is not None:
                return path
        return None


@dataclass(frozen=True)
class ExpertPlace:
    """The files of one expert in one format.

    Attributes:
        paths: tars, Parquet files or index files of MDS, relative to ``place``, sorted.
        folder: holds them, relative to ``place``.
        cluster: the rows that are meant, where files hold those of several experts; else None.
    """

    place: Place
    format: str
    paths: list[str]
    folder: str
    cluster: int | None


def find_place(where: str | Path) -> Place:
    """A root, or its manifest, or a folder with files; a local path or a URL that fsspec reads.

    Raises:
        MissingFiles: there is no such folder or manifest.
        UsageError: the manifest is none.
    """
    text = str(where)
    if text.endswith(".json"):
        folder, _, name = text.rpartition("/")
        return _with_manifest(Location(folder or "."), name)
    location = Location(where)
    if not location.remote and not Path(location.url).is_dir():
        raise MissingFiles(f"{location.url} is no folder: name a root, its {MANIFEST}, or a folder of training files")
    if location.stamp(MANIFEST) is not None:
        return _with_manifest(location, MANIFEST)
    above, _, name = location.url.rpartition("/")
    if f"{name}/" in ROOMS.values() and above.rpartition("/")[2] and Location(above).stamp(MANIFEST) is not None:
        return _with_manifest(Location(above), MANIFEST)
    return Place(location)


def find_expert(where: str | Path, cluster: int, format: str | None = None) -> ExpertPlace:
    """The files of an expert; of several formats the first of ``FORMATS`` that is there.

    Raises:
        MissingFiles: there are none; the message says where they were looked for.
        UsageError: ``format`` is none that is read.
    """
    if format not in (None, *FORMATS):
        raise UsageError(f"no format {format!r}{did_you_mean(str(format), FORMATS)}: give one of {', '.join(FORMATS)}")
    place, looked = find_place(where), []
    for name in [format] if format else FORMATS:
        for folder, of_all in _folders(name, cluster):
            # MDS has a folder for each set of sizes, and where sides of the split lie apart another in it for each.
            depths = ("", "*/", "*/*/") if name == "mds" else ("",)
            looked.append(place.location.uri(f"{folder}{FORMATS[name]}"))
            if paths := sorted(path for deep in depths for path in place.listed(f"{folder}{deep}{FORMATS[name]}")):
                return ExpertPlace(place, name, paths, folder, cluster if of_all else None)
    raise MissingFiles(f"no training files of expert {cluster}; looked for {', '.join(looked)}")


def _folders(format: str, cluster: int) -> list[tuple[str, bool]]:
    """(folder, whether it holds samples of all experts) of a format, the likeliest first."""
    own = f"cluster_{cluster}/"
    found = [(f"{ROOMS[format]}{own}", False), (own, False)]
    return [*found, ("parquet/", True), ("data/", True), ("", True)] if format == "parquet" else found


def _with_manifest(location: Location, name: str) -> Place:
    text = _bytes(location.read, name, location.uri(name))
    try:
        manifest = json.loads(text)
        files = {file["path"]: file for file in manifest["files"]}
    except (ValueError, KeyError, TypeError):
        raise UsageError(f"{location.uri(name)} is no {MANIFEST} of a root: it lists no files") from None
    return Place(location, manifest, files)


def _bytes(read: Callable[[str], bytes], name: str, uri: str) -> bytes:
    try:
        return read(name)
    except FileNotFoundError:
        raise MissingFiles(f"{uri} is not there: name a root, its {MANIFEST}, or a folder of training files") from None

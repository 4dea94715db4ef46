"""Which training files lie at a place, and what somebody promised of them."""

from __future__ import annotations

import json
import re
from collections.abc import Iterable
from dataclasses import dataclass, field
from pathlib import PurePosixPath
from typing import Any

from paris_assets.lint.dataset import Expected
from paris_assets.lint.jobs import Job
from paris_assets.lint.mds_index import INDEX, is_index, read_index
from paris_assets.lint.problems import Problems
from paris_assets.storage.location import Location

TARS = (".tar", ".tar.gz", ".tgz", ".tar.bz2", ".tbz2", ".tar.zst", ".tar.xz")
SHARDS = re.compile(r".+\.mds(\.(zstd|gz|bz2|br|snappy))?")
MANIFEST = "pipeline_manifest.json"
SUMS = "SHA256SUMS"
LEFT_OUT = ("raw_images", ".dagster", ".scratch")
"""Folders of a run that hold no training files."""
_FURTHER = re.compile(r"latent_\d+\.npy")
_SUM = re.compile(r"(?P<sha256>[0-9a-fA-F]{64}) [ *](?P<path>.+)")


@dataclass
class Found:
    """What is to be looked into.

    Attributes:
        tars, shards: jobs, by path.
        indices: problems of each index, and of what its folder holds beside.
        expected: field -> dtype and shape, where a manifest states them.
        members: fields that every sample of a tar has by a manifest; empty where none says so.
    """

    tars: list[Job] = field(default_factory=list)
    shards: list[Job] = field(default_factory=list)
    indices: list[Problems] = field(default_factory=list)
    expected: Expected = field(default_factory=dict)
    members: frozenset[str] = frozenset()


def find(location: Location, paths: Iterable[str], most: int, within: str = "") -> Found:
    """The training files among some paths below a location, sorted by path.

    Args:
        paths: as a listing gave them; what they are shows by name and, of an index, by content.
        most: problems of a kind that are listed of an index.
        within: what promised files that are to be there begin with.
    """
    found, listed = Found(), sorted(paths)
    promises = _promises(location, listed, found, most)
    names = set(listed)
    promised_shards: set[str] = set()
    for path in listed:
        name = PurePosixPath(path).name
        if name == INDEX and is_index(data := location.read(path)):
            problems = Problems(path, most)
            _add_shards(path, data, problems, found, promised_shards)
            found.indices.append(problems)
        elif path.endswith(TARS):
            found.tars.append(Job(path, None, *promises.get(path, ("", None))))
    for path in listed:
        if SHARDS.fullmatch(PurePosixPath(path).name) and path not in promised_shards:
            _note_stray(path, found, most)
    _note_absent(location, {path for path in promises if path.startswith(within)}, names, found, most)
    return found


def _add_shards(path: str, data: bytes, problems: Problems, found: Found, promised: set[str]) -> None:
    """The shards of an index, but for those that the index of a part, which was merged into it, names as well."""
    folder = PurePosixPath(_folder(path))
    for shard in read_index(data, problems):
        job = Job(str(folder / shard.raw.name), shard)
        if job.path not in promised:
            found.shards.append(job)
        promised |= {str(folder / file.name) for file in (shard.raw, shard.packed) if file is not None}


def _note_stray(path: str, found: Found, most: int) -> None:
    problems = Problems(path, most)
    problems.add("not_listed", "", "no index names it")
    found.indices.append(problems)


def _promises(location: Location, paths: list[str], found: Found, most: int) -> dict[str, tuple[str, int | None]]:
    """Path -> sha256 and size that a manifest or a list of sums states."""
    promises: dict[str, tuple[str, int | None]] = {}
    for path in paths:
        name, folder = PurePosixPath(path).name, PurePosixPath(_folder(path))
        if name == SUMS:
            lines = location.read(path).decode(errors="replace").splitlines()
            sums = (_SUM.fullmatch(line) for line in lines)
            promises |= {str(folder / match["path"]): (match["sha256"].lower(), None) for match in sums if match}
        elif name == MANIFEST:
            manifest = _json(location.read(path))
            if not isinstance(manifest, dict) or not isinstance(manifest.get("files"), list):
                problems = Problems(path, most)
                problems.add("bad_index", "", "no manifest: it lists no files")
                found.indices.append(problems)
                continue
            for file in manifest["files"]:
                if isinstance(file, dict) and isinstance(file.get("path"), str):
                    promises[str(folder / file["path"])] = (str(file.get("sha256", "")), file.get("size_bytes"))
            found.expected |= _stated(manifest)
            found.members |= _members(manifest)
    return promises


def _note_absent(location: Location, promised: set[str], names: set[str], found: Found, most: int) -> None:
    """Tars that are promised and do not lie there, and those that lie among promised ones unpromised."""
    tars = {path for path in promised if path.endswith(TARS)}
    for path in sorted(tars - names):
        if location.size(path) is None:
            problems = Problems(path, most)
            problems.add("not_there", "", "it is listed, and no such file is there")
            found.indices.append(problems)
    folders = {_folder(path) for path in tars}
    for job in found.tars:
        if job.path not in tars and _folder(job.path) in folders:
            problems = Problems(job.path, most)
            problems.add("not_listed", "", "its folder's manifest does not list it")
            found.indices.append(problems)


def _stated(manifest: dict[str, Any]) -> Expected:
    """What a manifest of ours says of the arrays in its tars."""
    try:
        members = manifest["format"]["samples"]["members"]
        return {
            name: (said["dtype"], tuple(side if isinstance(side, int) else -1 for side in said["shape"]))
            for name, said in members.items()
            if "shape" in said
        }
    except (KeyError, TypeError, AttributeError):
        return {}


def _members(manifest: dict[str, Any]) -> frozenset[str]:
    """Members that a manifest of ours names, but for latents of further sizes, which small images lack."""
    try:
        names = manifest["format"]["samples"]["members"]
        return frozenset(name for name in names if not _FURTHER.fullmatch(name))
    except (KeyError, TypeError):
        return frozenset()


def _json(data: bytes) -> Any:
    try:
        return json.loads(data)
    except (ValueError, RecursionError):
        return None


def _folder(path: str) -> str:
    return path.rpartition("/")[0]

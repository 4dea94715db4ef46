"""Every file below a place, from one listing; local links are looked through."""

from __future__ import annotations

import glob
import heapq
import os
import re
import stat
from collections.abc import Iterable, Iterator
from fnmatch import translate as glob_regex
from typing import Any

from fsspec.implementations.local import LocalFileSystem

from paris_assets.ingest.files import patterns
from paris_assets.ingest.files.left_out import LeftOut
from paris_assets.ingest.files.names import leftover
from paris_assets.ingest.files.places import Place
from paris_assets.ingest.files.source_file import Info, reached

TARGET = "target"  # of a link: where it leads to in the end
SECOND_NAMES = "links to what is there anyway"
PLAIN, LINKED, HIDDEN = range(3)


def found_files(place: Place, left_out: LeftOut) -> dict[str, Info]:
    """Path below `place.base` -> what the listing says of the file; `target` is there for what is a link.

    Folders that are linked are looked into where they lie inside the place and are not listed anyway. A linked folder
    elsewhere is one entry, without a size.

    Raises:
        FileError: a folder cannot be read.
        SourceError: a remote place cannot be reached.
    """
    if not isinstance(place.fs, LocalFileSystem):
        with reached(place.fs, place.pattern or f"{place.base}/{place.file or ''}"):
            return _remote(place, left_out)
    if place.file or place.pattern:
        paths = [place.file] if place.file else _matching(place, left_out)
        infos = ((path, _info(f"{place.base}/{path}", left_out, path)) for path in paths)
        found: dict[str, Info] = {path: info for path, info in infos if info}
        files = {path: info for path, info in found.items() if info["type"] != "directory"}
        return files or {path: info for folder in found for path, info in _below(place.base, folder, left_out)}
    return dict(_below(place.base, "", left_out)) if _is_there(place.base) else {}


def _remote(place: Place, left_out: LeftOut) -> dict[str, Info]:
    fs: Any = place.fs
    if place.file:
        found = {f"{place.base}/{place.file}": fs.info(f"{place.base}/{place.file}")}
    else:
        matching = place.pattern and patterns.as_glob(place.pattern)
        found = fs.glob(matching, detail=True) if matching else fs.find(place.base, detail=True)
        chosen = _chosen(place.pattern, found, left_out) if place.pattern else found
        found = {path: found[path] for path in chosen}
    files = {str(path): info for path, info in found.items() if info["type"] == "file"}
    # Web servers' listings have no sizes.
    asked = {path: fs.info(path) if info["size"] is None else info for path, info in files.items()}
    return {path[len(place.base) + 1 :]: info for path, info in asked.items()}


def _matching(place: Place, left_out: LeftOut) -> list[str]:
    """What a local pattern matches; the existing folders that it begins with may hold the letters of patterns."""
    pattern = (place.pattern or "")[len(place.base.rstrip("/")) + 1 :]
    found = glob.glob(patterns.as_glob(pattern), root_dir=place.base or "/", recursive=True)
    return sorted(_chosen(pattern, found, left_out))


def _chosen(pattern: str, found: Iterable[str], left_out: LeftOut) -> set[str]:
    """Those of the found paths that the braces of a pattern stand for; counts names that are not there."""
    names = patterns.names(pattern)
    if names == [pattern]:
        return set(found)
    plain = {name for name in names if not glob.has_magic(name)}
    globs = [re.compile(glob_regex(name.replace("**/", "*"))) for name in names if name not in plain]
    chosen = {path for path in found if path in plain or any(each.match(path) for each in globs)}
    if missing := [name for name in names if name in plain and name not in chosen]:
        left_out.add("names in the braces of the pattern that are not there", *missing)
    return chosen


def _is_there(base: str) -> bool:
    with reached(LocalFileSystem(), base):
        try:
            return stat.S_ISDIR(os.stat(base or "/").st_mode)
        except (FileNotFoundError, NotADirectoryError):
            return False


def _below(base: str, start: str, left_out: LeftOut) -> Iterator[tuple[str, Info]]:
    """(path, info) of each file below a folder of the base, no folder twice: first those that are there, then those
    that are linked, last those that other programs hide."""
    root = os.path.realpath(base or "/")
    waiting = [(PLAIN, start, os.path.realpath(f"{base}/{start}"))]
    seen = set[str]()
    while waiting:
        how, folder, real = heapq.heappop(waiting)
        if real in seen:
            if how == LINKED:
                left_out.add(SECOND_NAMES, folder)
            continue
        seen.add(real)
        for path, info in sorted(_entries(base, folder, left_out)):
            target = info.get(TARGET, os.path.join(real, path.rpartition("/")[2]))
            if info["type"] == "directory" and is_inside(target, root):
                hidden = HIDDEN if leftover(path) else PLAIN
                heapq.heappush(waiting, (max(how, hidden, LINKED if TARGET in info else PLAIN), path, target))
            else:
                yield path, info if real == os.path.join(root, folder).rstrip("/") else {**info, TARGET: target}


def is_inside(path: str, folder: str) -> bool:
    """Whether a real path is a folder or lies in it."""
    return path == folder or path.startswith(os.path.join(folder, ""))


def _entries(base: str, folder: str, left_out: LeftOut) -> list[tuple[str, dict[str, Any]]]:
    with reached(LocalFileSystem(), f"{base}/{folder}"), os.scandir(f"{base}/{folder}") as entries:
        infos = [(os.path.join(folder, entry.name), _info_of(entry, left_out, folder)) for entry in entries]
    return [(path, info) for path, info in infos if info]


def _info_of(entry: os.DirEntry[str], left_out: LeftOut, folder: str) -> dict[str, Any] | None:
    path = os.path.join(folder, entry.name)
    if entry.is_symlink():
        return _info(entry.path, left_out, path)
    if entry.is_dir():
        return {"type": "directory"}
    try:
        return _described(entry.stat(), left_out, path)
    except FileNotFoundError:  # removed since
        return None


def _info(full: str, left_out: LeftOut, path: str) -> dict[str, Any] | None:
    try:
        status = os.stat(full)
    except (FileNotFoundError, NotADirectoryError):
        left_out.add("broken links", path)
        return None
    info = _described(status, left_out, path)
    return {**info, TARGET: os.path.realpath(full)} if info and os.path.islink(full) else info


def _described(status: os.stat_result, left_out: LeftOut, path: str) -> dict[str, Any] | None:
    if stat.S_ISDIR(status.st_mode):
        return {"type": "directory"}
    if not stat.S_ISREG(status.st_mode):
        left_out.add("pipes, sockets and devices", path)
        return None
    return {"type": "file", "size": status.st_size, "mtime": status.st_mtime}

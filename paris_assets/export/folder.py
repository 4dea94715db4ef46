"""Where an export goes: an empty place, or one that holds the same export, which is then gone on with."""

from __future__ import annotations

import json
from collections.abc import Collection, Mapping
from contextlib import suppress
from pathlib import Path
from typing import Any

from paris_assets.errors import UsageError
from paris_assets.storage.location import Location

STATEMENT = "export.json"


def begin(place: Location, statement: Mapping[str, Any], root: Location) -> None:
    """Say in the place what it holds, unless it does.

    Raises:
        UsageError: something else is there, or it lies below the root.
        FileError: nothing can be written there.
    """
    if _below(place.url, root.url) or place.url == root.url:
        raise UsageError(f"--out {place.url} is within the root {root.url}, which holds what runs make: name another")
    try:
        found = json.loads(place.read(STATEMENT))
    except FileNotFoundError:
        found = None
    except ValueError as error:
        raise UsageError(
            f"{place.uri(STATEMENT)} cannot be read as JSON: delete the export, or name another"
        ) from error
    if found is None and place.glob("*"):
        raise UsageError(f"--out {place.url} holds files, and no export of this command: name a new or empty folder")
    other = {} if found is None else {key: found.get(key) for key in statement if found.get(key) != statement[key]}
    if other:
        known = ", ".join(f"{key} {value}" for key, value in other.items())
        wanted = ", ".join(f"{key} {statement[key]}" for key in other)
        raise UsageError(f"--out {place.url} holds an export of {known}, not of {wanted}: name another folder")
    if found is None:
        put_statement(place, statement)


def put_statement(place: Location, statement: Mapping[str, Any]) -> None:
    """Write what the place holds."""
    place.put_bytes(json.dumps(statement, indent=1).encode() + b"\n", STATEMENT)


def address(location: Location) -> str:
    """Where it is, wherever it is named from."""
    return location.url if location.remote else str(Path(location.url).resolve())


def put_changed(place: Location, data: bytes, path: str) -> None:
    """Write a small file unless it holds the same."""
    try:
        same = place.read(path) == data
    except FileNotFoundError:
        same = False
    if not same:
        place.put_bytes(data, path)


def remove_others(place: Location, pattern: str, wanted: Collection[str]) -> None:
    """Remove files of an earlier state of the root.

    Args:
        pattern: of the files that an export writes.
        wanted: those that it has now.
    """
    for path in set(place.glob(pattern)) - set(wanted):
        place.delete(path)


def tidy(place: Location) -> None:
    """Remove the folder for files in the making, where it is empty."""
    if not place.remote:
        place.remove_abandoned_scratch()
        with suppress(OSError):
            (Path(place.url) / ".scratch").rmdir()


def _below(path: str, folder: str) -> bool:
    if "://" in path or "://" in folder:
        return path.startswith(f"{folder.rstrip('/')}/")
    return Path(folder).resolve() in Path(path).resolve().parents

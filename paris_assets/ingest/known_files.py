"""Registered files: each must be there with the rows that it had, and its list be there to be read."""

from __future__ import annotations

from collections.abc import Mapping
from contextlib import nullcontext
from typing import Any

import polars as pl

from paris_assets.ingest.files.names import kind_of
from paris_assets.ingest.files.places import Place
from paris_assets.ingest.files.source_file import Info, file_identity
from paris_assets.ingest.lists import encodings, parquet_tables, source_lists, text_tables
from paris_assets.ingest.lists.columns import SourceError
from paris_assets.storage.location import Location

FOLLOWS = ("size_bytes", "identity", "list", "converted_by")  # columns of the registry that change with a file
MOST_SAID = 100


def refresh(
    place: Place,
    files: Mapping[str, Info],
    known: pl.DataFrame,
    root: Location,
    write: bool,
    encoding: str = encodings.AUTO,
    converts: str | None = None,
) -> pl.DataFrame:
    """The registry's rows with the size, identity and list that their files have now; new rows belong into new files.

    Args:
        files: what the listing says of each file of the source.
        root: where lists are; one that is gone, or was read in another encoding or by other code, is made again if
            `write`.
        encoding: `source.encoding` of the profile.
        converts: version of the code of `convert`; None leaves lists as they were converted.

    Raises:
        SourceError: a file is gone, or has other rows than it had; names it.
    """
    first = [pl.first(name) for name in FOLLOWS]
    now: list[dict[str, Any]] = []
    for entry in known.group_by("file", maintain_order=True).agg(pl.sum("rows"), *first).iter_rows(named=True):
        path, info = f"{place.base}/{entry['file']}", files.get(entry["file"])
        if info is None:
            raise SourceError(f"{path} was registered and is gone: put it back, or use another root")
        now.append({"file": entry["file"], **_as_it_is(place, entry, info, root, write, encoding, converts)})
    kept = known.drop(FOLLOWS)
    schema = {name: known.schema[name] for name in ("file", *FOLLOWS)}
    return kept.join(pl.DataFrame(now, schema), on="file", how="left", maintain_order="left").select(known.columns)


def check_columns(place: Place, known: pl.DataFrame, overrides: Mapping[str, str], root: Location) -> None:
    """Whether the first table of the registry, if there is one, has the columns that the profile names now.

    Raises:
        SourceError: no such column.
    """
    if known.is_empty():
        return
    entry = known.row(0, named=True)
    if entry["list"] is not None and root.size(entry["list"]) is not None:
        source_lists.check(root, entry, overrides)
    elif kind_of(entry["file"]) == "parquet":
        with place.open(entry["file"]) as handle:
            parquet_tables.cut(handle, entry["file"], entry["rows"], overrides)


def convert(
    place: Place, file: str, root: Location | None, overrides: Mapping[str, str] | None, encoding: str = encodings.AUTO
) -> tuple[int, str]:
    """Put a text list under the root as Parquet, whole or not at all; without a root only count it.

    Args:
        encoding: `source.encoding` of the profile.
        overrides: `source.columns` of the profile, to refuse a list without usable columns.

    Returns:
        Number of rows, and the path below the root.

    Raises:
        SourceError: the list cannot be read, or not with these columns.
    """
    kind = kind_of(file)
    with root.scratch() if root else nullcontext() as scratch:
        local = scratch / "list.parquet" if scratch else None
        with place.open(file) as handle:
            layout = text_tables.layout_of(handle, file, kind, encoding)
            if overrides is not None:
                text_tables.check(handle, file, layout, overrides)
            rows, path = source_lists.convert(handle, file, kind, local, encoding, layout)
        if root and local and rows:
            root.put(local, path)
    return rows, path


def readings(root: Location, registry: pl.DataFrame, before: pl.DataFrame | None) -> list[str]:
    """A line for each way in which lists that are new were read, where their names do not tell: `FILE: read as cp1251`.

    Args:
        before: the registry of an earlier call; the first hundred lists that it does not name are looked at.
    """
    new = registry.filter(pl.col("list").is_not_null()).unique("list", maintain_order=True)
    if before is not None:
        new = new.join(before, on="list", how="anti", maintain_order="left")
    files: dict[str, list[str]] = {}
    for file, path in new.head(MOST_SAID).select("file", "list").iter_rows():
        files.setdefault(source_lists.said(root, path), []).append(file)
    return [
        f"{named[0]}{f' and {len(named) - 1} other lists' if len(named) > 1 else ''}: {said}"
        for said, named in files.items()
        if said
    ]


def _as_it_is(
    place: Place,
    entry: Mapping[str, Any],
    info: Info,
    root: Location,
    write: bool,
    encoding: str,
    converts: str | None,
) -> dict[str, Any]:
    """Size, identity and list of a registered file as they are now."""
    file, size = entry["file"], int(info["size"])
    path, kind = f"{place.base}/{file}", kind_of(file)
    if size != entry["size_bytes"] and kind != "parquet":
        raise _changed(path, f"had {entry['size_bytes']} bytes and has {size}")
    identity, rows, converted = file_identity(place.fs, path, info), entry["rows"], entry["list"]
    lost = write and converted is not None and root.size(converted) is None
    recoded = converted is not None and converts not in (None, entry["converted_by"])
    otherwise = recoded or (converted is not None and not source_lists.read_as(converted, encoding))
    if lost or otherwise or identity != entry["identity"]:
        if converted is not None:
            rows, converted = convert(place, file, root if write else None, None, encoding)
        elif kind == "parquet":
            with place.open(file) as handle:
                rows = parquet_tables.count_rows(handle)
    if rows != entry["rows"] and recoded and identity == entry["identity"]:
        raise SourceError(
            f"{path} had {entry['rows']} rows as another version read it, and has {rows} as this one does; shards are "
            "fixed at registration: give another --root, or go back to that version"
        )
    if rows != entry["rows"]:
        raise _changed(path, f"had {entry['rows']} rows and has {rows}")
    if converted != entry["list"] and identity == entry["identity"] and not otherwise:
        raise SourceError(
            f"{path} has other rows than when it was registered, and {root.uri(entry['list'])}, which had those, is "
            "gone: put one of them back, or use another root"
        )
    by = converts if recoded else entry["converted_by"]
    return {"size_bytes": size, "identity": identity, "list": converted, "converted_by": by}


def _changed(path: str, change: str) -> SourceError:
    return SourceError(f"{path} {change} since it was registered: add new rows as new files")

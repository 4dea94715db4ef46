"""The source: which rows there are, cut into shards once and for ever, and how to read one shard of them.

Four kinds are accepted, at a local path or an fsspec URL: tables (parquet, csv, tsv, JSON; one file, a glob or a
folder), tables that embed the images, WebDataset tars, and a folder of images. A shard never crosses files.

The registry is one small table; a shard is one of its rows, and reading it needs nothing else:

    shard       `00000`, `00001`, ... in the order of registration
    file        path below the source's folder; empty for a folder of images
    first_row   first row within the file            rows        number of rows
    source_row  number of the first row over the whole source
    size_bytes  size of the file when it was registered
    offset      byte position of the first row (text tables and tars), else 0
    members     the images of the shard, for a folder of images, else null

Rows are never renumbered: what is new in a later registration becomes new shards after the known ones.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from typing import Any

import polars as pl

from paris_assets.config import Ingest, Source
from paris_assets.ingest import folder, parquet_tables, text_tables, webdataset
from paris_assets.ingest.columns import SourceError
from paris_assets.ingest.fetch import Fetched, fetch_images
from paris_assets.ingest.places import Place, kind_of, list_files, locate

REGISTRY_SCHEMA = {
    "shard": pl.String,
    "file": pl.String,
    "first_row": pl.Int64,
    "rows": pl.Int64,
    "source_row": pl.Int64,
    "size_bytes": pl.Int64,
    "offset": pl.Int64,
    "members": pl.List(pl.String),
}


def register(source: Source, known: pl.DataFrame | None = None) -> pl.DataFrame:
    """The registry of the source: the known shards unchanged, then those of files or images that are new.

    Memory is bounded: parquet is counted from its footers, text tables and tars are read through once. One listing
    tells which files there are; a known file is opened again only if its size has changed.

    Args:
        source: path, rows per shard and column overrides.
        known: the registry of an earlier call.

    Raises:
        SourceError: nothing to read, more than one kind of file, a file without usable columns, or a known file or
            image that has disappeared or changed.
    """
    known = pl.DataFrame(schema=REGISTRY_SCHEMA) if known is None else known
    place = locate(source.path)
    sizes = list_files(place)
    if kind_of(next(iter(sizes))) == "image":
        parts = _image_parts(place, sizes, known, source)
    else:
        _check_known(place, sizes, known)
        registered = set(known["file"])
        new = [(file, size) for file, size in sizes.items() if file not in registered]
        parts = (part for file, size in new for part in _file_parts(place, file, size, source))
    first = int((known["source_row"] + known["rows"]).max() or 0)  # type: ignore[arg-type]
    rows = []
    for number, part in enumerate(parts, known.height):
        rows.append({"shard": f"{number:05d}", "source_row": first, **part})
        first += part["rows"]
    registry = pl.concat([known, pl.DataFrame(rows, schema=REGISTRY_SCHEMA)])
    if registry.is_empty():
        raise SourceError(f"source {source.path} has no rows, only {', '.join([*sizes][:5])}")
    return registry


def entry_of(registry: pl.DataFrame, shard: str) -> dict[str, Any]:
    """The registry's row of one shard.

    Raises:
        SourceError: no such shard.
    """
    rows = registry.filter(shard=shard)
    if rows.height != 1:
        raise SourceError(f"shard {shard!r} is not registered; there are {registry.height} shards")
    return rows.row(0, named=True)


def read_rows(source: Source, entry: Mapping[str, Any]) -> pl.DataFrame:
    """The source rows of one shard, columns of `columns.SOURCE_SCHEMA`, sorted by `source_row`.

    `locator` says where the image lies for sources that hold the images, and is null where it is fetched from `url`.

    Raises:
        SourceError: the file cannot be read as it was registered.
    """
    place, kind = locate(source.path), kind_of(entry["file"])
    if entry["members"] is not None:
        return folder.read(place.fs, place.base, entry, source.columns)
    with place.open(entry["file"]) as handle:
        if kind == "tar":
            return webdataset.read(handle, entry["file"], entry, source.columns)
        if kind == "parquet":
            return parquet_tables.read(handle, entry["file"], entry, source.columns)
        with place.resume(entry["file"]) as rows:
            return text_tables.read(handle, rows, entry["file"], kind, entry, source.columns)


def read_bodies(source: Source, entry: Mapping[str, Any], settings: Ingest) -> Iterator[Fetched]:
    """The images of one shard of a source that holds them, in the order of their rows."""
    place = locate(source.path)
    if entry["members"] is not None:
        yield from folder.read_images(place.fs, place.base, entry, settings.max_bytes)
        return
    with place.open(entry["file"]) as handle:
        if kind_of(entry["file"]) == "tar":
            yield from webdataset.read_images(handle, entry["file"], entry, settings.max_bytes)
        else:
            yield from parquet_tables.read_images(handle, entry["file"], entry, source.columns)


def images_of(
    source: Source, entry: Mapping[str, Any], rows: pl.DataFrame, settings: Ingest, server: str | None = None
) -> Iterator[Fetched]:
    """The images of one shard, read from the source where it holds them, else fetched from their urls.

    Args:
        entry: the shard's row of the registry; `rows` what `read_rows` gave for it.
        settings: how to fetch; `server` is `127.0.0.1:port` of the loopback web server, if there is one.
    """
    if rows["locator"].null_count() < rows.height:
        return read_bodies(source, entry, settings)
    return fetch_images(rows.select("source_row", "url").iter_rows(), settings, server)


def _file_parts(place: Place, file: str, size: int, source: Source) -> Iterator[dict[str, Any]]:
    with place.open(file) as handle:
        for first, rows, offset in _cut(handle, file, source):
            yield _part(file, first, rows, size, offset)


def _cut(handle: Any, file: str, source: Source) -> Iterable[tuple[int, int, int]]:
    """(first row, rows, offset) of each part; a file without usable columns fails here, not in a run."""
    kind, rows_per_shard, columns = kind_of(file), source.rows_per_shard, source.columns
    if kind == "parquet":
        return parquet_tables.cut(handle, file, rows_per_shard, columns)
    if kind == "tar":
        webdataset.check(handle, file, columns)
        return webdataset.cut(handle, file, rows_per_shard)
    text_tables.check(handle, file, kind, columns)
    return text_tables.cut(handle, file, kind, rows_per_shard)


def _image_parts(place: Place, files: Iterable[str], known: pl.DataFrame, source: Source) -> list[dict[str, Any]]:
    folder.check(place.fs, place.base, source.columns)
    registered, size = set(known["members"].explode().drop_nulls()), source.rows_per_shard
    missing = sorted(registered.difference(files))
    if missing:
        raise SourceError(
            f"{place.base}: {len(missing)} registered images are gone, such as {missing[0]}: put them back"
        )
    new = sorted(set(files) - registered)
    parts = [new[first : first + size] for first in range(0, len(new), size)]
    return [_part("", len(registered) + i * size, len(part), None, 0, part) for i, part in enumerate(parts)]


def _part(
    file: str, first: int, rows: int, size: int | None, offset: int, members: list[str] | None = None
) -> dict[str, Any]:
    return {
        "file": file, "first_row": first, "rows": rows, "size_bytes": size, "offset": offset, "members": members,
    }  # fmt: skip


def _check_known(place: Place, sizes: Mapping[str, int], known: pl.DataFrame) -> None:
    """Registered files must be there with the rows that they had; new rows belong into new files."""
    for file, rows, size in known.group_by("file").agg(pl.sum("rows"), pl.first("size_bytes")).sort("file").iter_rows():
        path = f"{place.base}/{file}"
        if file not in sizes:
            raise SourceError(f"{path} was registered and is gone: put it back, or use another root")
        if sizes[file] == size:
            continue
        change = f"had {size} bytes and has {sizes[file]}"
        if kind_of(file) == "parquet":
            with place.open(file) as handle:
                counted = parquet_tables.count_rows(handle)
            if counted == rows:
                continue
            change = f"had {rows} rows and has {counted}"
        raise SourceError(f"{path} {change} since it was registered: add new rows as new files")

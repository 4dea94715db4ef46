"""The source: which rows there are, cut into shards once and for ever, and how to read one shard of them.

Four kinds are accepted, at a local path or an fsspec URL: tables (parquet, csv, tsv, JSON; one file, a glob or a
folder), tables that embed the images, WebDataset tars, and a folder of images. A shard never crosses files. Text tables
are converted to Parquet under the root when they are registered; all else is read where it lies.

The registry is one small table; a shard is one of its rows, and reading it needs nothing else:

    shard       `00000`, `00001`, ... in the order of registration, which is the order of the rows of the registry
    file        path below the source's folder; empty for a folder of images
    first_row   first row within the file            rows        number of rows
    source_row  number of the first row over the whole source
    size_bytes  size of the file, null for a folder of images
    identity    changes when the file, or an image of the shard, does
    offset      byte position of the first row of a tar, else 0
    list        path below the root of the list as Parquet (`source_lists`), null for what is read where it lies
    converted_by  version of the code that made `list`; null where it is null, or nobody told
    members     the images of the shard, for a folder of images, else null
    described_by  files of the folder that describe these images: tables of metadata, captions, JSON
    left_out    what lies among the rows in the file and is none, as JSON (`left_out`)
    beside      of the first shard: what is left out of the source as a whole, files and entries of metadata; and
                the images of a folder that nothing describes, which are rows

Rows are never renumbered: what is new in a later registration becomes new shards after the known ones, which keep all
but `identity`, `size_bytes`, `list`, `converted_by`, `described_by` and `beside`: those follow a file that was written
anew with as many rows, code that reads it otherwise, and what lies beside the images.
"""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping
from typing import Any

import polars as pl

from paris_assets.config import Ingest, Source
from paris_assets.ingest import known_files
from paris_assets.ingest.fetched import Fetched
from paris_assets.ingest.files import folder
from paris_assets.ingest.files.left_out import LeftOut
from paris_assets.ingest.files.listing import Listing, list_files
from paris_assets.ingest.files.names import IMAGE, TAR, kind_of
from paris_assets.ingest.files.places import Place, locate
from paris_assets.ingest.lists import parquet_tables, source_lists
from paris_assets.ingest.lists.columns import NO_IMAGE, SourceError
from paris_assets.ingest.new_files import file_parts
from paris_assets.ingest.tars import webdataset
from paris_assets.ingest.web.fetch import fetch_images
from paris_assets.ingest.web.opt_out import opt_outs
from paris_assets.storage.location import Location

REGISTRY_SCHEMA = {
    "shard": pl.String,
    "file": pl.String,
    "first_row": pl.Int64,
    "rows": pl.Int64,
    "source_row": pl.Int64,
    "size_bytes": pl.Int64,
    "identity": pl.String,
    "offset": pl.Int64,
    "list": pl.String,
    "converted_by": pl.String,
    "members": pl.List(pl.String),
    "described_by": pl.List(pl.String),
    "left_out": pl.String,
    "beside": pl.String,
}


def register(
    source: Source, known: pl.DataFrame | None, root: Location, write: bool = True, converts: str | None = None
) -> pl.DataFrame:
    """The registry of the source: the known shards, then those of files or images that are new.

    Memory is bounded: parquet is counted from its footers, tars are read through once, and text lists once, into
    `source_lists` of the root; nothing else is written. One listing tells which files there are. A known list is read
    again only when its file has changed, its Parquet file is gone or other code made that.

    Args:
        source: path, rows per shard and column overrides.
        known: the registry of an earlier call.
        root: where lists are put.
        write: False is a look that writes nothing; lists that it names as new are not there.
        converts: version of the code of `known_files.convert`; None leaves lists as they were converted.

    Raises:
        SourceError: nothing to read, more than one kind of file, a file without usable columns, or a known file or
            image that has disappeared or changed.
    """
    known = pl.DataFrame(schema=REGISTRY_SCHEMA) if known is None else known
    if known.schema != REGISTRY_SCHEMA:
        raise SourceError(f"{root.url} was registered by another version: give another --root, or delete this one")
    place = locate(source.path)
    listing = list_files(place, registered_files(known))
    left_out = LeftOut.of([listing.left_out.as_dict()])
    if listing.kind == IMAGE:
        _require_all(place, listing, known)
        described = folder.Described(listing)
        described.check(place, source, left_out)
        known, parts = described.parts(known, source.rows_per_shard)
    else:
        known = known_files.refresh(place, listing.files, known, root, write, source.encoding, converts)
        known_files.check_columns(place, known, source.columns, root)
        registered = set(known["file"])
        new = [(file, info) for file, info in listing.files.items() if file not in registered]
        lists = root if write else None
        parts = (part for file, info in new for part in file_parts(place, file, info, source, lists, converts))
    first = int((known["source_row"] + known["rows"]).max() or 0)  # type: ignore[arg-type]
    rows = []
    for number, part in enumerate(parts, known.height):
        rows.append({"shard": f"{number:05d}", "source_row": first, **part})
        first += part["rows"]
    registry = pl.concat([known, pl.DataFrame(rows, schema=REGISTRY_SCHEMA)])
    if registry.is_empty():
        raise SourceError(f"source {source.path} has no rows, only {', '.join([*listing.files][:5])}")
    empty = [] if listing.kind == IMAGE else sorted(set(listing.files).difference(registry["file"]))
    if empty:
        left_out.add("files without rows", *empty)
    beside = json.dumps(left_out.as_dict(), ensure_ascii=False) if left_out else None
    return registry.with_columns(beside=pl.Series([beside, *[None] * (registry.height - 1)], dtype=pl.String))


def registered_files(registry: pl.DataFrame | None) -> set[str]:
    """Paths of the files, and of the images of folders, that a registry names."""
    if registry is None:
        return set()
    return {*registry["file"], *registry["members"].explode().drop_nulls()}


def entry_of(registry: pl.DataFrame, shard: str) -> dict[str, Any]:
    """The registry's row of one shard.

    Raises:
        SourceError: no such shard.
    """
    rows = registry.filter(shard=shard)
    if rows.height != 1:
        raise SourceError(f"shard {shard!r} is not registered; there are {registry.height} shards")
    return rows.row(0, named=True)


def read_rows(source: Source, entry: Mapping[str, Any], root: Location, unread: LeftOut | None = None) -> pl.DataFrame:
    """The source rows of one shard, columns of `source_rows`, sorted by `source_row`.

    `locator` says where the image lies for sources that hold the images, and is null where it is fetched from `url`.

    Args:
        entry: the shard's row of the registry.
        root: where its list was put.
        unread: counts what describes a row and cannot be read.

    Raises:
        SourceError: the file cannot be read as it was registered.
        MissingInput: the converted list is gone.
        DamagedFile: the converted list is not as it was written.
    """
    if entry["list"] is not None:
        return source_lists.read(root, entry, source.columns)
    place, unread = locate(source.path), LeftOut() if unread is None else unread
    if entry["members"] is not None:
        return folder.read(place, entry, source, unread)
    with place.open(entry["file"]) as handle:
        if kind_of(entry["file"]) == TAR:
            return webdataset.read(handle, entry["file"], entry, source, unread)
        return parquet_tables.read(handle, entry["file"], entry, source.columns, source.encoding)


def texts_left_out(source: Source, entry: Mapping[str, Any], root: Location) -> list[str]:
    """Columns of a shard that nothing is made of, and whose values look like captions.

    Args:
        entry: the shard's row of the registry.
        root: where its list was put.
    """
    if entry["list"] is not None:
        return source_lists.left_out(root, entry, source.columns)
    place = locate(source.path)
    if entry["members"] is not None:
        return folder.left_out(place, entry, source)
    with place.open(entry["file"]) as handle:
        if kind_of(entry["file"]) == TAR:
            return webdataset.left_out(handle, entry["file"], entry, source)
        return parquet_tables.left_out(handle, entry["file"], entry, source.columns)


def read_bodies(source: Source, entry: Mapping[str, Any], settings: Ingest) -> Iterator[Fetched]:
    """The images of one shard of a source that holds them, in the order of their rows."""
    place = locate(source.path)
    if entry["members"] is not None:
        yield from folder.read_images(place.fs, place.base, entry, settings.max_bytes)
        return
    with place.open(entry["file"]) as handle:
        if kind_of(entry["file"]) == TAR:
            yield from webdataset.read_images(handle, entry["file"], entry, settings.max_bytes)
        else:
            yield from parquet_tables.read_images(handle, entry["file"], entry, source.columns)


def images_of(
    source: Source, entry: Mapping[str, Any], rows: pl.DataFrame, settings: Ingest, server: str | None = None
) -> Iterator[Fetched]:
    """The images of one shard, read from the source where it holds them, else fetched from their urls.

    A row with a `problem` fails for it, without a request. A row of a table whose image is not stored is fetched from
    its url, if it has one.

    Args:
        entry: the shard's row of the registry; `rows` what `read_rows` gave for it, or some of them.
        settings: how to fetch; `server` is `127.0.0.1:port` of the loopback web server, if there is one.
    """
    for row, problem in rows.filter(pl.col("problem").is_not_null()).select("source_row", "problem").iter_rows():
        yield Fetched(row, "failed", problem, None, 0, None)
    rows = rows.filter(pl.col("problem").is_null())
    urls = [*rows.filter(pl.col("locator").is_null()).select("source_row", "url").iter_rows()]
    stored = dict(rows.filter(pl.col("locator").is_not_null()).select("source_row", "url").iter_rows())
    for fetched in read_bodies(source, entry, settings) if stored else ():
        url = stored.get(fetched.source_row) if kind_of(entry["file"]) == "parquet" else None
        if fetched.reason == NO_IMAGE and url and url.strip():
            urls.append((fetched.source_row, url))
        elif fetched.source_row in stored:
            yield fetched
    if urls:
        yield from fetch_images(urls, settings, server, opt_outs(settings.opt_out))


def _require_all(place: Place, listing: Listing, known: pl.DataFrame) -> None:
    missing = sorted(set(known["members"].explode().drop_nulls()).difference(listing.files))
    if missing:
        raise SourceError(
            f"{place.base}: {len(missing)} registered images are gone, such as {missing[0]}: put them back"
        )

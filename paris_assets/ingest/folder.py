"""A folder of images, with an optional `metadata.jsonl` (`file`, `text` and any column that a table may have)."""

from __future__ import annotations

import json
import os
from collections.abc import Iterable, Iterator, Mapping
from typing import Any, cast

import polars as pl
from fsspec import AbstractFileSystem
from fsspec.implementations.local import LocalFileSystem

from paris_assets.ingest.columns import SourceError, check_records, from_records
from paris_assets.ingest.fetch import Fetched
from paris_assets.ingest.source_file import reached

METADATA = "metadata.jsonl"


def check(fs: AbstractFileSystem, base: str, overrides: Mapping[str, str]) -> None:
    """Whether every line of the metadata can be read, and has the columns that the profile names.

    Raises:
        SourceError: a line that cannot be read, or no such column.
    """
    path = f"{base}/{METADATA}"
    names = dict.fromkeys(name for _, record in _lines(fs, path) for name in record)
    check_records([names], overrides, path, needs_image=False)


def refuse_links(fs: AbstractFileSystem, base: str, files: Iterable[str]) -> None:
    """A stranger's folder may link to anything on this machine, which would then be published.

    Raises:
        SourceError: a file that is, or lies behind, a link out of the folder.
    """
    inside = os.path.join(os.path.realpath(base), "")
    for file in files if isinstance(fs, LocalFileSystem) else ():
        target = os.path.realpath(f"{base}/{file}")
        if not target.startswith(inside):
            raise SourceError(f"{base}/{file} is a link out of the folder, to {target}: put a copy there, or remove it")


def read(fs: AbstractFileSystem, base: str, entry: Mapping[str, Any], overrides: Mapping[str, str]) -> pl.DataFrame:
    """The images of one part, normalised; `locator` is the path below the folder."""
    members = list(entry["members"])
    wanted = set(members)
    described = {file: record for file, record in _lines(fs, f"{base}/{METADATA}") if file in wanted}
    records = [described.get(member, {}) for member in members]
    rows = from_records(records, overrides, entry["source_row"])
    return rows.with_columns(locator=pl.Series(members, dtype=pl.String))


def read_images(fs: AbstractFileSystem, base: str, entry: Mapping[str, Any], max_bytes: int) -> Iterator[Fetched]:
    """The images of one part, in order, one in memory at a time."""
    for source_row, member in enumerate(entry["members"], entry["source_row"]):
        with fs.open(f"{base}/{member}", "rb") as file:
            body = cast(bytes, file.read(max_bytes + 1))
        too_large = len(body) > max_bytes
        yield Fetched.local(source_row, None, "too_large") if too_large else Fetched.local(source_row, body)


def _lines(fs: AbstractFileSystem, path: str) -> Iterator[tuple[str, dict[str, Any]]]:
    """(image, columns and values) of each line of the metadata."""
    if not fs.exists(path):
        return
    with reached(fs, path):
        opened = fs.open(path, "rb")
    with opened as lines:
        for number, line in enumerate(lines, 1):
            if not line.strip():
                continue
            try:
                record = json.loads(line)
                file = record.pop("file", None)
                file = record.pop("file_name") if file in (None, "") else file
                if not isinstance(file, str):
                    raise TypeError(f"{file!r} is no name of a file")
            except (ValueError, TypeError, AttributeError, KeyError, RecursionError) as error:
                raise SourceError(f"{path}, line {number}: expected a JSON object with `file` and `text`") from error
            yield file, record

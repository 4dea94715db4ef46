"""A folder of images, with an optional `metadata.jsonl` (`file`, `text` and any column that a table may have)."""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping
from typing import Any, cast

import polars as pl
from fsspec import AbstractFileSystem

from paris_assets.ingest.columns import SourceError, from_records
from paris_assets.ingest.fetch import Fetched

METADATA = "metadata.jsonl"


def read(fs: AbstractFileSystem, base: str, entry: Mapping[str, Any], overrides: Mapping[str, str]) -> pl.DataFrame:
    """The images of one part, normalised; `locator` is the path below the folder."""
    members = list(entry["members"])
    described = _metadata(fs, f"{base}/{METADATA}", set(members))
    records = [described.get(member, {}) for member in members]
    rows = from_records(records, overrides, f"{base}/{METADATA}", entry["source_row"], needs_image=False)
    return rows.with_columns(locator=pl.Series(members, dtype=pl.String))


def read_images(fs: AbstractFileSystem, base: str, entry: Mapping[str, Any], max_bytes: int) -> Iterator[Fetched]:
    """The images of one part, in order, one in memory at a time."""
    for source_row, member in enumerate(entry["members"], entry["source_row"]):
        with fs.open(f"{base}/{member}", "rb") as file:
            body = cast(bytes, file.read(max_bytes + 1))
        too_large = len(body) > max_bytes
        yield Fetched.local(source_row, None, "too_large") if too_large else Fetched.local(source_row, body)


def _metadata(fs: AbstractFileSystem, path: str, wanted: set[str]) -> dict[str, dict[str, Any]]:
    """Lines of the metadata that describe the wanted files."""
    described: dict[str, dict[str, Any]] = {}
    if not fs.exists(path):
        return described
    with fs.open(path, "rb") as lines:
        for number, line in enumerate(lines, 1):
            if not line.strip():
                continue
            try:
                record = json.loads(line)
                file = record.pop("file", None) or record.pop("file_name")
            except (ValueError, TypeError, AttributeError, KeyError) as error:
                raise SourceError(f"{path}, line {number}: expected a JSON object with `file` and `text`") from error
            if file in wanted:
                described[file] = record
    return described

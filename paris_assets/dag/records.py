"""Commit records: what a Parquet file's footer says about the partition that it completes."""

from __future__ import annotations

import io
from collections.abc import Callable, Mapping, Sequence
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq
from pydantic import BaseModel, ConfigDict, ValidationError

from paris_assets.storage.checksum import sealed_footer
from paris_assets.storage.location import Location

FOOTER_KEY = b"paris_assets"
ALL = "all"


class DataFile(BaseModel):
    """A file beside the table: path relative to the root, size and hash."""

    model_config = ConfigDict(frozen=True)
    path: str
    size_bytes: int
    sha256: str


class Record(BaseModel):
    """Footer metadata of ``<root>/<asset>/<shard>.parquet``; the partition is done when its fingerprint is wanted."""

    asset: str
    shard: str
    fingerprint: str
    rows_fingerprint: str
    content: str
    rows: int
    counts: dict[str, int] = {}
    rejects: dict[str, int] = {}
    facts: dict[str, Any] = {}
    slices: dict[str, str] = {}
    files: list[DataFile] = []


def table_path(asset: str, shard: str = ALL) -> str:
    """Path of a partition's table, relative to the root."""
    return f"{asset}/{shard}.parquet"


def read_record(root: Location, asset: str, shard: str = ALL) -> Record | None:
    """The record of a partition, or None when it is absent or cannot be read (it is then written again)."""
    try:
        with root.open(table_path(asset, shard)) as file:
            footer = sealed_footer(file)
        if footer is None:
            return None
        metadata = pq.read_metadata(io.BytesIO(footer)).metadata or {}
    except (FileNotFoundError, pa.ArrowInvalid):
        return None
    except OSError as error:
        # A damaged footer is an OSError without a number; what the disk or network says has one.
        if error.errno is None:
            return None
        raise
    try:
        record = Record.model_validate_json(metadata[FOOTER_KEY])
    except (KeyError, ValidationError):
        return None
    return record if (record.asset, record.shard) == (asset, shard) else None


class Records:
    """The commit records of a root, for what speaks of the run as a whole.

    Args:
        read: (asset, shard) -> record, or None.
        keys: asset -> its partitions, for every asset of the graph.
    """

    def __init__(self, read: Callable[[str, str], Record | None], keys: Mapping[str, Sequence[str]]) -> None:
        self._read, self.keys = read, keys

    def one(self, asset: str, shard: str = ALL) -> Record | None:
        """The record of a partition, or None."""
        return self._read(asset, shard)

    def of(self, asset: str) -> list[Record]:
        """The records of all partitions of an asset that have one."""
        return [record for key in self.keys[asset] if (record := self._read(asset, key))]

"""Files of rows in an export, and the sets of them that are loaded together."""

from __future__ import annotations

from dataclasses import dataclass
from typing import NamedTuple

import pyarrow.parquet as pq


class Part(NamedTuple):
    """A Parquet file: its rows, bytes, bytes of its columns before compression, and sha256."""

    path: str
    rows: int
    size_bytes: int
    raw_bytes: int
    sha256: str
    kept: bool = False


def part(path: str, told: pq.FileMetaData, size_bytes: int, sha256: str, kept: bool) -> Part:
    """A file, by its footer."""
    raw = sum(told.row_group(number).total_byte_size for number in range(told.num_row_groups))
    return Part(path, told.num_rows, size_bytes, raw, sha256, kept)


@dataclass(frozen=True)
class Config:
    """What is loaded under one name.

    Attributes:
        said: what its rows are.
        splits: name -> pattern of paths, and its files.
    """

    name: str
    said: str
    splits: dict[str, tuple[str, list[Part]]]

    @property
    def parts(self) -> list[Part]:
        """The files of all splits."""
        return [part for _, parts in self.splits.values() for part in parts]

    @property
    def rows(self) -> int:
        """Rows of all splits."""
        return sum(part.rows for part in self.parts)

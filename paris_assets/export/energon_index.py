"""The side files by which Megatron-Energon finds samples in tars: offsets of one tar, and the database of a data set.

As `energon prepare` of release 7.4.1 writes them (megatron-energon, BSD-3-Clause).
"""

from __future__ import annotations

import sqlite3
from pathlib import Path
from types import TracebackType

import numpy as np

from paris_assets.export.tar_samples import TarSample

_TABLES = """
CREATE TABLE samples (
    tar_file_id INTEGER NOT NULL, sample_key TEXT NOT NULL UNIQUE, sample_index INTEGER NOT NULL,
    byte_offset INTEGER, byte_size INTEGER
);
CREATE TABLE sample_parts (
    tar_file_id INTEGER, sample_index INTEGER, part_name TEXT, content_byte_offset INTEGER, content_byte_size INTEGER
);
"""
_INDICES = """
CREATE INDEX idx_samples_by_tar_and_idx ON samples(tar_file_id, sample_index);
CREATE INDEX idx_sample_parts_seq ON sample_parts(tar_file_id, sample_index, content_byte_offset);
CREATE INDEX idx_sample_parts_full ON sample_parts(
    tar_file_id, sample_index, part_name, content_byte_offset, content_byte_size
);
"""


class EnergonIndex:
    """`index.sqlite` of one data set, in the making.

    Args:
        path: of a new local file.
    """

    def __init__(self, path: Path) -> None:
        self._database, self._tars = sqlite3.connect(path), 0

    def __enter__(self) -> EnergonIndex:
        self._database.executescript(_TABLES)
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, at: TracebackType | None) -> None:
        if kind is None:
            self._database.executescript(_INDICES)
            self._database.commit()
        self._database.close()

    def add(self, samples: list[TarSample]) -> bytes:
        """Add the samples of the next tar; what its `.tar.idx` holds: where each begins, and where the last ends.

        Raises:
            sqlite3.IntegrityError: a key that another sample of the data set has.
        """
        number = self._tars
        self._tars += 1
        self._database.executemany(
            "INSERT INTO samples VALUES (?, ?, ?, ?, ?)",
            ((number, each.key, at, each.start, each.stop - each.start) for at, each in enumerate(samples)),
        )
        self._database.executemany(
            "INSERT INTO sample_parts VALUES (?, ?, ?, ?, ?)",
            (
                (number, at, member.name.partition(".")[2], member.offset, member.size)
                for at, each in enumerate(samples)
                for member in each.members
            ),
        )
        return np.array([*(each.start for each in samples), samples[-1].stop], "<u8").tobytes()

"""MDS files as the library of mosaicml/streaming writes them, one at a time and without an index of the folder.

A file is known by its entry: what `index.json` says of it. The index of a folder is the list of the entries of its
files (``index_bytes``), so files that are made at any time, by anyone, in any order are joined without opening them.
"""

from __future__ import annotations

import json
from collections.abc import Iterable, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from itertools import accumulate
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa

from paris_assets.formats.mds_columns import LARGEST_FILE, MDS_VERSION, Columns
from paris_assets.storage.hashed_file import Buffer, HashedFile, hashes_of

INDEX = "index.json"
SAMPLE_BYTES = 4
"""What the library reckons for a sample beside its bytes: its position."""
ZSTD = "zstd"
COPIED_BYTES = 4 << 20


class TooLarge(ValueError):
    """A file would be longer than its positions can say."""


@dataclass(frozen=True)
class MdsForm:
    """What all files of a folder have in common.

    Attributes:
        columns: of every sample.
        hashes: names, sorted.
        compression: None, or ``zstd:LEVEL``.
        size_limit: bytes of a file before compression that the next sample must not exceed.
    """

    columns: Columns
    hashes: Sequence[str] = ()
    compression: str | None = None
    size_limit: int = 1 << 26

    @property
    def config(self) -> dict[str, Any]:
        """What the header of each file and its entry in the index say."""
        return {
            **self.columns.described(),
            "compression": self.compression,
            "format": "mds",
            "hashes": list(self.hashes),
            "size_limit": self.size_limit,
            "version": MDS_VERSION,
        }

    @property
    def header(self) -> bytes:
        """The JSON in each file."""
        return json.dumps(self.config, sort_keys=True).encode()


class MdsFile:
    """One file in the making: samples are held in memory until it is written, or spilled to a file beside it.

    Args:
        form: of the folder.
        path: the finished file, ``NAME.mds``; with a compression ``NAME.mds.zstd``.
        threads: hash what is written.
    """

    def __init__(self, form: MdsForm, path: Path, threads: ThreadPoolExecutor) -> None:
        self.path, self._form, self._threads = path, form, threads
        self._header = form.header
        self._sizes: list[int] = []
        self._held: list[bytes] = []
        self._spilled = path.with_name(f"{path.name}.samples")
        self._reckoned = 8 + len(self._header)
        self.held_bytes = 0

    @property
    def samples(self) -> int:
        """Samples so far."""
        return len(self._sizes)

    def takes(self, sample: bytes) -> bool:
        """Whether a further sample stays within the size limit; the first is taken whatever its size."""
        return not self._sizes or self._reckoned + len(sample) + SAMPLE_BYTES <= self._form.size_limit

    def add(self, sample: bytes) -> None:
        """A further sample.

        Raises:
            TooLarge: the file would be longer than 2^32 - 1 bytes.
        """
        if self._reckoned + len(sample) + SAMPLE_BYTES > LARGEST_FILE:
            raise TooLarge(f"{self.path.name}: a sample of {len(sample):,} bytes makes it longer than {LARGEST_FILE:,}")
        self._sizes.append(len(sample))
        self._held.append(sample)
        self._reckoned += len(sample) + SAMPLE_BYTES
        self.held_bytes += len(sample)

    def spill(self) -> None:
        """Free the memory of the samples so far."""
        with open(self._spilled, "ab") as file:
            file.writelines(self._held)
        self._held, self.held_bytes = [], 0

    def finish(self, basename: str) -> dict[str, Any]:
        """Write the file; its entry in the index.

        Args:
            basename: of the file before compression, below the folder of the index.
        """
        if self._form.compression:
            return self._compressed(basename)
        with HashedFile(self.path, self._form.hashes, self._threads) as file:
            file.write(self._blocks())
            hashes = file.close()
        self._spilled.unlink(missing_ok=True)
        return self._entry({"basename": basename, "bytes": file.size_bytes, "hashes": hashes}, None)

    def _compressed(self, basename: str) -> dict[str, Any]:
        raw = b"".join(self._blocks())  # pyright: ignore[reportArgumentType]
        self._spilled.unlink(missing_ok=True)
        data = compressed(raw, self._form.compression or "")
        with HashedFile(self.path, self._form.hashes, self._threads) as file:
            file.write([data])
            hashes = file.close()
        raw_data = {"basename": basename, "bytes": len(raw), "hashes": hashes_of(raw, self._form.hashes)}
        return self._entry(raw_data, {"basename": f"{basename}.{ZSTD}", "bytes": len(data), "hashes": hashes})

    def _blocks(self) -> Iterable[Buffer]:
        start = 4 * (self.samples + 2) + len(self._header)
        offsets = np.fromiter(accumulate(self._sizes, initial=start), np.uint64)
        yield b"".join([np.uint32(self.samples).tobytes(), offsets.astype("<u4").tobytes(), self._header])
        if self._spilled.exists():
            with open(self._spilled, "rb") as file:
                while block := file.read(COPIED_BYTES):
                    yield block
        yield from self._held

    def _entry(self, raw_data: dict[str, Any], zip_data: dict[str, Any] | None) -> dict[str, Any]:
        return {**self._form.config, "raw_data": raw_data, "samples": self.samples, "zip_data": zip_data}


def compressed(data: bytes, compression: str) -> bytes:
    """A zstd frame that states the size of its content, which readers need; the library's version decides its bytes."""
    level = int(compression.partition(":")[2] or 3)
    return pa.Codec(ZSTD, compression_level=level).compress(data, asbytes=True)


def index_bytes(entries: Iterable[Mapping[str, Any]]) -> bytes:
    """`index.json` of a folder, of the entries of its files; these are sorted by their names."""
    shards = sorted(entries, key=lambda entry: entry["raw_data"]["basename"])
    return json.dumps({"version": MDS_VERSION, "shards": shards}, sort_keys=True).encode()

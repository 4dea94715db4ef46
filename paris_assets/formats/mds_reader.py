"""Reads MDS files and the index of their folder, with nothing of mosaicml/streaming at hand."""

from __future__ import annotations

import json
import mmap
from collections.abc import Iterator, Sequence
from pathlib import Path, PurePosixPath
from types import NoneType, TracebackType
from typing import Any, NamedTuple

import numpy as np
import pyarrow as pa

from paris_assets.formats.mds_columns import LARGEST_FILE, MDS_VERSION, Columns
from paris_assets.storage.tar_members import Bytes

ENTRY: dict[str, type] = {
    "column_encodings": list,
    "column_names": list,
    "column_sizes": list,
    "raw_data": dict,
    "samples": int,
}


class TornMds(ValueError):
    """Bytes that are no whole MDS file, or no index of such files; the message says what is wrong."""


class MdsEntry(NamedTuple):
    """What an index says of one file.

    Attributes:
        path: of the file as it is stored, below the folder of the index.
        size_bytes: of it.
        hashes: name -> hex hash of it.
        raw_bytes: before compression, and ``raw_hashes``.
        columns: name -> encoding, and ``sizes``: name -> bytes of each value, None where they differ.
        compression: None, or zstd with its level.
    """

    path: str
    size_bytes: int
    hashes: dict[str, str]
    raw_bytes: int
    raw_hashes: dict[str, str]
    samples: int
    columns: dict[str, str]
    sizes: dict[str, int | None]
    compression: str | None


def read_index(text: bytes | str) -> list[MdsEntry]:
    """The files that an `index.json` lists, in its order.

    Raises:
        TornMds: it is no index of MDS files of version 2, or names files of another compression than zstd.
    """
    try:
        held = json.loads(text)
        version, shards = held["version"], held["shards"]
        if version != MDS_VERSION:
            raise TornMds(f"an index of version {version}; version {MDS_VERSION} is known here")
        return [_entry(shard) for shard in shards]
    except (KeyError, TypeError, AttributeError, ValueError, RecursionError) as error:
        if isinstance(error, TornMds):
            raise
        raise TornMds(f"no index of MDS files ({type(error).__name__}: {error})") from error


def _entry(shard: dict[str, Any]) -> MdsEntry:
    wrong = [name for name, kind in ENTRY.items() if not isinstance(shard.get(name), kind)]
    if wrong or shard.get("format") != "mds" or shard.get("version") != MDS_VERSION:
        what = ", ".join(wrong) or f"format {shard.get('format')} {shard.get('version')}"
        raise TornMds(f"an index with an entry that is not of an MDS file of version {MDS_VERSION}: {what}")
    names, encodings, sizes = (shard[f"column_{each}"] for each in ("names", "encodings", "sizes"))
    typed = {*map(type, names), *map(type, encodings)} <= {str} and {*map(type, sizes)} <= {int, NoneType}
    if not typed or min(filter(None, sizes), default=0) < 0:
        raise TornMds(f"an index with a column that cannot be: {names} of {encodings} and sizes {sizes}")
    raw, packed = shard["raw_data"], shard.get("zip_data")
    compression = shard.get("compression") if packed else None
    if packed and str(compression).partition(":")[0] != "zstd":
        raise TornMds(f"compression {compression}, where zstd is read")
    stored = packed or raw
    path = PurePosixPath(stored["basename"])
    if path.is_absolute() or ".." in path.parts:
        raise TornMds(f"an index that names a file outside its folder: {path}")
    return MdsEntry(
        str(path),
        int(stored["bytes"]),
        dict(stored["hashes"]),
        int(raw["bytes"]),
        dict(raw["hashes"]),
        shard["samples"],
        dict(zip(names, encodings, strict=True)),
        dict(zip(names, sizes, strict=True)),
        compression,
    )


def sample_offsets(data: Bytes | memoryview) -> np.ndarray:
    """Where the samples of a file begin, and the last of them ends: (n + 1,) int64.

    Args:
        data: the file before compression.

    Raises:
        TornMds: they cannot lie there.
    """
    count = int.from_bytes(data[:4], "little")
    head = 4 * (count + 2)
    if len(data) < head:
        raise TornMds(f"cut off: {len(data)} bytes, too few for the positions of {count} samples")
    offsets = np.frombuffer(bytes(data[4:head]), "<u4").astype(np.int64)
    if (np.diff(offsets) < 0).any() or offsets[0] < head or offsets[-1] != len(data):
        raise TornMds(f"{len(data)} bytes, where the positions of {count} samples end at {int(offsets[-1])}")
    return offsets


class MdsFileReader:
    """The samples of one file, by number; to be closed.

    Args:
        path: a local file, ``.mds`` or, compressed, ``.mds.zstd`` (which is held in memory while open).

    Raises:
        TornMds: it is no whole MDS file.
    """

    def __init__(self, path: Path) -> None:
        self.path = path
        self._map: mmap.mmap | None = None
        self._view = self._opened(path)
        try:
            self.offsets, self.columns = self._head()
        except TornMds:
            self.close()
            raise

    @property
    def data(self) -> memoryview:
        """The bytes of the file, before compression."""
        return self._view

    def __len__(self) -> int:
        return len(self.offsets) - 1

    def __getitem__(self, number: int) -> dict[str, Any]:
        """The values of a sample, by column; see ``read``."""
        return self.read(number)

    def read(self, number: int, names: Sequence[str] | None = None) -> dict[str, Any]:
        """The values of some columns of a sample; arrays are copies, and stay when the file is closed.

        Raises:
            TornMds: its bytes are no sample, or it has no such column.
            IndexError: there are not so many.
        """
        parts, (start, _) = self.parts(number), self.span(number)
        try:
            # Of bytes that are copied: nothing is left that would keep the file open.
            wanted = ((self.columns.by_name[name], parts[name]) for name in names or parts)
            return {each.name: each.decode(bytes(self._view[start + at : start + end])) for each, (at, end) in wanted}
        except ValueError as error:
            raise TornMds(f"sample {number}: {error}") from error
        except KeyError as error:
            raise TornMds(f"no column {error} beside {', '.join(parts)}") from error

    def span(self, number: int) -> tuple[int, int]:
        """Where a sample's bytes begin and end."""
        if not 0 <= number < len(self):
            raise IndexError(f"{self.path.name} has {len(self)} samples, not {number + 1}")
        return int(self.offsets[number]), int(self.offsets[number + 1])

    def parts(self, number: int) -> dict[str, tuple[int, int]]:
        """Column -> where its bytes begin and end within those of a sample (see ``span``).

        Raises:
            TornMds: the bytes are no sample.
        """
        start, end = self.span(number)
        try:
            return self.columns.parts(bytes(self._view[start : min(end, start + self.columns.head_bytes)]), end - start)
        except ValueError as error:
            raise TornMds(f"sample {number}: {error}") from error

    def __iter__(self) -> Iterator[dict[str, Any]]:
        return (self.read(number) for number in range(len(self)))

    def close(self) -> None:
        """Let go of the file."""
        self._view.release()
        if self._map is not None:
            self._map.close()

    def __enter__(self) -> MdsFileReader:
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, at: TracebackType | None) -> None:
        self.close()

    def _opened(self, path: Path) -> memoryview:
        if path.suffix == ".zstd":
            return memoryview(decompressed(path.read_bytes()))
        with open(path, "rb") as file:
            if not path.stat().st_size:
                raise TornMds("an empty file")
            self._map = mmap.mmap(file.fileno(), 0, access=mmap.ACCESS_READ)
        return memoryview(self._map)

    def _head(self) -> tuple[np.ndarray, Columns]:
        offsets = sample_offsets(self._view)
        try:
            held = json.loads(bytes(self._view[4 * (len(offsets) + 1) : int(offsets[0])]))
            named = dict(zip(held["column_names"], held["column_encodings"], strict=True))
            columns = Columns(named)
        except (ValueError, KeyError, TypeError, AttributeError, RecursionError) as error:
            raise TornMds(f"a header that cannot be read ({type(error).__name__}: {error})") from error
        return offsets, columns


def decompressed(data: bytes | memoryview, size: int | None = None) -> bytes:
    """What a zstd frame holds.

    Args:
        size: of its content; None: as the frame states it.

    Raises:
        TornMds: it is no whole frame, holds another number of bytes, or states none.
    """
    size = _content_size(data) if size is None else size
    if not 0 <= size <= LARGEST_FILE:
        raise TornMds(f"a zstd frame of {size:,} bytes, where an MDS file can have {LARGEST_FILE:,}")
    try:
        return pa.Codec("zstd").decompress(data, decompressed_size=size, asbytes=True)
    except (OSError, ValueError) as error:
        raise TornMds(f"a zstd frame that cannot be read ({error})") from error


def _content_size(data: bytes | memoryview) -> int:
    """The size in the header of a zstd frame (RFC 8878, 3.1.1.1)."""
    if data[:4] != b"\x28\xb5\x2f\xfd" or len(data) < 6:
        raise TornMds("no zstd frame")
    flag, single, dictionary = data[4] >> 6, data[4] >> 5 & 1, data[4] & 3
    width = (1 if single else 0, 2, 4, 8)[flag]
    at = 5 + (0 if single else 1) + (0, 1, 2, 4)[dictionary]
    if not width or len(data) < at + width:
        raise TornMds("a zstd frame that does not state the size of its content")
    return int.from_bytes(data[at : at + width], "little") + (256 if width == 2 else 0)

"""Arrays in `.npy` and `.npz` files, read by rows, without unpickling anything."""

from __future__ import annotations

import struct
import zipfile
from collections.abc import Iterator
from dataclasses import dataclass
from typing import IO, Any

import numpy as np

from paris_assets.ingest.lists.columns import SourceError

BLOCK_BYTES = 4 << 20
_LOCAL_HEADER = struct.Struct("<26xHH")  # of a zip member: lengths of its name and of its extra field


@dataclass(frozen=True)
class NpyRows:
    """A matrix in a file, of which nothing but the header has been read.

    Attributes:
        handle: stands somewhere in the file; `start` is where the values begin.
        dtype: of the values, floating.
        rows: number of rows; `dim` that of columns.
    """

    handle: IO[bytes]
    start: int
    dtype: np.dtype[Any]
    rows: int
    dim: int

    def read(self, first: int, count: int, where: str) -> Iterator[np.ndarray]:
        """Rows [first, first + count) in blocks of about `BLOCK_BYTES`.

        Raises:
            SourceError: the file ends before them; names `where`.
        """
        width = self.dim * self.dtype.itemsize
        self.handle.seek(self.start + first * width)
        block = max(1, BLOCK_BYTES // width)
        for done in range(0, count, block):
            wanted = min(block, count - done)
            data = _read(self.handle, wanted * width)
            if len(data) < wanted * width:
                raise SourceError(f"{where} is cut off: get it anew")
            yield np.frombuffer(data, self.dtype).reshape(wanted, self.dim)


def opened(handle: IO[bytes], where: str) -> NpyRows:
    """The matrix of a `.npy` file, or of a member of a zip.

    Raises:
        SourceError: no `.npy`, or none that is a matrix of floats in rows; names `where`.
    """
    try:
        version = np.lib.format.read_magic(handle)
        read_header = np.lib.format.read_array_header_1_0 if version == (1, 0) else np.lib.format.read_array_header_2_0
        shape, by_columns, dtype = read_header(handle)
    except ValueError as error:
        raise SourceError(f"{where} is no array that numpy wrote ({error}): get it anew") from error
    if dtype.hasobject:
        raise SourceError(f"{where} holds Python objects, which are never read: save it as float16 or float32")
    if len(shape) != 2 or dtype.kind != "f" or not shape[1] or (by_columns and min(shape) > 1):
        order = " by columns" if by_columns else ""
        raise SourceError(f"{where} holds {dtype} of shape {shape}{order}: a matrix of floats by rows is needed")
    return NpyRows(handle, handle.tell(), dtype, *shape)


def of_npz(handle: IO[bytes], key: str, where: str) -> NpyRows:
    """An array of a `.npz` file. Of one that is not compressed only the rows that are asked for are read; of a
    compressed one all that comes before them as well.

    Raises:
        SourceError: no `.npz`, or none with this array; names `where` and what it holds.
    """
    try:
        archive = zipfile.ZipFile(handle)
    except zipfile.BadZipFile as error:
        raise SourceError(f"{where} is no .npz file ({error}): get it anew") from error
    members = {name.removesuffix(".npy"): name for name in archive.namelist()}
    if key not in members:
        raise SourceError(f"{where} has no array {key!r}, but {', '.join(sorted(members)) or 'none'}")
    member = archive.getinfo(members[key])
    if member.compress_type != zipfile.ZIP_STORED:
        return opened(archive.open(member), f"{key} of {where}")
    handle.seek(member.header_offset)
    name, extra = _LOCAL_HEADER.unpack(_read(handle, _LOCAL_HEADER.size))
    handle.seek(name + extra, 1)
    return opened(handle, f"{key} of {where}")


def _read(handle: IO[bytes], size: int) -> bytes:
    """So many bytes, or all that are left: a remote file may give fewer at a time."""
    data = handle.read(size)
    while len(data) < size and (more := handle.read(size - len(data))):
        data += more
    return data

"""WebDataset tars, reproducible byte for byte, hashed while they are written."""

from __future__ import annotations

import json
import tarfile
from collections.abc import Mapping
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import numpy as np

from paris_assets.formats.npy import npy_header
from paris_assets.storage.hashed_file import Buffer, HashedFile, size_of

NAME, SIZE, CHECKSUM = slice(0, 100), slice(124, 136), slice(148, 156)
_ZEROS = bytes(tarfile.RECORDSIZE)


class SampleTar:
    """A tar of samples, whose members lie side by side as ``KEY.MEMBER``: owner 0 without a name, time 0, mode 644.

    The bytes are those of ``webdataset.TarWriter(user="", group="", mode=0o644, mtime=0)``, at several times its speed.

    Args:
        path: of the tar.
        threads: hash it.
    """

    def __init__(self, path: Path, threads: ThreadPoolExecutor) -> None:
        self.path = path
        self._file = HashedFile(path, ["sha256"], threads)
        self._header = bytearray(_empty_header())
        self._header[NAME], self._header[SIZE], self._header[CHECKSUM] = bytes(100), bytes(12), b" " * 8
        self._rest = sum(self._header)
        self._written = 0

    def write(self, key: str, members: Mapping[str, Any]) -> None:
        """Add a sample, its members in the order of their names.

        Args:
            members: name -> text, bytes, an array (as ``.npy``) or a JSON value.

        Raises:
            ValueError: a name that does not fit a header.
        """
        parts: list[Buffer] = []
        for name in sorted(members):
            content = _content(members[name])
            size = sum(map(size_of, content))
            pad = -size % tarfile.BLOCKSIZE
            parts += [self._member(f"{key}.{name}", size), *content, _ZEROS[:pad]]
            self._written += tarfile.BLOCKSIZE + size + pad
        self._file.write(parts)

    def close(self) -> tuple[int, str]:
        """Finish the tar; its bytes and their sha256."""
        end = 2 * tarfile.BLOCKSIZE
        self._file.write([_ZEROS[:end], _ZEROS[: -(self._written + end) % tarfile.RECORDSIZE]])
        hashes = self._file.close()
        return self._file.size_bytes, hashes["sha256"]

    def abort(self) -> None:
        """Close the file as it is."""
        self._file.__exit__(None, None, None)

    def _member(self, name: str, size: int) -> bytes:
        encoded, header = name.encode("ascii"), self._header
        if len(encoded) > NAME.stop or size >= 1 << 33:
            raise ValueError(f"{name} ({size} bytes) does not fit the header of a tar")
        octal = b"%011o\0" % size
        header[NAME], header[SIZE] = encoded.ljust(NAME.stop, b"\0"), octal
        header[CHECKSUM] = b"%06o\0 " % (self._rest + sum(encoded) + sum(octal))
        return bytes(header)


def _empty_header() -> bytes:
    info = tarfile.TarInfo("x")
    info.mode, info.mtime = 0o644, 0
    return info.tobuf(tarfile.USTAR_FORMAT)


def _content(value: Any) -> list[Buffer]:
    if isinstance(value, np.ndarray):
        return [npy_header(value.dtype, value.shape), np.ascontiguousarray(value)]
    if isinstance(value, bytes):
        return [value]
    return [value.encode() if isinstance(value, str) else json.dumps(value).encode()]

"""Files brought to this disk, unpacked, hashed and mapped: of a remote one a copy, for as long as it is looked at."""

from __future__ import annotations

import hashlib
import lzma
import mmap
import tempfile
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pyarrow as pa
import xxhash

from paris_assets.lint.problems import Problems
from paris_assets.storage.location import Location

PACKED = {".gz": "gzip", ".tgz": "gzip", ".bz2": "bz2", ".tbz2": "bz2", ".zst": "zstd", ".zstd": "zstd",
          ".br": "brotli", ".xz": "xz"}  # fmt: skip
"""Ending -> how a file is compressed, as pyarrow calls it."""
XXHASHES = {"xxh32": xxhash.xxh32, "xxh64": xxhash.xxh64, "xxh128": xxhash.xxh128, "xxh3_64": xxhash.xxh3_64,
            "xxh3_128": xxhash.xxh3_128}  # fmt: skip
_CHUNK = 4 << 20


class BadPacking(ValueError):
    """A compressed file that cannot be unpacked, or not to what it should be.

    Attributes:
        kind: of problem.
    """

    def __init__(self, kind: str, what: str) -> None:
        super().__init__(what)
        self.kind = kind


@contextmanager
def folder_of_copies() -> Iterator[Path]:
    """A folder for copies, removed afterwards; nothing is written where the files lie."""
    with tempfile.TemporaryDirectory(prefix="paris-lint-") as folder:
        yield Path(folder)


def local_copy(location: Location, path: str, folder: Path, problems: Problems) -> Path | None:
    """The file on this disk; None, with a problem, where it cannot be had."""
    try:
        if location.size(path) is None:
            problems.add("not_there", "", "no such file")
            return None
        local = location.fetch(path, folder)
        if not local.is_file():
            problems.add("unreadable", "", "it is no file")
            return None
        return local
    except OSError as error:
        problems.add("unreadable", "", f"it cannot be read ({error})")
        return None


@contextmanager
def mapped(file: Path) -> Iterator[mmap.mmap | bytes]:
    """The bytes of a file, without reading them."""
    if not file.stat().st_size:
        yield b""
        return
    with open(file, "rb") as handle, mmap.mmap(handle.fileno(), 0, access=mmap.ACCESS_READ) as view:
        yield view


def unpacked(file: Path, how: str, folder: Path, size: int | None = None) -> Path:
    """A compressed file's content, as a file.

    Args:
        how: value of ``PACKED``, or `snappy`, of which the size has to be known.
        size: bytes that should come; more are not written.

    Raises:
        BadPacking: it is cut off, damaged, or holds more.
    """
    target = folder / f"{file.name}.unpacked"
    try:
        with open(target, "wb") as out:
            for block in _blocks(file, how, size):
                if size is not None and out.tell() + len(block) > size:
                    raise BadPacking("size_mismatch", f"it unpacks to more than the {size} bytes of the index")
                out.write(block)
    except BadPacking:
        raise
    except (OSError, EOFError, lzma.LZMAError, pa.ArrowException, ValueError, OverflowError, MemoryError) as error:
        raise BadPacking("truncated", f"it cannot be unpacked ({str(error)[:80]}), perhaps it is cut off") from error
    return target


def _blocks(file: Path, how: str, size: int | None) -> Iterator[bytes]:
    if how == "snappy":
        yield pa.decompress(file.read_bytes(), decompressed_size=size, codec="snappy", asbytes=True)
        return
    with lzma.open(file) if how == "xz" else pa.input_stream(str(file), compression=how) as stream:
        while block := stream.read(_CHUNK):
            yield block


def digests(view: mmap.mmap | bytes, names: Iterable[str]) -> dict[str, str]:
    """Hashes of some bytes by name, but for names that nobody knows."""
    made = {name: state for name in names if (state := _state(name)) is not None}
    for start in range(0, len(view) if made else 0, _CHUNK):
        block = view[start : start + _CHUNK]
        for state in made.values():
            state.update(block)
    return {name: state.hexdigest() for name, state in made.items()}


def _state(name: str) -> Any:
    if name in XXHASHES:
        return XXHASHES[name]()
    return hashlib.new(name) if name in hashlib.algorithms_available else None

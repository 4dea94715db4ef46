"""Where a source lies, and how its files are opened."""

from __future__ import annotations

import io
import lzma
import os
import tarfile
import zlib
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any

import fsspec
import pyarrow as pa
from fsspec import AbstractFileSystem
from fsspec.implementations.local import LocalFileSystem
from fsspec.utils import infer_compression

from paris_assets.ingest.files.names import COMPRESSIONS, kind_of
from paris_assets.ingest.files.patterns import is_pattern
from paris_assets.ingest.files.source_file import reached, unreachable
from paris_assets.ingest.lists import text_tables
from paris_assets.ingest.lists.columns import SourceError
from paris_assets.settings.local_path import local_path

BUFFER_BYTES = 1 << 20
CLIENTS = ("aiohttp", "botocore", "fsspec")  # whose errors only the reading of a remote file raises here
BROKEN = (EOFError, zlib.error, lzma.LZMAError, tarfile.TarError, pa.ArrowInvalid)


@dataclass(frozen=True)
class Place:
    """Files of a source lie below `base`; `pattern` selects among them, `file` is the only one. Else all of them."""

    fs: AbstractFileSystem
    base: str
    pattern: str | None = None
    file: str | None = None

    @property
    def real_base(self) -> str:
        """The base on this machine, without links."""
        return os.path.realpath(self.base or "/")

    @contextmanager
    def open(self, file: str) -> Iterator[Any]:
        """A file opened for reading, decompressed if its name says so.

        Raises:
            SourceError: the file is broken, cut off, or compressed in a way that cannot be read here, or is remote
                and cannot be reached.
            FileError: it cannot be opened.
        """
        with _naming(f"{self.base}/{file}"):
            with reached(self.fs, f"{self.base}/{file}"):
                opened = self._open(file)
            with opened as handle:
                yield handle

    def _open(self, file: str) -> Any:
        compression = infer_compression(file)
        if file.lower().endswith(COMPRESSIONS) and compression is None:
            raise SourceError(f"{self.base}/{file}: this compression cannot be read here: decompress the file")
        handle: Any = self.fs.open(f"{self.base}/{file}", "rb", compression=compression)
        # Readers of compressed and of remote files are slow by the line, where they know lines at all.
        return io.BufferedReader(handle, BUFFER_BYTES) if kind_of(file) in text_tables.FORMATS else handle


@contextmanager
def _naming(path: str) -> Iterator[None]:
    try:
        yield
    except Exception as error:
        if type(error).__module__.partition(".")[0] in CLIENTS:
            raise unreachable(path, error) from error
        if not isinstance(error, (*BROKEN, OSError)) or (isinstance(error, OSError) and error.errno is not None):
            raise  # of another file, or a bug
        raise SourceError(f"{path} is broken or cut off ({error}): get it anew, or take it away") from error


def locate(path: str) -> Place:
    """The place of a local path, a pattern or an fsspec URL, without listing it. What exists is itself before it is a
    pattern, and so are the folders that a pattern begins with.

    Raises:
        SourceError: a scheme that is not known here, or a remote place that cannot be reached.
    """
    local = local_path(path)
    fs, inner = (LocalFileSystem(), os.path.abspath(local)) if local is not None else _remote(path)
    with reached(fs, inner):
        is_file = fs.isfile(inner)
        stands_for_others = not is_file and is_pattern(inner) and not fs.isdir(inner)
    if is_file:
        base, _, file = inner.rpartition("/")
        return Place(fs, base, file=file)
    if stands_for_others:
        return Place(fs, _fixed(inner, local is not None), pattern=inner)
    return Place(fs, inner.rstrip("/"))


def _remote(path: str) -> tuple[AbstractFileSystem, str]:
    try:
        return fsspec.core.url_to_fs(path, use_listings_cache=False)
    except (ValueError, ImportError) as error:  # a scheme that nothing installed here knows
        raise SourceError(f"source.path {path} cannot be reached: {error}") from error


def _fixed(pattern: str, local: bool) -> str:
    """The folders that a pattern begins with: up to the first that holds a letter of patterns and, on this machine,
    does not exist."""
    parts = pattern.split("/")
    for index, part in enumerate(parts):
        if is_pattern(part) and not (local and os.path.isdir("/".join(parts[: index + 1]))):
            return "/".join(parts[:index])
    return pattern

"""Where a source lies, and which of the files there belong to it."""

from __future__ import annotations

import glob
import io
import lzma
import tarfile
import time
import zlib
from collections.abc import Collection, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any

import fsspec
import pyarrow as pa
from fsspec import AbstractFileSystem
from fsspec.utils import infer_compression

from paris_assets.ingest import folder, text_tables, webdataset
from paris_assets.ingest.columns import SourceError
from paris_assets.ingest.source_file import Info, reached, unreachable

COMPRESSIONS = ("gz", "bz2", "xz", "zst")
BUFFER_BYTES = 1 << 20
OPEN_ENDED = (*text_tables.FORMATS, "tar")
QUIET_S = 60.0  # a file whose end nothing marks is taken as whole when it has not changed for so long
CLIENTS = ("aiohttp", "botocore", "fsspec")  # whose errors only the reading of a remote file raises here
BROKEN = (EOFError, zlib.error, lzma.LZMAError, tarfile.TarError, pa.ArrowInvalid)


@dataclass(frozen=True)
class Place:
    """Files of a source lie below `base`; `pattern` selects among them, `file` is the only one. Else all of them."""

    fs: AbstractFileSystem
    base: str
    pattern: str | None = None
    file: str | None = None

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
    """The place of a local path, a glob or an fsspec URL, without listing it.

    Raises:
        SourceError: a scheme that is not known here, or a remote place that cannot be reached.
    """
    try:
        fs, inner = fsspec.core.url_to_fs(path, use_listings_cache=False)
    except (ValueError, ImportError) as error:  # a scheme that nothing installed here knows
        raise SourceError(f"source.path {path} cannot be reached: {error}") from error
    with reached(fs, inner):
        is_file = fs.isfile(inner)
    if is_file:
        base, _, file = inner.rpartition("/")
        return Place(fs, base, file=file)
    if glob.has_magic(inner):
        parts = inner.split("/")
        fixed = next(index for index, part in enumerate(parts) if glob.has_magic(part))
        return Place(fs, "/".join(parts[:fixed]), pattern=inner)
    return Place(fs, inner.rstrip("/"))


def list_files(place: Place) -> dict[str, Info]:
    """Files of the source below `place.base` with what the listing says of each, sorted; all of one kind.

    A `.txt` file is a table where it is named. A `.json` file is one where there is nothing else; beside other files it
    describes them and is left alone.

    Raises:
        SourceError: no usable file, files of more than one kind, a name that is no UTF-8, a link out of a folder of
            images, or a remote place that cannot be reached.
    """
    where = place.pattern or f"{place.base}/{place.file or ''}"
    kinds: dict[str, dict[str, Info]] = {}
    with reached(place.fs, where):
        listed = _listed(place)
    for file, info in sorted(listed.items()):
        kind = kind_of(file)
        if kind == "txt" and not (place.file or place.pattern):
            continue
        if kind and not any(part.startswith(".") for part in file.split("/")):
            if not _is_text(file):
                raise SourceError(f"{f'{place.base}/{file}'!a}: the name is no UTF-8: rename the file")
            group = kind if kind in ("image", "tar") else "JSON file" if kind == "json" else "table"
            kinds.setdefault(group, {})[file] = info
    if "image" in kinds:  # describes them, and is no table of its own
        kinds.get("table", {}).pop(folder.METADATA, None)
    kinds = {kind: files for kind, files in kinds.items() if files}
    if len(kinds) > 1:
        kinds.pop("JSON file", None)
    if not kinds:
        raise SourceError(
            f"no source at {where}: expected tables (parquet, csv, tsv, jsonl, json, txt), WebDataset tars or a folder "
            "of images"
        )
    if len(kinds) > 1:
        mixed = ", ".join(f"{len(files)} {kind}s ({next(iter(files))} ...)" for kind, files in kinds.items())
        raise SourceError(f"{where} holds more than one kind of file: {mixed}. Give a file, a subfolder or a glob")
    folder.refuse_links(place.fs, place.base, [*kinds["image"], folder.METADATA] if "image" in kinds else ())
    return next(iter(kinds.values()))


def half_written(path: str, known: Collection[str]) -> list[str]:
    """New files of a source that were changed a moment ago, and whose end nothing marks, as it does in parquet.

    One that is registered while it is still written is another file from then on, and every later look is refused.

    Args:
        path: `source.path` of the profile; `known` are the files that are registered.
    """
    open_ended = ((file, info) for file, info in list_files(locate(path)).items() if kind_of(file) in OPEN_ENDED)
    changed = {file: info.get("mtime") for file, info in open_ended if file not in known}
    return [file for file, at in changed.items() if isinstance(at, float) and abs(time.time() - at) < QUIET_S]


def _listed(place: Place) -> dict[str, Info]:
    """Every file of the place, from one listing; web servers' listings have no sizes."""
    fs = place.fs
    if place.file:
        found: Any = {f"{place.base}/{place.file}": fs.info(f"{place.base}/{place.file}")}
    else:
        found = fs.glob(place.pattern, detail=True) if place.pattern else fs.find(place.base, detail=True)
    kept = {path for path, info in found.items() if info["type"] == "file" or (info.get("islink") and fs.isfile(path))}
    files = {str(path): info for path, info in found.items() if path in kept}
    asked = {path: place.fs.info(path) if info["size"] is None else info for path, info in files.items()}
    return {path[len(place.base) + 1 :]: info for path, info in asked.items()}


def _is_text(name: str) -> bool:
    """Whether a name was UTF-8 on disk; tables hold nothing else."""
    return name == name.encode(errors="replace").decode()


def kind_of(file: str) -> str:
    """`parquet`, `tar`, `image` or a text format; empty for a file that is no source."""
    name, _, extension = file.rpartition("/")[2].lower().rpartition(".")
    if extension in COMPRESSIONS and name.rpartition(".")[2] in text_tables.FORMATS:
        return name.rpartition(".")[2]
    if extension in webdataset.IMAGE_EXTENSIONS:
        return "image"
    names = {"parquet": "parquet", "pq": "parquet", "tar": "tar", **{name: name for name in text_tables.FORMATS}}
    return names.get(extension, "")

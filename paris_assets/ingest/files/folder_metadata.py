"""What tables of metadata say of the images of a folder: `metadata.jsonl`, `.csv` or `.parquet`, as in `datasets`.

Each describes the images of its own folder and below; of two, the one nearest to the image counts. The image is named
by `file`, `file_name`, `filename`, `path`, `image` or `image_path`, relative to the table.
"""

from __future__ import annotations

import codecs
import csv
import io
import json
from collections.abc import Callable, Iterable, Iterator, Mapping
from dataclasses import dataclass, field
from itertools import chain
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq
from fsspec import AbstractFileSystem

from paris_assets.ingest.files.left_out import LeftOut
from paris_assets.ingest.files.names import alike
from paris_assets.ingest.files.source_file import reached
from paris_assets.ingest.lists.columns import SourceError, check_records

NAMES = ("file", "file_name", "filename", "path", "image", "image_path")
USUAL = ("images", "image", "imgs", "img")  # folders that lists name though they lie in them
EXPECTED = "expected an object with `file` and `text`"
Record = dict[str, Any]


def _none(_path: str) -> bool:
    return False


@dataclass
class Names:
    """Images by the names that a table may give them: as they are; else by names that are `alike`, with or without the
    folders that they lie in.

    Attributes:
        base: the folder.
        images: paths below it.
        others: whether there is another image of this path, where `images` are only some of the folder's.
    """

    base: str
    images: Iterable[str]
    others: Callable[[str], bool] = _none
    exact: set[str] = field(init=False)
    alike: dict[str, str | None] = field(init=False)

    def __post_init__(self) -> None:
        self.exact, self.alike = set(self.images), {}
        for image in self.images:
            key = alike(image)
            self.alike[key] = image if self.alike.get(key, image) == image else None  # two are alike: neither is meant

    def find(self, folder: str, given: str) -> tuple[int, str] | None:
        """(how far from the exact name, image) for what a table in a folder of the source calls `given`."""
        tried: list[str] = []
        literal = f"{folder}/{given}" if folder else given
        name = given if literal in self.exact else given.replace("\\", "/")
        for rank, shorter in enumerate(self._shorter(folder, name)):
            path = _normal(f"{folder}/{shorter}" if folder else shorter)
            tried.append(path)
            found = path if path in self.exact else self.alike.get(alike(path))
            if found is not None:
                taken = any(self.others(path) for path in tried if path != found)
                return None if taken else (2 * rank + (found != path), found)
        return None

    def _shorter(self, folder: str, name: str) -> Iterator[str]:
        yield name
        parts = _normal(name).split("/")
        above = f"{self.base}/{folder}".strip("/").split("/")
        for count in range(1, len(parts)):
            if parts[:count] == above[-count:] or (count == 1 and parts[0].lower() in USUAL):
                yield "/".join(parts[count:])


def check(
    fs: AbstractFileSystem,
    base: str,
    tables: Iterable[str],
    names: Names,
    overrides: Mapping[str, str],
    left_out: LeftOut,
) -> set[str]:
    """Read every table through: its columns must be there, and it must describe an image of the folder.

    Args:
        tables: paths below the base.
        left_out: counts entries without an image, and further entries for one image.

    Returns:
        The images that have an entry.

    Raises:
        SourceError: a line that cannot be read, no such column, or none of the entries names an image.
    """
    described: set[str] = set()
    for table in tables:
        columns: dict[str, None] = {}
        entries, lost, own = 0, "", set[str]()
        folder = table.rpartition("/")[0]
        for given, record in entries_of(fs, f"{base}/{table}"):
            columns |= dict.fromkeys(record)
            entries += 1
            found = names.find(folder, given)
            if found is None:
                lost = lost or given
                left_out.add(f"entries of {table} without an image", given)
            elif found[1] in own:
                left_out.add(f"further entries of {table} for one image", given)
            own |= {found[1]} if found else set()
        if entries and not own:
            raise SourceError(
                f"{base}/{table} names no image of the folder: it has {entries} entries such as {lost!r}, the folder "
                f"images such as {min(names.exact)!r}; name them relative to {table}"
            )
        check_records([columns], overrides, f"{base}/{table}", needs_image=False)
        described |= own
    return described


def records(fs: AbstractFileSystem, base: str, tables: Iterable[str], names: Names) -> dict[str, Record]:
    """Image -> columns and values, for the images that have an entry.

    An entry in a nearer folder goes before one farther up, an exact name before one that is alike, a later line before
    an earlier one.
    """
    best: dict[str, tuple[tuple[int, int], Record]] = {}
    for table in tables:
        folder = table.rpartition("/")[0]
        depth = len(folder.split("/")) if folder else 0
        for given, record in entries_of(fs, f"{base}/{table}"):
            found = names.find(folder, given)
            if found is None:
                continue
            distance = (-depth, found[0])
            if found[1] not in best or distance <= best[found[1]][0]:
                best[found[1]] = (distance, record)
    return {image: record for image, (_, record) in best.items()}


def entries_of(fs: AbstractFileSystem, path: str) -> Iterator[tuple[str, Record]]:
    """(name of the image, columns and values) of each entry of a table, one in memory at a time.

    Raises:
        SourceError: an entry that cannot be read, or names no file.
    """
    with reached(fs, path):
        opened: Any = fs.open(path, "rb")
    number = 0
    with opened as handle:
        rows = {"jsonl": _json_lines, "csv": _csv_lines, "parquet": _parquet_rows}[path.rpartition(".")[2].lower()]
        try:
            for number, record in rows(handle):
                name = next((key for key in NAMES if record.get(key) not in (None, "")), "")
                file = record.pop(name, None)
                if not isinstance(file, str):
                    raise SourceError(f"{path}, line {number}: {EXPECTED}")
                yield file, record
        except (csv.Error, UnicodeDecodeError, pa.ArrowException) as error:
            raise SourceError(f"{path}, after line {number}: {EXPECTED} ({error})") from error


def _json_lines(handle: Any) -> Iterator[tuple[int, Record]]:
    """A line that holds no object gives an empty one, which names no file."""
    for number, line in enumerate(handle, 1):
        text = line.removeprefix(codecs.BOM_UTF8) if number == 1 else line
        if text.strip():
            try:
                record = json.loads(text)
            except (ValueError, RecursionError):
                record = {}
            yield number, record if isinstance(record, dict) else {}


def _csv_lines(handle: Any) -> Iterator[tuple[int, Record]]:
    text = io.TextIOWrapper(handle, "utf-8-sig", newline="")
    header = text.readline()
    separator = max(",;\t|", key=header.count)
    reader = csv.DictReader(chain([header], text), delimiter=separator)
    for record in reader:
        yield reader.line_num, {name: value for name, value in record.items() if name is not None}


def _parquet_rows(handle: Any) -> Iterator[tuple[int, Record]]:
    number = 0
    for batch in pq.ParquetFile(handle).iter_batches(1024):
        for record in batch.to_pylist():
            number += 1
            yield number, record


def _normal(path: str) -> str:
    """The path without `.` and empty parts."""
    if "/" not in path:
        return path
    return "/".join(part for part in path.split("/") if part not in ("", "."))

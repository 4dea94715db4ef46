"""What tables say of the images of a folder: `metadata.jsonl` as `datasets` has it, or any other that names files.

A table has one of the formats that lists have. It names an image, relative to itself, in the first of the columns
`FILES` that is filled. Of two tables the one in the deeper folder counts, which is nearer to the image. Several entries
for one image are one, with the texts of all.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from functools import lru_cache
from itertools import islice
from typing import Any

from paris_assets.config import Source
from paris_assets.ingest.files import captions_beside
from paris_assets.ingest.files.image_names import Names
from paris_assets.ingest.files.left_out import LeftOut
from paris_assets.ingest.files.names import PARQUET, is_metadata, kind_in_words, kind_of
from paris_assets.ingest.files.places import Place
from paris_assets.ingest.lists import parquet_tables, text_tables
from paris_assets.ingest.lists.column_names import key
from paris_assets.ingest.lists.columns import SourceError, names_of
from paris_assets.ingest.lists.records import check_records

FILES = (
    "file_name", "file_names", "file", "filename", "filenames", "file_path", "filepath", "path", "image", "images",
    "image_path", "image_file", "image_filename", "image_file_name", "image_name", "img", "img_path", "img_name",
    "photo", "picture", "image_id", "photo_id", "name", "key", "id",
)  # fmt: skip
PROBE_ROWS = 100
Record = dict[str, Any]


def check(place: Place, tables: Iterable[str], names: Names, source: Source, left_out: LeftOut) -> dict[str, set[str]]:
    """Read every table through: it must name files, and one of the folder's images.

    Args:
        tables: paths below the place's base.
        source: overrides of columns, and the encoding.
        left_out: counts entries that cannot be read or have no image, further entries without a text for one image,
            and JSON and text files that are no such tables.

    Returns:
        The tables, each with the images that it describes.

    Raises:
        SourceError: a table that cannot be read, names no files or none of the images, or no column of this name.
    """
    found: dict[str, set[str]] = {}
    columns: dict[str, None] = {}
    for table in tables:
        others = LeftOut()
        try:
            found[table] = _images_of(place, table, names, source, others, columns)
        except SourceError:
            if is_metadata(table) or kind_of(table) not in ("json", "txt"):
                raise
            left_out.add(kind_in_words(table), table)
        else:
            left_out.include(others.as_dict())
    if found:
        check_records([columns], source.columns, f"{place.base}/{next(iter(found))}", needs_image=False)
    return found


def records(place: Place, tables: Iterable[str], names: Names, source: Source) -> dict[str, Record]:
    """Image -> columns and values, for the images that have an entry.

    An entry in a nearer folder goes before one farther up, an exact name before one that is alike. Of entries that are
    as near, the first one's values count, and the texts of all.
    """
    best: dict[str, tuple[tuple[int, int], list[Record]]] = {}
    for table in tables:
        folder = table.rpartition("/")[0]
        depth = len(folder.split("/")) if folder else 0
        for entry in entries_of(place, table, source.encoding):
            for file, record in entry:
                rank, images = names.find(folder, file) or (0, [])
                for image in images:
                    distance = (-depth, rank)
                    if image not in best or distance < best[image][0]:
                        best[image] = (distance, [record])
                    elif distance == best[image][0]:
                        best[image][1].append(record)
    return {image: _joined(those, source.columns) for image, (_, those) in best.items()}


def entries_of(place: Place, table: str, encoding: str) -> Iterator[list[tuple[str, Record]]]:
    """(name of an image, columns and values) for each image of each entry of a table, one entry in memory at a time;
    nothing for an entry that cannot be read, or names no file.

    Raises:
        SourceError: the table cannot be read.
    """
    if kind_of(table) == "json" and not _file_columns(tuple(_columns(place, table, encoding))):
        yield from _by_name(place, table, encoding)
        return
    for row in _rows(place, table, encoding):
        record = row or {}
        for name in _file_columns(tuple(record)):
            if files := _files(record[name]):
                others = {other: value for other, value in record.items() if other != name}
                yield [(file, others) for file in files]
                break
        else:
            yield []


def _images_of(
    place: Place, table: str, names: Names, source: Source, left_out: LeftOut, columns: dict[str, None]
) -> set[str]:
    """The images that a table describes; its columns are noted."""
    _require_files(place, table, names, source.encoding)
    ranks: dict[str, int] = {}
    lost, folder, number = "", table.rpartition("/")[0], 0
    for number, entry in enumerate(entries_of(place, table, source.encoding), 1):
        if not entry:
            left_out.add(f"entries of {table} that cannot be read", f"entry {number}")
        for file, record in entry:
            columns |= dict.fromkeys(record)
            rank, images = names.find(folder, file) or (0, [])
            if not images:
                lost = lost or file
                left_out.add(f"entries of {table} without an image", file)
            elif ranks.get(images[0], rank) != rank or (images[0] in ranks and not _has_texts(record, source)):
                left_out.add(f"further entries of {table} for one image", file)
            ranks |= dict.fromkeys(images, rank)
    if not ranks and (number or kind_of(table) == "json"):
        raise SourceError(
            f"{place.base}/{table} names no image of the folder: it has {number} entries"
            f"{f' such as {lost!r}' if lost else ', none of which can be read'}, the folder images such as "
            f"{min(names.exact)!r}; name them relative to {table}"
        )
    if not number:
        left_out.add("tables without entries", table)
    return set(ranks)


def _require_files(place: Place, table: str, names: Names, encoding: str) -> None:
    """Raises SourceError for a table without a column that names files, or with images of its own."""
    columns, why = _columns(place, table, encoding), ""
    if kind_of(table) == PARQUET:
        with place.open(table) as handle:
            why = "holds images of its own" if parquet_tables.holds_images(handle, table) else ""
    if columns and not _file_columns(tuple(columns)) and kind_of(table) != "json":
        why = why or f"describes none of them: none of its columns {columns} names files ({', '.join(FILES[:4])} ...)"
    if why:
        raise SourceError(
            f"{place.base} holds more than one kind of file: {len(names.exact)} images ({min(names.exact)} ...) and "
            f"{table}, which {why}. Give a file, a subfolder or a glob"
        )


def _joined(entries: list[Record], overrides: Mapping[str, str]) -> Record:
    """Several entries for one image as one."""
    if len(entries) == 1:
        return entries[0]
    values = {name: value for entry in reversed(entries) for name, value in entry.items()}
    texts = {name: [entry[name] for entry in entries if name in entry] for name in names_of("text", values, overrides)}
    return values | texts


def _has_texts(record: Record, source: Source) -> bool:
    return bool(names_of("text", record, source.columns))


def _columns(place: Place, table: str, encoding: str) -> list[str]:
    """Names in the header of a table, or in its first rows."""
    with place.open(table) as handle:
        is_parquet = kind_of(table) == PARQUET
        named = parquet_tables.names(handle) if is_parquet else _layout(handle, table, encoding).columns()
    if named:
        return named
    rows = islice(_rows(place, table, encoding), PROBE_ROWS)
    return [*dict.fromkeys(name for row in rows for name in row or ())]


def _layout(handle: Any, table: str, encoding: str) -> text_tables.Layout:
    kind = kind_of(table)
    return text_tables.layout_of(handle, table, "csv" if kind == "txt" else kind, encoding)


def _by_name(place: Place, table: str, encoding: str) -> Iterator[list[tuple[str, Record]]]:
    """Entries of a JSON object by the names of images: `{"a.jpg": "a caption"}`, or objects as kohya writes them."""
    with place.open(table) as handle:
        described = captions_beside.json_object(handle.read(), table, encoding, LeftOut())
    for file, value in described.items():
        yield [(file, value if isinstance(value, dict) else {"captions": value})]


def _rows(place: Place, table: str, encoding: str) -> Iterator[Mapping[str, Any] | None]:
    """Each row of a table; None for one that cannot be read."""
    with place.open(table) as handle:
        if kind_of(table) == PARQUET:
            yield from parquet_tables.records(handle, table, encoding)
            return
        layout = _layout(handle, table, encoding)
        for record in text_tables.records(handle, table, layout):
            yield text_tables.parse(text_tables.text_of(record), layout)


@lru_cache(maxsize=4096)
def _place(name: str) -> int | None:
    """Place among the columns that name files; also those that end so, as in `datasets`."""
    letters = key(name)
    if letters in _PLACES:
        return _PLACES[letters]
    return len(_PLACES) if letters.endswith(("filename", "filenames")) else None


@lru_cache(maxsize=256)
def _file_columns(names: tuple[str, ...]) -> list[str]:
    places = [(place, name) for name in names if (place := _place(name)) is not None]
    return [name for _, name in sorted(places)]


def _files(value: Any) -> list[str]:
    """The files that a value names: one, a list, or images as `datasets` has them."""
    if isinstance(value, str):
        return [value] if value.strip() else []
    if isinstance(value, Mapping):
        return _files(value.get("path"))
    if isinstance(value, list):
        return [file for item in value for file in _files(item)]
    return [str(value)] if isinstance(value, int) and not isinstance(value, bool) else []


_PLACES = {key(name): place for place, name in reversed(list(enumerate(FILES)))}

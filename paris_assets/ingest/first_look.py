"""What a look at a source tells before work: which columns are what, how many rows have a text, where faces are."""

from __future__ import annotations

from collections.abc import Mapping
from itertools import islice
from typing import IO, Any

import polars as pl

from paris_assets.config import Source
from paris_assets.ingest.files.left_out import LeftOut
from paris_assets.ingest.files.names import TAR, kind_of
from paris_assets.ingest.files.places import locate
from paris_assets.ingest.lists import parquet_tables, text_tables
from paris_assets.ingest.lists.column_names import IMAGE
from paris_assets.ingest.lists.columns import SourceError, names_of
from paris_assets.ingest.lists.face_boxes import COLUMN as FACES
from paris_assets.ingest.lists.records import from_records
from paris_assets.ingest.sources import read_rows
from paris_assets.ingest.tars import webdataset
from paris_assets.storage.location import Location

PROBE_ROWS = 100
SHOWN = ("url", IMAGE, "text")


def first_look(source: Source, registry: pl.DataFrame, number: int) -> str:
    """A sentence on the first rows of a shard; only these are read, and of a folder nothing.

    Args:
        registry: of a look; of a list its file is read, as a look converts none.
        number: which row of the registry the shard is.

    Raises:
        SourceError: the file cannot be read.
    """
    entry = registry.row(number, named=True)
    if entry["members"] is not None:
        described = registry["described_by"].is_not_null().any()
        return f"images in a folder, {'some or all with' if described else 'without'} captions or metadata beside them"
    file, probe = entry["file"], {**entry, "rows": min(entry["rows"], PROBE_ROWS)}
    with locate(source.path).open(file) as handle:
        if kind_of(file) == TAR:
            rows = webdataset.read(handle, file, probe, source, LeftOut())
            return f"images in tars{_texts(rows)}"
        if kind_of(file) in text_tables.FORMATS:
            found, rows = _of_list(handle, file, source)
        else:
            found = parquet_tables.columns(handle, file, source.columns)
            rows = parquet_tables.read(handle, file, probe, source.columns, source.encoding)
    named = [f"{ours} from {' or '.join(map(repr, found[ours]))}" for ours in SHOWN if found.get(ours)]
    return f"columns of {file}: {', '.join(named)}{_texts(rows)}"


def require_face_boxes(source: Source, registry: pl.DataFrame, root: Location) -> None:
    """Whether every file of a source says where faces are: of tables by their columns, of others by their first rows.

    Args:
        registry: of `sources.register`.
        root: where lists are; those that are not there yet are passed over.

    Raises:
        SourceError: a file says nothing of any face, not even that there are none; names it.
    """
    for entry in registry.unique("file", keep="first", maintain_order=True).iter_rows(named=True):
        if entry["list"] is not None and root.size(entry["list"]) is None:
            continue
        if not _says_where_faces_are(source, entry, root):
            where = entry["file"] or source.path
            raise SourceError(
                f"ingest.encode.blur_faces: {where} has no column {FACES} ([[left, top, right, bottom], ...], as "
                "shares of width and height; [] for a picture without faces). Name the column that holds them, `--set "
                f"'source.columns={{{FACES}: NAME}}'`, or blur none: `--set ingest.encode.blur_faces=false`"
            )


def _says_where_faces_are(source: Source, entry: Mapping[str, Any], root: Location) -> bool:
    if entry["members"] is None and entry["list"] is None and kind_of(entry["file"]) != TAR:
        with locate(source.path).open(entry["file"]) as handle:
            return FACES in parquet_tables.columns(handle, entry["file"], source.columns)
    members = entry["members"] and entry["members"][:PROBE_ROWS]
    probe = {**entry, "rows": min(entry["rows"], PROBE_ROWS), "members": members}
    rows = read_rows(source, probe, root)
    return rows[FACES].null_count() < rows.height


def _of_list(handle: IO[bytes], file: str, source: Source) -> tuple[dict[str, list[str]], pl.DataFrame]:
    """(our column -> those of the list, first rows)"""
    layout = text_tables.layout_of(handle, file, kind_of(file), source.encoding)
    first = islice(text_tables.records(handle, file, layout), PROBE_ROWS)
    records = [text_tables.parse(text_tables.text_of(record), layout) or {} for record in first]
    names = dict.fromkeys(name for record in records for name in record)
    rows = from_records(records, source.columns, 0)
    return {ours: names_of(ours, names, source.columns) for ours in SHOWN if ours != IMAGE}, rows


def _texts(rows: pl.DataFrame) -> str:
    filled = int((rows["text"].str.strip_chars() != "").sum())
    return f"; {filled or 'none'} of the first {rows.height} rows {'has' if filled == 1 else 'have'} a text"

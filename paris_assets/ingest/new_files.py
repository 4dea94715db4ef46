"""Files that no registry names yet, cut into shards."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

from paris_assets.config import Source
from paris_assets.ingest import known_files
from paris_assets.ingest.files.names import TAR, kind_of
from paris_assets.ingest.files.places import Place
from paris_assets.ingest.files.source_file import Info, file_identity
from paris_assets.ingest.lists import parquet_tables, text_tables
from paris_assets.ingest.tars import webdataset
from paris_assets.storage.location import Location


def file_parts(
    place: Place, file: str, info: Info, source: Source, root: Location | None, converts: str | None
) -> Iterator[dict[str, Any]]:
    """The shards of a new file; one without usable columns fails here, not in a run."""
    same = {
        "file": file, "size_bytes": info["size"], "identity": file_identity(place.fs, f"{place.base}/{file}", info)
    }  # fmt: skip
    if kind_of(file) in text_tables.FORMATS:
        total, path = known_files.convert(place, file, root, source.columns, source.encoding)
        same |= {"list": path, "converted_by": converts}
        for first in range(0, total, source.rows_per_shard):
            rows = min(source.rows_per_shard, total - first)
            yield {**same, "first_row": first, "rows": rows, "offset": 0}
        return
    with place.open(file) as handle:
        if kind_of(file) == TAR:
            webdataset.check(handle, file, source.columns)
            for part in webdataset.cut(handle, file, source.rows_per_shard):
                yield {**same, **part._asdict()}
            return
        for first, rows in parquet_tables.cut(handle, file, source.rows_per_shard, source.columns):
            yield {**same, "first_row": first, "rows": rows, "offset": 0}

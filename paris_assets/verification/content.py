"""The content hash of a table as it lies there."""

from __future__ import annotations

import hashlib
from collections.abc import Sequence
from typing import IO

import polars as pl
import pyarrow as pa
import pyarrow.parquet as pq

from paris_assets.dag.records import Record
from paris_assets.storage.parquet import digest_rows


def content_of(file: IO[bytes], record: Record, volatile: Sequence[str]) -> str:
    """The content hash of a table as it lies there, computed as ``TableWriter`` did; '' where it cannot be read.

    Args:
        volatile: columns that the content hash leaves out.
    """
    try:
        table = pq.ParquetFile(file)
        # Polars names the elements of lists as they were when written; Parquet itself renames them.
        empty = pl.DataFrame(table.schema_arrow.empty_table())
        schema = empty.to_arrow(compat_level=pl.CompatLevel.oldest()).schema.remove_metadata()
        digest = hashlib.sha256(schema.to_string().encode())
        for group in range(table.num_row_groups):
            rows = table.read_row_group(group).cast(schema)
            digest_rows(digest, rows.drop_columns([name for name in volatile if name in rows.column_names]))
    except (pa.ArrowException, OSError):
        return ""
    for data_file in record.files:
        digest.update(f"{data_file.path} {data_file.sha256}".encode())
    return digest.hexdigest()

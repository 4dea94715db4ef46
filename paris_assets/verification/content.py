"""The content hash of a table as it lies there."""

from __future__ import annotations

import hashlib
from typing import IO

import polars as pl
import pyarrow as pa
import pyarrow.parquet as pq

from paris_assets.clusters.values import FIGURES
from paris_assets.dag.records import Record
from paris_assets.storage.parquet import digest_rows

VOLATILE = {"raw_images": ("attempts",), "cluster_values": FIGURES}  # columns that the content hash leaves out


def content_of(file: IO[bytes], record: Record) -> str:
    """The content hash of a table as it lies there, computed as ``TableWriter`` did; '' where it cannot be read."""
    try:
        table = pq.ParquetFile(file)
        # Polars names the elements of lists as they were when written; Parquet itself renames them.
        empty = pl.DataFrame(table.schema_arrow.empty_table())
        schema = empty.to_arrow(compat_level=pl.CompatLevel.oldest()).schema.remove_metadata()
        digest = hashlib.sha256(schema.to_string().encode())
        for group in range(table.num_row_groups):
            rows = table.read_row_group(group).cast(schema)
            volatile = [name for name in VOLATILE.get(record.asset, ()) if name in rows.column_names]
            digest_rows(digest, rows.drop_columns(volatile))
    except (pa.ArrowException, OSError):
        return ""
    for data_file in record.files:
        digest.update(f"{data_file.path} {data_file.sha256}".encode())
    return digest.hexdigest()

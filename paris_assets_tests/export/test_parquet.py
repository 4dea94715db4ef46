"""Row groups and encodings of an exported file."""

from __future__ import annotations

import hashlib
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import polars as pl
import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from paris_assets.export.parquet import write_parquet
from paris_assets_tests.fixtures.small_world import picture


def made(rows: int) -> pa.Table:
    ids = sorted(hashlib.sha256(str(row).encode()).hexdigest()[:32] for row in range(rows))
    vectors = pa.FixedSizeListArray.from_arrays(pa.array(np.arange(2 * rows, dtype=np.float32)), 2)
    reasons = pa.array([["a"]] * rows, pa.list_(pa.string()))
    return pa.table({"image_id": pa.array(ids, pa.string()), "emb": vectors, "reasons": reasons})


@pytest.mark.parametrize("images", [False, True])
def test_a_reader_holds_few_rows_at_a_time(images: bool, tmp_path: Path) -> None:
    asked, data = list[int](), picture(0)

    def read(ids: pl.DataFrame) -> Iterator[tuple[str, bytes]]:
        asked.append(ids.height)
        yield from ((name, data) for name in ids["image_id"])

    path, table = tmp_path / "x.parquet", made(250 if images else 2500)
    write_parquet(path, table, {}, {"key": "value"}, read if images else None)
    file = pq.ParquetFile(path)
    groups = [file.metadata.row_group(number).num_rows for number in range(file.num_row_groups)]
    assert groups == ([100, 100, 50] if images else [1000, 1000, 500])
    assert asked == (groups if images else [])
    assert file.read(table.column_names).equals(table)
    assert file.metadata.metadata[b"key"] == b"value"


def test_vectors_and_files_are_not_compressed_and_texts_are(tmp_path: Path) -> None:
    path = tmp_path / "x.parquet"
    write_parquet(path, made(10), {}, {}, lambda ids: ((name, picture(0)) for name in ids["image_id"]))
    group = pq.ParquetFile(path).metadata.row_group(0)
    columns = [group.column(number) for number in range(group.num_columns)]
    assert {column.path_in_schema: column.compression for column in columns} == {
        "image_id": "ZSTD",
        "emb.list.element": "UNCOMPRESSED",
        "reasons.list.element": "ZSTD",
        "image.bytes": "UNCOMPRESSED",
        "image.path": "ZSTD",
    }


def test_no_rows_have_the_same_columns(tmp_path: Path) -> None:
    write_parquet(tmp_path / "some.parquet", made(3), {"emb": "a vector"}, {})
    write_parquet(tmp_path / "none.parquet", made(0), {"emb": "a vector"}, {})
    none = pq.ParquetFile(tmp_path / "none.parquet")
    assert none.metadata.num_rows == 0
    assert none.schema_arrow.equals(pq.read_schema(tmp_path / "some.parquet"), check_metadata=True)

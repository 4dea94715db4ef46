from __future__ import annotations

import io
from decimal import Decimal

import polars as pl
import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from paris_assets.ingest.lists import parquet_tables
from paris_assets.ingest.lists.columns import SourceError

ROWS = 100


def _file(row_group_size: int) -> io.BytesIO:
    table = pl.DataFrame(
        {
            "url": [f"http://a.example/{number}" for number in range(ROWS)],
            "image": [number.to_bytes(2, "big") * 5000 for number in range(ROWS)],
            "__index_level_0__": range(ROWS),
        }
    )
    buffer = io.BytesIO()
    pq.write_table(table.to_arrow(), buffer, row_group_size=row_group_size, compression="none", use_dictionary=False)
    return buffer


class _Counting(io.BytesIO):
    """A file that counts the bytes read from it."""

    read_bytes = 0

    def read(self, size: int | None = -1) -> bytes:
        content = super().read(size)
        self.read_bytes += len(content)
        return content


@pytest.mark.parametrize("row_group_size", [1, 7, 64, 1000])
@pytest.mark.parametrize("size", [1, 9, 64, 100])
def test_parts_read_alone_are_the_whole(row_group_size: int, size: int) -> None:
    file = _file(row_group_size)
    assert parquet_tables.count_rows(file) == ROWS
    rows, bodies = [], []
    for first in range(0, ROWS, size):
        count = min(size, ROWS - first)
        entry = {"file": "l.parquet", "first_row": first, "rows": count, "source_row": 500 + first}
        rows.append(parquet_tables.read(file, "l.parquet", entry, {}))
        bodies += list(parquet_tables.read_images(file, "l.parquet", entry, {}))
    table = pl.concat(rows)
    assert table["source_row"].to_list() == list(range(500, 600))
    assert table["url"].to_list() == [f"http://a.example/{number}" for number in range(ROWS)]
    assert table["locator"].to_list() == [f"l.parquet#{number}" for number in range(ROWS)]
    assert [fetched.source_row for fetched in bodies] == list(range(500, 600))
    assert [fetched.body for fetched in bodies] == [number.to_bytes(2, "big") * 5000 for number in range(ROWS)]


def test_metadata_is_read_without_the_images_and_images_without_the_other_row_groups() -> None:
    file = _Counting(_file(10).getvalue())
    entry = {"file": "l.parquet", "first_row": 50, "rows": 10, "source_row": 50}
    parquet_tables.read(file, "l.parquet", entry, {})
    assert file.read_bytes < 100_000  # the images alone have 1,000,000
    file.read_bytes = 0
    assert len(list(parquet_tables.read_images(file, "l.parquet", entry, {}))) == 10
    assert 100_000 < file.read_bytes < 200_000


def _written(table: pa.Table) -> io.BytesIO:
    buffer = io.BytesIO()
    pq.write_table(table, buffer)
    return buffer


def test_two_columns_of_one_name_are_refused_at_registration() -> None:
    file = _written(pa.table([["u"], ["v"], [1]], names=["url", "alt", "alt"]))
    with pytest.raises(SourceError, match=r"l\.parquet has more than one column 'alt'"):
        parquet_tables.cut(file, "l.parquet", 10, {})


def test_decimals_too_long_for_polars_are_read() -> None:
    kind, value = pa.decimal256(50, 2), Decimal("640.00")
    columns = {
        "url": pa.array(["u", "v"]),
        "width": pa.array([value, None], kind),
        "text": pa.array([value, None], kind),
        "more": pa.array([[value], None], pa.list_(kind)),
    }
    file = _written(pa.table(columns))
    assert parquet_tables.cut(file, "l.parquet", 10, {}) == [(0, 2)]
    entry = {"file": "l.parquet", "first_row": 0, "rows": 2, "source_row": 0}
    rows = parquet_tables.read(file, "l.parquet", entry, {})
    assert rows.select("url", "source_width", "text").rows() == [("u", 640, "640.00"), ("v", None, None)]

"""Arrays of one shape or of several come back from a table as they went in."""

from pathlib import Path

import numpy as np
import polars as pl
import pyarrow.parquet as pq
import pytest

from paris_assets.storage.parquet import TableWriter
from paris_assets.storage.ragged import array_columns, arrays_of, ragged, ragged_schema


def arrays(*shapes: tuple[int, int] | None) -> list[np.ndarray | None]:
    generator = np.random.default_rng(0)
    return [None if shape is None else generator.standard_normal((4, *shape)).astype(np.float16) for shape in shapes]


@pytest.mark.parametrize("shapes", [[(2, 3), None, (3, 2)], [None], []])
def test_arrays_of_several_shapes(shapes: list) -> None:
    given = arrays(*shapes)
    frame = pl.DataFrame(ragged("latent_8", given))
    assert frame.schema == ragged_schema("latent_8")
    assert array_columns("latent_8", frame.columns) == ["latent_8", "latent_8_height", "latent_8_width"]
    for one, other in zip(arrays_of(frame, "latent_8"), given, strict=True):
        if one is None or other is None:
            assert one is other
            continue
        assert one.dtype == np.float16
        assert np.array_equal(one, other)


def test_arrays_of_one_shape() -> None:
    values = np.stack([array for array in arrays((2, 2), (2, 2)) if array is not None])
    frame = pl.DataFrame({"latent_8": pl.Series(values), "other": [1, 2]})
    there = pl.when(pl.Series([True, False])).then(pl.col("latent_8"))
    found = arrays_of(frame.with_columns(there), "latent_8")
    assert found[1] is None
    assert found[0] is not None
    assert np.array_equal(found[0], values[0])
    assert array_columns("latent_8", frame.columns) == ["latent_8"]


def test_large_arrays_are_written_as_they_are_in_groups_of_bounded_size(tmp_path: Path) -> None:
    writer = TableWriter(tmp_path / "table.parquet")
    row = pl.DataFrame({"image_id": ["a"], **ragged("latent_1024", [np.zeros((4, 256, 256), np.float16)])})
    rows = pl.concat([row] * 150)
    for part in rows.iter_slices(7):
        writer.write(part)
    writer.finish([], lambda written: {})
    file = pq.ParquetFile(tmp_path / "table.parquet")
    sizes = [file.metadata.row_group(group).num_rows for group in range(file.num_row_groups)]
    assert sum(sizes) == 150
    assert max(sizes) * 4 * 256 * 256 * 2 <= 32 << 20
    column = file.metadata.row_group(0).column(1)
    assert (column.compression, column.is_stats_set) == ("UNCOMPRESSED", False)
    assert pl.read_parquet(tmp_path / "table.parquet").equals(rows)

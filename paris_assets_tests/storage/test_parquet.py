"""Tables are the same bytes however their rows arrive, and their hash sees every change."""

from itertools import pairwise
from pathlib import Path

import numpy as np
import polars as pl
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from hypothesis import given
from hypothesis import strategies as st

from paris_assets.dag.records import FOOTER_KEY, Record, read_record
from paris_assets.storage import parquet
from paris_assets.storage.location import Location
from paris_assets.storage.parquet import Chunk, TableWriter, Written, group_rows


def write(path: Path, chunks: list[Chunk], volatile: tuple[str, ...] = (), slice_by: str | None = None) -> Record:
    writer = TableWriter(path, volatile, slice_by)
    for chunk in chunks:
        writer.write(chunk)
    made: list[Record] = []

    def record(written: Written) -> dict[str, str]:
        made.append(Record(asset="t", shard="all", fingerprint="f", rows_fingerprint="r", **written._asdict()))
        return {FOOTER_KEY.decode(): made[0].model_dump_json()}

    writer.finish((), record)
    return made[0]


def frame(rows: int = 100) -> pl.DataFrame:
    generator = np.random.default_rng(0)
    return pl.DataFrame(
        {
            "image_id": [f"{row:032x}" for row in range(rows)],
            "embedding": generator.standard_normal((rows, 7, 3)).astype(np.float16),
            "tags": [["a"] * (row % 3) for row in range(rows)],
            "attempts": list(range(rows)),
        }
    )


@given(cuts=st.lists(st.integers(0, 100), max_size=5))
def test_bytes_do_not_depend_on_chunks(tmp_path_factory: pytest.TempPathFactory, cuts: list[int]) -> None:
    folder = tmp_path_factory.mktemp("tables")
    whole = frame()
    edges = [0, *sorted(cuts), 100]
    write(folder / "a", [whole])
    write(folder / "b", [whole[start:end] for start, end in pairwise(edges)])
    assert (folder / "a").read_bytes() == (folder / "b").read_bytes()


def test_round_trip_keeps_types(tmp_path: Path) -> None:
    whole = frame()
    write(tmp_path / "t.parquet", [whole])
    back = pl.read_parquet(tmp_path / "t.parquet")
    assert back.schema == whole.schema
    assert back.equals(whole)


def test_content_changes_with_a_value_and_not_with_a_volatile_one(tmp_path: Path) -> None:
    whole = frame()
    first = write(tmp_path / "a", [whole], ("attempts",)).content
    other_attempts = whole.with_columns(pl.col("attempts") + 1)
    assert write(tmp_path / "b", [other_attempts], ("attempts",)).content == first
    assert write(tmp_path / "c", [other_attempts]).content != write(tmp_path / "d", [whole]).content
    other_tag = whole.with_columns(pl.when(pl.col("attempts") == 99).then(["z"]).otherwise("tags").alias("tags"))
    assert write(tmp_path / "e", [other_tag], ("attempts",)).content != first


def test_slices_change_only_where_their_rows_do(tmp_path: Path) -> None:
    rows = pl.DataFrame({"shard": ["0", "0", "1", "2"], "value": [1, 2, 3, 4]})
    before = write(tmp_path / "a", [rows], slice_by="shard").slices
    changed = rows.with_columns(pl.when(pl.col("shard") == "1").then(9).otherwise("value").alias("value"))
    after = write(tmp_path / "b", [changed], slice_by="shard").slices
    assert [key for key in before if before[key] != after[key]] == ["1"]


def test_record_is_in_the_footer(tmp_path: Path) -> None:
    (tmp_path / "t").mkdir()
    record = write(tmp_path / "t" / "all.parquet", [frame()])
    assert read_record(Location(tmp_path), "t") == record
    assert record.rows == 100
    assert FOOTER_KEY in pq.read_metadata(tmp_path / "t" / "all.parquet").metadata


def test_a_truncated_file_has_no_record(tmp_path: Path) -> None:
    (tmp_path / "t").mkdir()
    path = tmp_path / "t" / "all.parquet"
    write(path, [frame()])
    path.write_bytes(path.read_bytes()[:-20])
    assert read_record(Location(tmp_path), "t") is None


def test_row_groups_stay_below_32_mib() -> None:
    wide = pa.schema([("embedding", pa.list_(pa.list_(pa.float16(), 768), 77))])
    assert 8 << 20 < group_rows(wide) * 77 * 768 * 2 <= 32 << 20
    assert group_rows(pa.schema([("image_id", pa.string())])) == 65536


def test_no_chunk_is_an_error(tmp_path: Path) -> None:
    with pytest.raises(ValueError, match="no chunk"):
        write(tmp_path / "t", [])


def arrays_under_nulls(hidden: float) -> pl.DataFrame:
    """The same table for every ``hidden``, which lies under its null arrays only."""
    known = np.arange(6) % 2 == 0
    flat, deep = np.arange(18, dtype=np.float16).reshape(6, 3), np.arange(36, dtype=np.float16).reshape(6, 2, 3)
    flat[~known], deep[~known] = hidden, hidden
    columns = pl.DataFrame({"known": known, "flat": flat, "deep": deep})
    masked = columns.select(pl.when("known").then(name).alias(name) for name in ("flat", "deep"))
    partly = pl.Series("partly", [[1.0, None, 3.0]] * 5 + [None], pl.Array(pl.Float32, 3))
    return masked.with_columns(pl.Series("image_id", [str(row) for row in range(6)]), partly)


def test_values_under_nulls_change_nothing(tmp_path: Path) -> None:
    first, second = arrays_under_nulls(7), arrays_under_nulls(9)
    assert first.equals(second)
    records = [write(tmp_path / "a", [first]), write(tmp_path / "b", [second])]
    records.append(write(tmp_path / "c", [pl.read_parquet(tmp_path / "a")]))
    records.append(write(tmp_path / "d", [second[:1], second[1:4], pl.read_parquet(tmp_path / "a")[4:]]))
    assert len({record.content for record in records}) == 1
    assert len({(tmp_path / name).read_bytes() for name in "abcd"}) == 1
    assert pl.read_parquet(tmp_path / "d").equals(first)


def test_a_slice_does_not_depend_on_the_row_groups(tmp_path: Path) -> None:
    rows = 40_000

    def table(first: int) -> pl.DataFrame:
        shards = ["0"] * first + ["1"] * rows
        return pl.DataFrame({"shard": shards, "value": [*range(first), *range(rows)]})

    before, after = (write(tmp_path / "t", [table(first)], slice_by="shard").slices for first in (rows, rows + 1))
    assert [key for key in before if before[key] != after[key]] == ["0"]


def ragged(rows: int = 40) -> pl.DataFrame:
    generator = np.random.default_rng(0)
    sizes = generator.integers(0, 3000, rows)
    data = [None if row == 7 else generator.bytes(int(size)) for row, size in enumerate(sizes)]
    names = [f"{row:032x}" for row in range(rows)]
    return pl.DataFrame({"image_id": names, "states": pl.Series(data, dtype=pl.Binary)})


@given(cuts=st.lists(st.integers(0, 40), max_size=5))
def test_groups_of_rows_of_bytes_are_bounded_and_do_not_depend_on_chunks(
    tmp_path_factory: pytest.TempPathFactory, cuts: list[int]
) -> None:
    folder, whole, edges = tmp_path_factory.mktemp("ragged"), ragged(), [0, *sorted(cuts), 40]
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(parquet, "GROUP_BYTES", 8000)
        one = write(folder / "a", [whole])
        other = write(folder / "b", [whole[start:end] for start, end in pairwise(edges)])
    assert (folder / "a").read_bytes() == (folder / "b").read_bytes()
    assert one.content == other.content
    assert pl.read_parquet(folder / "a").equals(whole)
    file = pq.ParquetFile(folder / "a")
    assert file.num_row_groups > 4
    for group in range(file.num_row_groups):
        sizes = [len(data or b"") for data in file.read_row_group(group)["states"].to_pylist()]
        assert sum(sizes[:-1]) < 8000, "a group is closed by the row that fills it"
    assert file.metadata.row_group(0).column(1).compression == "UNCOMPRESSED"

from __future__ import annotations

import io
from pathlib import Path

import polars as pl
import pyarrow.parquet as pq
import pytest
from hypothesis import given
from hypothesis import strategies as st

from paris_assets.storage.checksum import DamagedFile, Seals, intact, seal, sealed_footer
from paris_assets.storage.location import Location

ROWS = pl.DataFrame({"image_id": [f"{number:032x}" for number in range(200)], "value": range(200)})


def sealed() -> bytes:
    file = io.BytesIO()
    ROWS.write_parquet(file)
    seal(file)
    return file.getvalue()


DATA = sealed()


def test_every_reader_reads_a_sealed_file() -> None:
    assert intact(io.BytesIO(DATA))
    assert pl.read_parquet(io.BytesIO(DATA)).equals(ROWS)
    assert pq.read_table(io.BytesIO(DATA)).equals(ROWS.to_arrow(compat_level=pl.CompatLevel.oldest()))
    footer = sealed_footer(io.BytesIO(DATA))
    assert footer
    assert pq.read_metadata(io.BytesIO(footer)).num_rows == 200


@given(st.integers(0, len(DATA) - 1), st.integers(0, 7))
def test_no_flipped_bit_goes_unseen(at: int, bit: int) -> None:
    damaged = bytearray(DATA)
    damaged[at] ^= 1 << bit
    assert not intact(io.BytesIO(damaged))


@given(st.integers(0, len(DATA) - 1))
def test_no_cut_goes_unseen(size: int) -> None:
    assert not intact(io.BytesIO(DATA[:size]))
    assert sealed_footer(io.BytesIO(DATA[:size])) is None


def test_a_plain_file_is_not_sealed() -> None:
    file = io.BytesIO()
    ROWS.write_parquet(file)
    assert not intact(file)


def test_a_table_is_verified_once_per_version(tmp_path: Path) -> None:
    root, path = Location(tmp_path), tmp_path / "t.parquet"
    seals = Seals(root)
    path.write_bytes(DATA)
    seals.check("t.parquet")
    middle = len(DATA) // 2
    path.write_bytes(DATA[:middle] + b"?" + DATA[middle + 1 :])
    with pytest.raises(DamagedFile, match=r"t\.parquet is damaged: .*Delete it, and run again"):
        seals.check("t.parquet")

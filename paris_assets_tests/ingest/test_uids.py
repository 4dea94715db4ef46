"""Ids of a pool's rows: 32 lower-case hex digits or none."""

from __future__ import annotations

import polars as pl
import pytest

from paris_assets.ingest.lists.columns import SourceError
from paris_assets.ingest.uids import require_uids

ENTRY = {"file": "a/list.parquet", "shard": "00002", "first_row": 100, "source_row": 2000}
GOOD = "00" + "f" * 30


def _rows(*uids: str | None) -> pl.DataFrame:
    return pl.DataFrame({"source_row": range(2000, 2000 + len(uids)), "uid": pl.Series(uids, dtype=pl.String)})


def test_blank_ones_are_none() -> None:
    assert require_uids(_rows(GOOD, None, "", " "), ENTRY)["uid"].to_list() == [GOOD, None, None, None]


@pytest.mark.parametrize("wrong", [GOOD[1:], GOOD.upper(), GOOD + "0", "row 7", GOOD + "\n", f"{'0' * 31}g"])
def test_others_are_named_with_file_and_row(wrong: str) -> None:
    with pytest.raises(
        SourceError, match=r"a/list\.parquet, row 101: the uid .* is not 32 lower-case hex digits"
    ) as error:
        require_uids(_rows(GOOD, wrong, wrong), ENTRY)
    assert "(2 such rows in shard 00002)" in str(error.value)

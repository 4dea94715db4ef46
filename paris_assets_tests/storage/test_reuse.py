"""Rows kept from an earlier run and rows computed now make the table of a fresh run."""

import polars as pl
from hypothesis import given
from hypothesis import strategies as st

from paris_assets.storage.reuse import reuse_rows

IDS = [f"{number:04x}" for number in range(0, 3000, 3)]


def compute(rows: pl.DataFrame, asked: list[str] | None = None) -> list[pl.DataFrame]:
    if asked is not None:
        asked.extend(rows["image_id"])
    made = rows.select("image_id", value=pl.col("image_id").str.to_integer(base=16))
    return [made[:0], *[part for start in range(0, made.height, 7) if (part := made[start : start + 7]).height]]


@given(before=st.sets(st.sampled_from(IDS), max_size=60), now=st.sets(st.sampled_from(IDS), min_size=1, max_size=60))
def test_equal_to_a_fresh_run(before: set[str], now: set[str]) -> None:
    wanted = pl.DataFrame({"image_id": sorted(now)})
    previous = pl.concat(compute(pl.DataFrame({"image_id": sorted(before)}, schema={"image_id": pl.String})))
    asked: list[str] = []
    rows = pl.concat(reuse_rows(wanted, previous.lazy(), lambda missing: compute(missing, asked)))
    assert rows.equals(pl.concat(compute(wanted)))
    assert asked == sorted(now - before)


def test_blocks_longer_than_one_are_merged_in_order() -> None:
    wanted = pl.DataFrame({"image_id": IDS})
    previous = pl.concat(compute(wanted.gather_every(2)))
    rows = pl.concat(reuse_rows(wanted, previous.lazy(), compute))
    assert rows.equals(pl.concat(compute(wanted)))


def test_a_row_whose_key_changed_is_computed_again() -> None:
    wanted = pl.DataFrame({"image_id": ["a", "b", "c"], "caption": ["x", "new", None]})
    previous = pl.DataFrame({"image_id": ["a", "b", "c"], "caption": ["x", "old", None], "value": [1, 2, 3]})
    asked: list[str] = []

    def again(missing: pl.DataFrame) -> list[pl.DataFrame]:
        asked.extend(missing["image_id"])
        return [missing.with_columns(value=pl.lit(9, pl.Int64))]

    rows = pl.concat(reuse_rows(wanted, previous.lazy(), again, ("image_id", "caption")))
    assert asked == ["b"]
    assert rows["value"].to_list() == [1, 9, 3]

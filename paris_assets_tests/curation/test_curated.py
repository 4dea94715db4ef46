from __future__ import annotations

import polars as pl

from paris_assets.curation.curated import alternative_texts, kept_occurrences, with_alternative_texts
from paris_assets.curation.decided import SCHEMA

GROUPS = pl.DataFrame(
    [
        ("a", "99999", 6_999_998, "a", True, None, None),
        ("a", "99999", 6_999_999, "a", False, 0, "exact"),
        ("a", "100000", 7_000_000, "a", False, 0, "exact"),
        ("b", "100000", 7_000_001, "b", True, None, None),
    ],
    schema=SCHEMA,
    orient="row",
)


def texts(*values: str | None) -> pl.LazyFrame:
    first = 6_999_998
    rows = pl.Series(range(first, first + len(values)), dtype=pl.Int64)
    return pl.LazyFrame({"source_row": rows, "text": pl.Series(values, dtype=pl.String)})


def told(groups: pl.DataFrame, known: pl.LazyFrame) -> pl.DataFrame:
    further = groups.filter(pl.col("method") == "exact").select("image_id", "source_row")
    return with_alternative_texts(groups, alternative_texts(further, known))


def test_keepers_get_the_texts_of_their_exact_copies() -> None:
    result = told(GROUPS, texts("own", "second", "first", "other"))
    assert result["alt_texts"].to_list() == [["first", "second"], [], [], []]
    empty = told(GROUPS, texts("own", "", None, "other"))
    assert empty["alt_texts"].to_list() == [[], [], [], []]


def test_a_copy_may_have_several_texts() -> None:
    several = pl.concat([texts("own", "second", "first"), texts("more of its own", None, "third")])
    result = told(GROUPS, several)
    assert result["alt_texts"].to_list() == [["first", "second", "third"], [], [], []]


def test_occurrences_need_no_more_signals_than_duplicates_do() -> None:
    ids = ["a", "b", "c"]
    rows = kept_occurrences(
        pl.LazyFrame(
            {"image_id": ids, "source_row": [4, 5, 6], "width": 9, "height": 8, "status": ["ok", "ok", "404"]}
        ),
        pl.LazyFrame({"image_id": ids, "kept": [True, False, True]}),
        pl.LazyFrame({"image_id": ["a"], "phash": pl.Series([7], dtype=pl.UInt64)}),
        pl.LazyFrame({"source_row": [4], "aesthetic": [5.5]}),
    ).collect()
    assert rows.rows(named=True) == [
        {"image_id": "a", "source_row": 4, "width": 9, "height": 8, "phash": 7, "aesthetic": 5.5}
    ]

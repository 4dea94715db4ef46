from __future__ import annotations

import polars as pl

from paris_assets.curation.curated import add_alternative_texts, kept_occurrences
from paris_assets.curation.duplicates import SCHEMA

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


def test_keepers_get_the_texts_of_their_exact_copies() -> None:
    result = add_alternative_texts(GROUPS, texts("own", "second", "first", "other"))
    assert result["alt_texts"].to_list() == [["first", "second"], [], [], []]
    empty = add_alternative_texts(GROUPS, texts("own", "", None, "other"))
    assert empty["alt_texts"].to_list() == [[], [], [], []]


def test_a_copy_may_have_several_texts() -> None:
    several = pl.concat([texts("own", "second", "first"), texts("more of its own", None, "third")])
    result = add_alternative_texts(GROUPS, several)
    assert result["alt_texts"].to_list() == [["first", "second", "third"], [], [], []]


def test_rows_keep_the_order_of_the_source_past_shard_99999() -> None:
    """As text "100000" is less than "99999"."""
    result = add_alternative_texts(GROUPS.reverse(), texts("own", "second", "first", "other"))
    assert result["shard"].to_list() == ["99999", "99999", "100000", "100000"]
    assert result["source_row"].is_sorted()


def test_published_rows_keep_their_texts() -> None:
    all_texts = texts("own", "second", "first", "other")
    published = add_alternative_texts(GROUPS.filter(shard="99999"), all_texts)
    result = add_alternative_texts(GROUPS, all_texts, published)
    assert result["alt_texts"].to_list() == [["second"], [], [], []]
    assert result.filter(shard="99999").equals(published)
    assert result["source_row"].is_sorted()


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

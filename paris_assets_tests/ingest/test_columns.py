from __future__ import annotations

import datetime as dt
import math

import polars as pl
import pytest

from paris_assets.ingest.lists.columns import SourceError, find_columns, normalise, our_columns
from paris_assets.ingest.lists.records import check_records, from_records
from paris_assets.ingest.schema import SOURCE_ROWS

COLUMNS = SOURCE_ROWS.polars()
URL = ["http://a.example/1.jpg", "http://a.example/2.jpg"]


def _normalise(columns: dict[str, object], overrides: dict[str, str] | None = None) -> pl.DataFrame:
    table = pl.DataFrame(columns)
    return normalise(our_columns(table, find_columns(table.schema, overrides or {}, "list.parquet")), 40, table.height)


@pytest.mark.parametrize(
    ("columns", "expected"),
    [
        (
            {"URL": "u", "TEXT": "t", "WIDTH": 3, "HEIGHT": 2},
            {"url": "u", "text": "t", "source_width": 3, "source_height": 2},
        ),
        (
            {"url": "u", "caption": "t", "width": 3.0, "height": 2.0},
            {"text": "t", "source_width": 3, "source_height": 2},
        ),
        ({"image_url": "u", "alt_txt": "t"}, {"url": "u", "text": "t"}),
        ({"url": "u", "laion_2b": "t", "aesthetic_score_laion_v2": 6.5}, {"text": "t", "aesthetic": 6.5}),
        ({"URL": "u", "AESTHETIC_SCORE": 5.0, "similarity": 0.3}, {"aesthetic": 5.0, "similarity": 0.3}),
        ({"URL": "u", "aesthetic": 5.0, "CLIP_SCORE": 0.3}, {"aesthetic": 5.0, "similarity": 0.3}),
        ({"URL": "u", "CLIP_SCORE": 9.0}, {"aesthetic": None, "similarity": 9.0}),
        (
            {"URL": "u", "punsafe": 0.5, "pwatermark": 0.25, "hash": -5},
            {"punsafe": 0.5, "pwatermark": 0.25, "source_hash": -5},
        ),
        (
            {"url": "u", "uid": "00ff", "original_width": 8, "original_height": 6, "clip_l14_similarity_score": 0.2},
            {"uid": "00ff", "source_width": 8, "source_height": 6, "similarity": 0.2, "clip_l14": 0.2},
        ),
        (
            {"url": "u", "similarity": 0.3, "clip_b32_similarity_score": 0.1, "clip_l14_similarity_score": 0.2},
            {"similarity": 0.3, "clip_b32": 0.1, "clip_l14": 0.2},
        ),
        (
            {"url": "u", "sha256": "00" * 32, "clip_b32_similarity_score": 0.1, "phash": "00" * 8},
            {"source_sha256": "00" * 32, "similarity": None, "clip_b32": 0.1, "source_phash": None},
        ),
        ({"url": "u", "width": 256, "original_width": 900}, {"source_width": 900}),  # img2dataset keeps both
        ({"url": "u", "__index_level_0__": 4}, {"url": "u", "text": None, "source_hash": None}),
    ],
)
def test_aliases(columns: dict[str, object], expected: dict[str, object]) -> None:
    row = _normalise({name: [value] for name, value in columns.items()}).row(0, named=True)
    assert {name: row[name] for name in expected} == expected
    unnamed = set(COLUMNS) - set(expected) - {"source_row", "url"}
    assert {name for name in unnamed if row[name] is not None} <= {"text", "source_width", "source_height", "alt_texts"}


@pytest.mark.parametrize("kind", [pl.Int32, pl.Int64, pl.Float64, pl.Float32, pl.UInt16, pl.String])
def test_sizes_of_any_type_become_integers_and_unknown_ones_null(kind: type[pl.DataType]) -> None:
    table = _normalise(
        {"URL": URL, "WIDTH": pl.Series([640, None]).cast(kind), "HEIGHT": pl.Series([None, 480]).cast(kind)}
    )
    assert dict(table.schema) == dict(COLUMNS)
    assert table.select("source_row", "source_width", "source_height").rows() == [(40, 640, None), (41, None, 480)]


def test_what_is_no_number_is_null_and_never_a_default() -> None:
    table = _normalise(
        {
            "URL": URL,
            "punsafe": [math.nan, 0.1],
            "AESTHETIC_SCORE": ["", " 5.5 "],
            "WIDTH": [math.nan, 3.0],
            "HEIGHT": ["640.0", "tall"],
            "similarity": [None, None],
        }
    )
    assert table["punsafe"].to_list() == [None, 0.1]
    assert table["aesthetic"].to_list() == [None, 5.5]
    assert table["source_width"].to_list() == [None, 3]
    assert table["source_height"].to_list() == [640, None]
    assert table["similarity"].to_list() == [None, None]


def test_hashes_keep_their_64_bits() -> None:
    hashes = [2**63 + 5, 7]
    table = _normalise({"URL": URL, "hash": pl.Series(hashes, dtype=pl.UInt64)})
    assert [value % 2**64 for value in table["source_hash"]] == hashes
    text = _normalise({"URL": URL, "hash": ["9007199254740993", "-9223372036854775808"]})
    assert text["source_hash"].to_list() == [2**53 + 1, -(2**63)]


def test_an_override_goes_before_the_aliases() -> None:
    table = _normalise({"URL": URL, "TEXT": ["a", "b"], "recaption": ["c", "d"]}, {"text": "recaption"})
    assert table["text"].to_list() == ["c", "d"]


@pytest.mark.parametrize(
    ("schema", "overrides", "words"),
    [
        ({"link": pl.String()}, {}, ["list.parquet", "link", "image_url", "source.columns"]),
        ({"image": pl.String()}, {}, ["image", "url"]),  # a path is no image
        ({"URL": pl.String()}, {"text": "alt"}, ["alt", "URL"]),
        ({"URL": pl.String()}, {"txt": "URL"}, ["txt", "pwatermark"]),
        ({"URL": pl.String()}, {"image": "URL"}, ["URL", "bytes"]),
        ({"URL": pl.String(), "boxes": pl.List(pl.Float32)}, {"text": "boxes"}, ["boxes", "no texts"]),
        ({"URL": pl.String(), "sizes": pl.List(pl.Int64)}, {"source_width": "sizes"}, ["sizes", "lists"]),
        ({"url": pl.Struct({"href": pl.String})}, {}, ["url", "image_url", "'url' holds objects"]),
        ({"url": pl.List(pl.String)}, {}, ["'url' holds lists"]),
        ({"image": pl.String(), "text": pl.String()}, {}, ["'image' holds no bytes", "names image files", "folder"]),
    ],
)
def test_errors_name_what_is_there_and_what_is_needed(
    schema: dict[str, pl.DataType], overrides: dict[str, str], words: list[str]
) -> None:
    with pytest.raises(SourceError) as caught:
        find_columns(schema, overrides, "list.parquet")
    assert all(word in str(caught.value) for word in words)


@pytest.mark.parametrize(
    ("name", "kind"),
    [
        ("image", pl.Struct({"bytes": pl.Binary, "path": pl.String})),
        ("image", pl.Binary()),
        ("jpg", pl.Binary()),
        ("bytes", pl.Binary()),
    ],
)
def test_embedded_images_are_found(name: str, kind: pl.DataType) -> None:
    assert find_columns({name: kind, "caption": pl.String()}, {}, "list.parquet") == {
        "image": [name],
        "text": ["caption"],
    }


def test_records_may_lack_keys_and_mix_types() -> None:
    rows = from_records([{"url": "u", "width": 5}, {"text": 7}, {"url": None, "width": "6"}], {}, 0)
    assert rows.select("source_row", "url", "text", "source_width").rows() == [
        (0, "u", None, 5),
        (1, None, "7", None),
        (2, None, None, 6),
    ]


def test_a_record_is_read_by_its_own_keys_whatever_shares_its_shard() -> None:
    records = [
        {"URL": "a", "alt_txt": "A"},
        {"url": "b", "caption": "B"},
        {"image_url": "c", "TEXT": None, "text": "C"},
    ]
    together = from_records(records, {}, 0)
    alone = pl.concat([from_records([record], {}, row) for row, record in enumerate(records)])
    assert together.equals(alone)
    assert together.select("url", "text").rows() == [("a", "A"), ("b", "B"), ("c", "C")]
    assert from_records(records, {"text": "caption"}, 0)["text"].to_list() == [None, "B", None]


def test_records_without_usable_columns_name_what_they_have() -> None:
    check_records([{"n": 1}, {"image_url": 1}], {}, "list.jsonl")
    check_records([{}], {}, "x.tar", needs_image=False)
    with pytest.raises(
        SourceError,
        match=r"list\.jsonl has columns \['n', 'link'\]; needed: a url \(URL, url, image_url, img_url \.\.\.\)",
    ):
        check_records([{"n": 1}, {"link": 1}], {}, "list.jsonl")
    with pytest.raises(SourceError, match=r"x\.tar has no \['title'\]"):
        check_records([{"n": 1}], {"text": "title"}, "x.tar", needs_image=False)


@pytest.mark.parametrize(
    ("url", "kept"),
    [
        ("ht\ntp://u:p@h/", "http://h/"),
        ("h\tttp://u:p@h/x", "http://h/x"),
        ("http:/\t/u:p@h/x", "http://h/x"),
        ("http:\\\\u:p@h/x", "http:\\\\h/x"),
        ("HTTP:/u:p@h/x", "HTTP:/h/x"),
        ("\x01 http://u:p@a@h/x", "\x01 http://h/x"),
        (" //u:p@h/x", " //h/x"),
        ("http://h/a@b?c@d", "http://h/a@b?c@d"),
        ("http://h\\a@b", "http://h\\a@b"),
    ],
)
def test_a_password_is_dropped_however_its_url_is_spelt(url: str, kept: str) -> None:
    assert _normalise({"url": [url]})["url"].to_list() == [kept]


def test_times_become_text_and_no_number() -> None:
    day = dt.timedelta(days=1)
    columns = {"url": ["u"], "text": [day], "width": [day], "uid": [dt.date(2020, 1, 2)]}
    rows = _normalise(columns)
    assert rows.select("text", "source_width", "uid").rows() == [("P1D", None, "2020-01-02")]


def test_tags_are_texts_or_lists_that_the_profile_names_and_become_one_text() -> None:
    lists = pl.Series([["old barn", None, "sea"], None], dtype=pl.List(pl.String))
    named = {"tags": "words"}
    assert _normalise({"url": URL, "words": lists}, named)["tags"].to_list() == ["old barn\nsea", None]
    texts = _normalise({"url": URL, "words": ["old barn, sea", ""]}, named)
    assert (texts["tags"].to_list(), texts["text"].to_list()) == (["old barn, sea", ""], [None, None])
    assert _normalise({"url": URL, "tags": lists})["tags"].to_list() == [None, None], "of any kind"
    with pytest.raises(SourceError, match=r"\['words'\] of list.parquet hold lists or structs"):
        _normalise({"url": URL, "words": [[1], [2]]}, named)


@pytest.mark.parametrize(
    ("value", "tags"),
    [(["old barn", 3, "sea"], "old barn\nsea"), ("old barn, sea", "old barn, sea"), ([], ""), (None, None), ({}, None)],
)
def test_tags_of_records(value: object, tags: str | None) -> None:
    assert from_records([{"url": "u", "words": value}], {"tags": "words"}, 0)["tags"].to_list() == [tags]

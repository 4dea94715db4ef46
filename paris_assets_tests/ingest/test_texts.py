"""Captions are found wherever a row has them; what looks like one and is not used is named."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import polars as pl
import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from paris_assets.config import Ingest, Source
from paris_assets.ingest.lists.records import from_records
from paris_assets.ingest.lists.texts import looks_like_text
from paris_assets.ingest.registered import RegisteredSource
from paris_assets.ingest.sources import entry_of, images_of, read_rows, register
from paris_assets.storage.location import Location
from paris_assets_tests.ingest.pictures import picture

BODY = picture(1)
# Columns of one row -> its text, and its other texts.
ROWS: dict[str, tuple[dict[str, Any], str | None, list[str]]] = {
    "flickr30k: a list": ({"caption": ["a dog", "a dog runs", "a dog", " "]}, "a dog", ["a dog runs"]),
    "COCO: a list of objects": ({"sentences": [{"raw": "a", "sentid": 1}, {"raw": "b", "sentid": 2}]}, "a", ["b"]),
    "an object of lists": ({"captions": {"text": ["a", "b"], "id": [1, 2]}}, "a", ["b"]),
    "languages": ({"caption": {"de": "ein Hund", "en": "a dog"}}, "a dog", ["ein Hund"]),
    "one language": ({"caption": {"ja": "犬"}}, "犬", []),
    "another case": ({"Caption": "a dog"}, "a dog", []),
    "JourneyDB, DiffusionDB": ({"prompt": "a dog"}, "a dog", []),
    "pixparse": ({"txt": "a dog"}, "a dog", []),
    "YFCC": ({"title": "dog", "description": "my dog"}, "dog", ["my dog"]),
    "Open Images": ({"Title": "dog"}, "dog", []),
    "Recap-DataComp": ({"re_caption": "long", "org_caption": "short"}, "short", ["long"]),
    "numbered": ({"caption_10": "c", "caption_2": "b", "caption_0": "a"}, "a", ["b", "c"]),
    "spaces in the name": ({"Alt Text": "a dog"}, "a dog", []),
    "an empty one first": ({"text": "", "caption": "a dog"}, "a dog", []),
    "null first": ({"TEXT": None, "text": "a dog"}, "a dog", []),
    "only blank ones": ({"text": " ", "caption": ""}, " ", []),
    "a JSON array in a text": ({"captions": '["a dog", "a cat"]'}, "a dog", ["a cat"]),
    "Python's list in a text": ({"captions": "['a dog', \"a cat's\"]"}, "a dog", ["a cat's"]),
    "numpy's array in a text": ({"captions": "['a dog' 'a cat'\n \"a cat's\"]"}, "a dog", ["a cat", "a cat's"]),
    "an object in a text": ({"caption": '{"de": "ein Hund", "en": "a dog"}'}, "a dog", ["ein Hund"]),
    "Python's objects in a text": ({"sentences": "{'raw': 'a dog', 'sentid': 1}"}, "a dog", []),
    "objects in a list in a text": ({"sentences": '[{"raw": "a"}, {"raw": "b"}]'}, "a", ["b"]),
    "what only looks like Python": ({"text": "['so', 3]"}, "['so', 3]", []),
    "an object without texts": ({"text": '{"x": 1}'}, '{"x": 1}', []),
    "braces": ({"text": "{so} it [is]"}, "{so} it [is]", []),
    "brackets that are no array": ({"text": '["odd" text]'}, '["odd" text]', []),
    "an empty list": ({"caption": []}, None, []),
}


@pytest.mark.parametrize("name", ROWS)
@pytest.mark.parametrize("source", ["parquet", "records"])
def test_texts_are_found(tmp_path: Path, root: Location, name: str, source: str) -> None:
    columns, text, others = ROWS[name]
    if source == "records":
        rows = from_records([columns, {"url": "u"}], {}, 0)
    else:
        table = {key: pa.array([value, None]) for key, value in columns.items()}
        pq.write_table(pa.table({"image": [BODY, BODY], **table}), tmp_path / "l.parquet")
        settings = Source(path=str(tmp_path))
        rows = read_rows(settings, entry_of(register(settings, None, root), "00000"), root)
    assert rows.select("text", "alt_texts").rows() == [(text, others), (None, [])]


@pytest.mark.parametrize("column", [["a b", "c d"], {"en": "a b", "de": "c d"}, [{"text": "a b"}, {"text": "c d"}]])
def test_a_named_column_may_be_a_list_or_an_object(tmp_path: Path, root: Location, column: Any) -> None:
    pq.write_table(pa.table({"image": [BODY], "story": [column], "text": ["x"]}), tmp_path / "l.parquet")
    source = Source(path=str(tmp_path), columns={"text": "story"})
    rows = read_rows(source, entry_of(register(source, None, root), "00000"), root)
    assert rows.select("text", "alt_texts").rows() == [("a b", ["c d"])]


@pytest.mark.parametrize(
    "kind",
    [pa.map_(pa.string(), pa.string()), pa.list_(pa.dictionary(pa.int32(), pa.string())), pa.list_(pa.string(), 1)],
)
def test_texts_within_other_types(tmp_path: Path, root: Location, kind: pa.DataType) -> None:
    value = [("en", "a dog")] if pa.types.is_map(kind) else ["a dog"]
    pq.write_table(pa.table({"image": [BODY], "caption": pa.array([value], kind)}), tmp_path / "l.parquet")
    source = Source(path=str(tmp_path))
    assert read_rows(source, entry_of(register(source, None, root), "00000"), root)["text"].to_list() == ["a dog"]


def test_lists_with_bytes_that_are_no_text_spoil_their_row_only(tmp_path: Path, root: Location) -> None:
    bad = pa.array([b"fine", b"caf\xe9", b"good"]).view(pa.string())
    texts = pa.ListArray.from_arrays([0, 2, 3], bad)
    pq.write_table(pa.table({"url": ["http://a/1", "http://a/2"], "caption": texts}), tmp_path / "l.parquet")
    source = Source(path=str(tmp_path))
    rows = read_rows(source, entry_of(register(source, None, root), "00000"), root)
    assert rows.select("text", "problem").rows() == [(None, "unreadable_row"), ("good", None)]


@pytest.mark.parametrize("kind", ["parquet", "jsonl"])
def test_columns_that_look_like_texts_and_are_not_used_are_named(tmp_path: Path, root: Location, kind: str) -> None:
    frame = pl.DataFrame(
        {
            "url": ["http://a/1.jpg", "http://a/2.jpg"],
            "beschreibung": ["ein Hund am Strand", None],
            "stories": [["ein Hund am Meer"], []],
            "label": ["dog", "cat"],
            "page": ["http://a/some page", "http://a/x"],
            "n": [1, 2],
        }
    )
    path = tmp_path / f"l.{kind}"
    frame.write_parquet(path) if kind == "parquet" else frame.write_ndjson(path)
    source = Source(path=str(path))
    registry = register(source, None, root)
    read = RegisteredSource(source, lambda shard: entry_of(registry, shard), root)
    assert read.reading("00000") == {"unused_text_columns": ["beschreibung", "stories"]}


def test_no_number_is_no_text() -> None:
    rows = from_records([{"caption": float("nan")}, {"caption": float("inf")}, {"caption": 7}], {}, 0)
    assert rows["text"].to_list() == [None, None, "7"]


def test_a_table_of_img2dataset_gives_its_images_and_asks_again_for_those_that_failed(
    tmp_path: Path, root: Location, monkeypatch: pytest.MonkeyPatch
) -> None:
    asked: list[tuple[int, str]] = []
    monkeypatch.setattr("paris_assets.ingest.sources.fetch_images", lambda urls, *_: asked.extend(urls) or iter(()))
    columns = {
        "jpg": [BODY, None], "url": ["http://a/0.jpg", "http://a/1.jpg"], "caption": ["one", "two"],
        "status": ["success", "failed_to_download"], "error_message": [None, "HTTP Error 404: Not Found"],
        "exif": ['{"Image Make": "Canon Inc"}', None], "original_width": [640, None], "width": [256, None],
    }  # fmt: skip
    pl.DataFrame(columns).write_parquet(tmp_path / "00000.parquet")
    (tmp_path / "00000_stats.json").write_text("{}")
    source = Source(path=str(tmp_path))
    registry = register(source, None, root)
    read = RegisteredSource(source, lambda shard: entry_of(registry, shard), root)
    rows = read.rows("00000")
    assert rows.select("text", "source_width", "problem").rows() == [("one", 640, None), ("two", None, None)]
    assert [(each.source_row, each.body) for each in read.images("00000", rows, Ingest(), None)] == [(0, BODY)]
    assert asked == [(1, "http://a/1.jpg")]
    assert read.reading("00000") == {}


def test_what_looks_like_text() -> None:
    assert looks_like_text(["two words", None, ""])
    assert looks_like_text(["红色自行车靠在墙上"])
    assert not looks_like_text(["dog", "a1b2", "two words"])
    assert not looks_like_text([None, ""])


def test_images_of_a_table_that_stores_some_and_names_others(
    tmp_path: Path, root: Location, monkeypatch: pytest.MonkeyPatch
) -> None:
    asked: list[tuple[int, str]] = []
    monkeypatch.setattr("paris_assets.ingest.sources.fetch_images", lambda urls, *_: asked.extend(urls) or iter(()))
    images = [{"bytes": BODY, "path": None}, {"bytes": None, "path": "/etc/hostname"}, None, {"bytes": b"", "path": ""}]
    urls = ["http://a/0.jpg", "http://a/1.jpg", " ", None]
    pq.write_table(pa.table({"image": images, "url": urls}), tmp_path / "l.parquet")
    source = Source(path=str(tmp_path))
    entry = entry_of(register(source, None, root), "00000")
    rows = read_rows(source, entry, root)
    found = [(each.source_row, each.reason) for each in images_of(source, entry, rows, Ingest())]
    assert found == [(0, None), (2, "no_image"), (3, "no_image")]
    assert asked == [(1, "http://a/1.jpg")]
    again = [each.source_row for each in images_of(source, entry, rows[2:], Ingest())]
    assert again == [2, 3]

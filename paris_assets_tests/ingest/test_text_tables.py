from __future__ import annotations

import csv
import io
import json
import tempfile
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from paris_assets.ingest.lists import delimited, source_lists, text_tables
from paris_assets.ingest.lists.columns import SourceError
from paris_assets.storage.location import Location


def _read_all(content: bytes, kind: str, rows_per_shard: int) -> list[tuple[str | None, str | None]]:
    """Every part of the converted list read alone, in reverse order of the parts, put together again."""
    with tempfile.TemporaryDirectory() as folder:
        local = Path(folder) / "list.parquet"
        rows, _ = source_lists.convert(io.BytesIO(content), "list", kind, local)
        read = {}
        for first in reversed(range(0, rows, rows_per_shard)):
            count = min(rows_per_shard, rows - first)
            entry = {"list": local.name, "first_row": first, "rows": count, "source_row": first}
            table = source_lists.read(Location(folder), entry, {})
            assert table["source_row"].to_list() == list(range(first, first + count))
            read[first] = table.select("url", "text").rows()
    return [row for first in sorted(read) for row in read[first]]


FIELDS = st.text(st.characters(exclude_categories=["Cs"], exclude_characters="\x00"), max_size=20)


@settings(deadline=None, max_examples=60)
@given(st.lists(FIELDS, min_size=1, max_size=8), st.integers(1, 5), st.sampled_from(["\n", "\r\n"]))
def test_csv_is_cut_at_rows_whatever_the_fields_hold(texts: list[str], size: int, newline: str) -> None:
    file = io.StringIO()
    writer = csv.writer(file, lineterminator=newline, quoting=csv.QUOTE_ALL)
    writer.writerows([["url", "caption"], *([f"row{number}", text] for number, text in enumerate(texts))])
    expected = [(f"row{number}", text) for number, text in enumerate(texts)]
    assert _read_all(file.getvalue().encode(), "csv", size) == expected


@settings(deadline=None, max_examples=60)
@given(st.lists(FIELDS, min_size=1, max_size=12), st.integers(1, 5), st.booleans())
def test_json_lines(texts: list[str], size: int, mark: bool) -> None:
    lines = "".join(
        json.dumps({"url": f"row{i}", "text": text}, ensure_ascii=False) + "\n\n" for i, text in enumerate(texts)
    )
    expected = [(f"row{number}", text) for number, text in enumerate(texts)]
    assert _read_all((text_tables.MARK.encode() if mark else b"") + lines.encode(), "jsonl", size) == expected


def test_a_headerless_tsv_keeps_its_first_row_and_its_quotes() -> None:
    content = b'http://a.example/1.jpg\tan "odd caption\nhttp://a.example/2.jpg\t"quoted"\nhttp://a.example/3.jpg\n'
    assert _read_all(content, "tsv", 2) == [
        ("http://a.example/1.jpg", 'an "odd caption'),
        ("http://a.example/2.jpg", '"quoted"'),
        ("http://a.example/3.jpg", None),
    ]


def test_a_headerless_table_may_have_its_url_second() -> None:
    assert _read_all(b"a cat,http://a.example/1.jpg\n", "csv", 5) == [("http://a.example/1.jpg", "a cat")]


def test_bytes_that_are_not_utf8_lose_no_row() -> None:
    content = "url,text\ns,café\n".encode() + b"u,caf\xe9\n\n   \nv,w"
    assert _read_all(content, "csv", 1) == [("s", "café"), (None, None), ("v", "w")]


@settings(deadline=None, max_examples=60)
@given(st.lists(st.text('ab"', max_size=6), min_size=1, max_size=8), st.integers(1, 3))
def test_quotes_within_a_field_are_text_and_join_no_lines(texts: list[str], size: int) -> None:
    texts = [f"5{text}" for text in texts]
    content = "url,text\n" + "".join(f"row{number},{text}\n" for number, text in enumerate(texts))
    expected = [(f"row{number}", text) for number, text in enumerate(texts)]
    assert _read_all(content.encode(), "csv", size) == expected


@pytest.mark.parametrize(
    ("content", "kind", "rows"),
    [
        (b'url,text\nu,"open\nv,w\n', "csv", [("u", '"open'), ("v", "w")]),
        (
            b'url,text\nu,"a "word" of two\nlines"\nv,w\n',
            "csv",
            [("u", '"a "word" of two'), ('lines"', None), ("v", "w")],
        ),
        (b'url,text\nu,"shut"too soon\nv,w\n', "csv", [("u", '"shut"too soon'), ("v", "w")]),
        (b'url,text\n"u\n"v",w\n', "csv", [('"u', None), ("v", "w")]),
        (b"url,text\nu,a,b\nv,w,,\n,\n", "csv", [(None, None), ("v", "w"), ("", "")]),
        (b"url, text ,n\nu\nv,w\n", "csv", [("u", None), ("v", "w")]),
        (b"url,text\nu,a\rb\nv,w\n", "csv", [("u", "a\rb"), ("v", "w")]),
        (b"url,text\nu," + b"x" * 200_000 + b"\nv,w\n", "csv", [("u", "x" * 200_000), ("v", "w")]),
        (b"url\ttext\nu\ta\tb\nv\n", "tsv", [(None, None), ("v", None)]),
        (b'{"url": "u"}\n{"url":\n{"url": "w"}', "jsonl", [("u", None), (None, None), ("w", None)]),
        (b'{"url": "u"}\n["v"]\nnull\n7\n', "jsonl", [("u", None), (None, None), (None, None), (None, None)]),
        (b'\x1e{"url": "u"}\n\x1e{"url": "v"}\n', "jsonl", [("u", None), ("v", None)]),
        (b'{"url": "u"}\n{"url": "cut o', "jsonl", [("u", None), (None, None)]),
        (b'{"url": "u"}\n' + b"[" * 100_000 + b"\n", "jsonl", [("u", None), (None, None)]),
        (
            '{"url": "é"}\n'.encode() + b'{"url": "\xff"}\n{"url": "\\u0000"}\n',
            "jsonl",
            [("é", None), (None, None), ("\x00", None)],
        ),
        (b'{"url": "u\\ud83d"}\n{"url": "v"}\n', "jsonl", [(None, None), ("v", None)]),
        (b'[{"url": "u"}, ["v"], null, 12, "w"]', "json", [("u", None)] + 4 * [(None, None)]),
    ],
)
@pytest.mark.parametrize("size", [1, 2, 100])
def test_a_row_that_cannot_be_read_stays_a_row_and_harms_no_other(
    content: bytes, kind: str, rows: list[tuple[str | None, str | None]], size: int
) -> None:
    assert _read_all(content, kind, size) == rows


@pytest.mark.parametrize(
    ("content", "kind", "words"),
    [
        (b"<html>\n<p>\n", "jsonl", ["list", "first 2 rows", "JSON"]),
        (
            b'{"data": {"url": ["u", "v"], "text": ["a", "b"]}}',
            "json",
            ["list", "not one address", "one object per row"],
        ),
        (b'["u"]\n', "json", ["first 1 rows", "JSON"]),
        (b'{"link": "u"}\n{"n": 1}\n', "jsonl", ["['link', 'n']", "image_url"]),
        (b"link,n\nu,1\n", "csv", ["['link', 'n']", "image_url"]),
        (b"link\tn\n", "tsv", ["['link', 'n']", "image_url"]),
        (b"url,text\rhttp://a.example/1,a\r", "csv", ["list: its first line cannot be read as csv", r"end in \n"]),
    ],
)
def test_files_without_usable_rows_are_refused(content: bytes, kind: str, words: list[str]) -> None:
    with pytest.raises(SourceError) as caught:
        text_tables.check(io.BytesIO(content), "list", text_tables.layout_of(io.BytesIO(content), "list", kind), {})
    assert all(word in str(caught.value) for word in words)


def test_a_line_without_end_is_refused_before_it_fills_the_memory(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(delimited, "LONGEST_LINE", 1000)
    with pytest.raises(SourceError, match="line at byte 9 never ends"):
        _read_all(b"url,text\nu," + b"x" * 1000, "csv", 10)
    assert _read_all(b"url,text\nu,xxx\n", "csv", 10) == [("u", "xxx")]

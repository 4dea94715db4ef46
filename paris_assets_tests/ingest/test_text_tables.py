from __future__ import annotations

import csv
import io
import json

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from paris_assets.ingest import text_tables
from paris_assets.ingest.columns import SourceError


def _read_all(content: bytes, kind: str, rows_per_shard: int) -> list[tuple[str | None, str | None]]:
    """Every part read alone, in reverse order of the parts, put together again."""
    handle = io.BytesIO(content)
    parts = list(text_tables.cut(handle, "list", kind, rows_per_shard))
    read = {}
    for first, rows, offset in reversed(parts):
        table = text_tables.read(handle, "list", kind, {"offset": offset, "rows": rows, "source_row": first}, {})
        assert table["source_row"].to_list() == list(range(first, first + rows))
        read[first] = table.select("url", "text").rows()
    return [row for first in sorted(read) for row in read[first]]


FIELDS = st.text(st.characters(exclude_categories=["Cs"], exclude_characters="\x00"), max_size=20)


@settings(deadline=None)
@given(st.lists(FIELDS, min_size=1, max_size=12), st.integers(1, 5), st.sampled_from(["\n", "\r\n"]))
def test_csv_is_cut_at_rows_whatever_the_fields_hold(texts: list[str], size: int, newline: str) -> None:
    file = io.StringIO()
    writer = csv.writer(file, lineterminator=newline, quoting=csv.QUOTE_ALL)
    writer.writerows([["url", "caption"], *([f"row{number}", text] for number, text in enumerate(texts))])
    expected = [(f"row{number}", text) for number, text in enumerate(texts)]
    assert _read_all(file.getvalue().encode(), "csv", size) == expected


@settings(deadline=None)
@given(st.lists(FIELDS, min_size=1, max_size=12), st.integers(1, 5), st.booleans())
def test_json_lines(texts: list[str], size: int, mark: bool) -> None:
    lines = "".join(
        json.dumps({"url": f"row{i}", "text": text}, ensure_ascii=False) + "\n\n" for i, text in enumerate(texts)
    )
    expected = [(f"row{number}", text) for number, text in enumerate(texts)]
    assert _read_all((text_tables.MARK if mark else b"") + lines.encode(), "jsonl", size) == expected


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
    assert _read_all(b"url,text\nu,caf\xe9\n\n   \nv,w", "csv", 1) == [("u", "caf\ufffd"), ("v", "w")]


@pytest.mark.parametrize(
    ("content", "kind", "words"),
    [
        (b'url,text\nu,"open\nv,w\n', "csv", ["byte 9", "quote"]),
        (b'{"url": "u"}\n{"url":\n', "jsonl", ["byte 13", "JSON"]),
        (b'["u"]\n', "jsonl", ["byte 0", "list"]),
    ],
)
def test_broken_rows_are_named(content: bytes, kind: str, words: list[str]) -> None:
    with pytest.raises(SourceError) as caught:
        _read_all(content, kind, 10)
    assert all(word in str(caught.value) for word in words)

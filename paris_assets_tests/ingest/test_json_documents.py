from __future__ import annotations

import io
import json
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from paris_assets.ingest.lists import json_documents, json_text
from paris_assets.ingest.lists.columns import SourceError

VALUES = st.dictionaries(st.text(max_size=4), st.text(max_size=6) | st.integers() | st.lists(st.none(), max_size=2))


def _elements(content: bytes) -> list[Any]:
    handle = io.BytesIO(content)
    return [
        json.loads(text)
        for text in json_documents.elements(handle, "l.json", json_documents.shape_of(handle, "l.json"))
    ]


@settings(deadline=None, max_examples=60)
@given(
    st.lists(VALUES, min_size=1, max_size=5),
    st.sampled_from([None, 0, 3]),
    st.booleans(),
    st.booleans(),
    st.integers(1, 40),
)
def test_elements_are_found_whatever_they_hold(
    values: list[dict[str, Any]], indent: int | None, keyed: bool, ascii_only: bool, chunk: int
) -> None:
    document = {f'"{{{number}': value for number, value in enumerate(values)} if keyed else values
    content = json.dumps(document, indent=indent, ensure_ascii=ascii_only).encode()
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(json_text, "CHUNK_BYTES", chunk)
        assert _elements(content) == values


@pytest.mark.parametrize(
    ("content", "url"),
    [
        (b'[{"url": "\xff\xe2\x82"}, {"url": "u"}]', b"\xff\xe2\x82"),
        (b'\xef\xbb\xbf [{"url": "\xe9"},{"url": "u"}] ', b"\xe9"),
    ],
)
def test_bytes_that_are_no_utf8_stay_as_they_are_and_move_no_position(content: bytes, url: bytes) -> None:
    found = [*json_documents.elements(io.BytesIO(content), "l.json", json_documents.ARRAY)]
    assert found == [b'{"url": "%s"}' % url, b'{"url": "u"}']
    broken = content.replace(b'"u"}', b'"u" u}')
    with pytest.raises(SourceError, match=rf"no JSON at byte {broken.index(b'{', 10)},"):
        list(json_documents.elements(io.BytesIO(broken), "l.json", json_documents.ARRAY))


SHAPES: list[tuple[str, str]] = [
    ("", ""),
    ("  \n[", "array"),
    ('{"url": "u"}\n{"url": "v"}\n', ""),
    ('{"url": "u"}\n', "stream"),
    ('{broken\n{"url": "v"}\n', ""),
    ('["u"]\n["v"]\n', ""),
    ('{"meta": {"a": 1}, "url": "u"}\n{"url": "v"}\n', ""),  # lines, though the first value is an object
    ('{"a": {"b": ' + "[" * 100_000 + '\n{"url": "u"}\n', ""),
    ('{"1": {"url": "u"}, "2": {"url": "v"}}', "keyed"),
    ('{"1": {"url": "u"}}', "keyed"),
    ('{"1": {"link": "u"}, "2": {"link": "v"}}', "keyed"),  # a profile may name it
    ('{"1": {"url": "u"},\n "2": {"url": "v"}}\n', "keyed"),
    ('\ufeff{\n "a \\" {": {', "keyed"),
    ('{\n "url": "u",\n "tags": ["a"]\n}\n{\n "url": "v"\n}', "stream"),
    ('{\n "captions": ["a", "b"],\n "url": "u"\n}\n{\n "url": "v"\n}', "stream"),
    ('{"url": "u"}\r{"url": "v"}', "stream"),
    ('\x1e{"url": "u"}\n\x1e{"url": "v"}\n', ""),
    ('{"url": "u"},\n{"url": "v"},\n', "stream"),
    ('{"url": ["u", "v"], "caption": ["a", "b"]}', "by columns"),
    ('{"caption": ["a", "b"], "url": ["u", "v"]}', "by columns"),
    ('{"link": ["u", "v"], "n": [1, 2]}', "by columns"),
    ('{"url": {"0": "u", "1": "v"}, "n": {"0": 1, "1": 2}}', "by columns"),
    ('{"n": {"0": 1, "1": 2}, "url": {"0": "u", "1": "v"}}', "by columns"),
    ('{"columns": ["url", "n"], "index": [0, 1], "data": [["u", 1], ["v", 2]]}', "rows"),
    ('{"schema": {"fields": []}, "data": [{"url": "u"}]}', "rows"),
    ('{"version": 1, "images": [{"url": "u"}]}', "rows"),
]


@pytest.mark.parametrize(("content", "shape"), SHAPES)
def test_shapes(content: str, shape: str) -> None:
    assert json_documents.shape_of(io.BytesIO(content.encode()), "l.json") == shape


@pytest.mark.parametrize("chunk", [1, 7, 1 << 18])
@pytest.mark.parametrize(
    ("content", "rows"),
    [
        ('{"url": ["u", "v"], "caption": ["a", null]}', [{"url": "u", "caption": "a"}, {"url": "v", "caption": None}]),
        ('{"url": {"3": "u", "1": "v"}, "n": {"3": 1, "1": 2}}', [{"url": "u", "n": 1}, {"url": "v", "n": 2}]),
        ('{"columns": ["url", "n"], "index": [0, 1], "data": [["u", 1]]}', [{"url": "u", "n": 1}]),
        ('{"schema": {"fields": [{"name": "n"}]}, "data": [{"url": "u"}], "n": 1}', [{"url": "u"}]),
        ('{\n "url": "u",\n "tags": ["a"]\n}\n{\n "url": "v"\n}', [{"url": "u", "tags": ["a"]}, {"url": "v"}]),
        ('{"url": "u"}\r{"url": "v"}\r', [{"url": "u"}, {"url": "v"}]),
        ('\x1e{\n"url": "u"}\n\x1e{"url": "v"}\n', [{"url": "u"}, {"url": "v"}]),
        ('{"url": "u"},\n{"url": "v"},\n', [{"url": "u"}, {"url": "v"}]),
        ('{"url": "u"} {"url": "v"}', [{"url": "u"}, {"url": "v"}]),
    ],
)  # fmt: skip
def test_rows_of_every_shape(content: str, rows: list[dict[str, Any]], chunk: int) -> None:
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(json_text, "CHUNK_BYTES", chunk)
        assert _elements(content.encode()) == rows


@pytest.mark.parametrize(
    ("content", "words"),
    [
        ('{"url": ["u", "v"], "caption": ["a"]}', ["l.json", "by columns of different lengths", "'caption': 1"]),
        ('{"urls": ["u", "v"], "caption": "of both"}', ["l.json", "list of urls", "'caption'", "one object per url"]),
        ('{"images": [{"url": "u"}], "annotations": [{"caption": "a"}]}', ["'images'", "'annotations'", "join"]),
    ],
)
def test_shapes_that_cannot_be_read_are_named(content: str, words: list[str]) -> None:
    with pytest.raises(SourceError) as caught:
        _elements(content.encode())
    assert all(word in str(caught.value) for word in words)


def test_a_document_by_columns_that_is_too_large_is_refused(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(json_documents, "WHOLE_BYTES", 20)
    with pytest.raises(SourceError, match=r"by columns .* orient='records', lines=True"):
        _elements(b'{"url": ["u", "v"], "caption": ["a", "b"]}')


@pytest.mark.parametrize("content", [b"[]", b" [ ] \n"])
def test_nothing_in_it(content: bytes) -> None:
    assert _elements(content) == []


def test_a_document_cut_off_anywhere_is_refused() -> None:
    for document in (json.dumps([{"url": "u"}, {"url": "v"}]), json.dumps({"a": {"url": "u"}, "b": {"url": "v"}})):
        shape = json_documents.shape_of(io.BytesIO(document.encode()), "l.json")
        for kept in range(7, len(document) - 1):
            cut = document[:kept].encode()
            assert json_documents.shape_of(io.BytesIO(cut), "l.json") == shape
            with pytest.raises(SourceError, match=r"l\.json: no JSON at byte \d+, or the file is cut off"):
                _elements(cut)


@pytest.mark.parametrize("content", [b'[{"a": 1} {"a": 2}]', b"[{a: 1}]", b'[{"a": 1}] [{"a": 2}]', b"[,]", b"[1,]"])
def test_what_is_no_json_is_refused(content: bytes) -> None:
    with pytest.raises(SourceError, match=r"l\.json: no JSON at byte"):
        _elements(content)


def test_an_element_without_end_is_refused_before_it_fills_the_memory(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(json_text, "LONGEST_ELEMENT", 1000)
    monkeypatch.setattr(json_text, "CHUNK_BYTES", 100)
    handle = io.BytesIO(b'[{"a": "' + b"x" * 100_000)
    with pytest.raises(SourceError, match="byte 1"):
        list(json_documents.elements(handle, "l.json", json_documents.ARRAY))
    assert handle.tell() < 2000

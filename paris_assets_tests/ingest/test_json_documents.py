from __future__ import annotations

import io
import json
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from paris_assets.ingest import json_documents
from paris_assets.ingest.columns import SourceError

VALUES = st.dictionaries(st.text(max_size=4), st.text(max_size=6) | st.integers() | st.lists(st.none(), max_size=2))


def _elements(content: bytes) -> list[Any]:
    handle = io.BytesIO(content)
    return [json.loads(text) for text in json_documents.elements(handle, "l.json", json_documents.shape_of(handle, "l.json"))]


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
        patch.setattr(json_documents, "CHUNK_BYTES", chunk)
        assert _elements(content) == values


@pytest.mark.parametrize(
    ("content", "url"),
    [(b'[{"url": "\xff\xe2\x82"}, {"url": "u"}]', 3), (b'\xef\xbb\xbf [{"url": "\xe9"},{"url": "u"}] ', 1)],
)
def test_bytes_that_are_no_utf8_are_a_sign_each_and_move_no_position(content: bytes, url: int) -> None:
    assert _elements(content) == [{"url": url * "\ufffd"}, {"url": "u"}]
    broken = content.replace(b'"u"}', b'"u" u}')
    with pytest.raises(SourceError, match=rf"no JSON at byte {broken.index(b'{', 10)},"):
        _elements(broken)


@pytest.mark.parametrize(
    ("content", "opened"),
    [
        (b"", ""),
        (b"  \n[", "["),
        (b'{"url": "u"}\n{"url": "v"}\n', ""),
        (b'{"meta": {"a": 1}, "url": "u"}\n{"url": "v"}\n', ""),  # lines, though the first value is an object
        (b'{"a": {"b": ' + b"[" * 100_000 + b'\n{"url": "u"}\n', "{"),
        (b'{"1": {"url": "u"}, "2": {"url": "v"}}', "{"),
        (b'{"1": {"url": "u"},\n "2": {"url": "v"}}\n', "{"),
        (b'\xef\xbb\xbf{\n "a \\" {": {', "{"),
    ],
)
def test_layouts(content: bytes, opened: str) -> None:
    assert json_documents.opening(io.BytesIO(content)) == opened


@pytest.mark.parametrize("content", [b"[]", b" [ ] \n"])
def test_nothing_in_it(content: bytes) -> None:
    assert _elements(content) == []


def test_a_document_cut_off_anywhere_is_refused() -> None:
    for document in (json.dumps([{"url": "u"}, {"url": "v"}]), json.dumps({"a": {"url": "u"}, "b": {"url": "v"}})):
        for kept in range(7, len(document) - 1):
            with pytest.raises(SourceError, match=r"l\.json: no JSON at byte \d+, or the file is cut off"):
                _elements(document[:kept].encode())


@pytest.mark.parametrize("content", [b'[{"a": 1} {"a": 2}]', b"[{a: 1}]", b'[{"a": 1}] [{"a": 2}]', b"[,]", b"[1,]"])
def test_what_is_no_json_is_refused(content: bytes) -> None:
    with pytest.raises(SourceError, match=r"l\.json: no JSON at byte"):
        _elements(content)


def test_an_element_without_end_is_refused_before_it_fills_the_memory(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(json_documents, "LONGEST_ELEMENT", 1000)
    monkeypatch.setattr(json_documents, "CHUNK_BYTES", 100)
    handle = io.BytesIO(b'[{"a": "' + b"x" * 100_000)
    with pytest.raises(SourceError, match="byte 1"):
        list(json_documents.elements(handle, "l.json", "["))
    assert handle.tell() < 2000

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


def _elements(content: bytes, offset: int = 0) -> list[tuple[int, Any]]:
    handle = io.BytesIO(content)
    return list(json_documents.elements(handle, "l.json", json_documents.opening(handle), offset))


@settings(deadline=None, max_examples=60)
@given(
    st.lists(VALUES, min_size=1, max_size=5),
    st.sampled_from([None, 0, 3]),
    st.booleans(),
    st.booleans(),
    st.integers(1, 40),
)
def test_elements_are_found_whatever_they_hold_and_can_be_read_from_each_one(
    values: list[dict[str, Any]], indent: int | None, keyed: bool, ascii_only: bool, chunk: int
) -> None:
    document = {f'"{{{number}': value for number, value in enumerate(values)} if keyed else values
    content = json.dumps(document, indent=indent, ensure_ascii=ascii_only).encode()
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(json_documents, "CHUNK_BYTES", chunk)
        found = _elements(content)
        assert [value for _, value in found] == values
        for number, (start, _) in enumerate(found):
            assert _elements(content, start) == found[number:]


@pytest.mark.parametrize(
    "content", [b'[{"url": "\xff\xfe"}, {"url": "u"}]', b'\xef\xbb\xbf [{"url": "\xe9"},{"url": "u"}] ']
)
def test_positions_are_right_where_bytes_are_no_utf8(content: bytes) -> None:
    (_, first), (start, second) = _elements(content)
    assert content[start:].startswith(b'{"url": "u"}')
    assert (len(first["url"]) > 0, second) == (True, {"url": "u"})


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

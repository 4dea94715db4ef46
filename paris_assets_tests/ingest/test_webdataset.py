from __future__ import annotations

import io
import json
import tarfile

import pytest

from paris_assets.ingest import webdataset
from paris_assets.ingest.columns import SourceError
from paris_assets.ingest.fetch import Fetched


def _tar(members: list[tuple[str, bytes]], kind: int = tarfile.PAX_FORMAT) -> io.BytesIO:
    buffer = io.BytesIO()
    with tarfile.open(fileobj=buffer, mode="w", format=kind) as tar:
        for name, content in members:
            info = tarfile.TarInfo(name)
            info.size = len(content)
            tar.addfile(info, io.BytesIO(content))
    return buffer


LONG = "a/" + "n" * 150
MEMBERS = [
    ("0001.jpg", b"one"),
    ("0001.txt", "eins é".encode()),
    ("0001.json", json.dumps({"url": "http://a.example/1", "caption": "from json", "original_width": 9}).encode()),
    ("0002.json", json.dumps({"caption": "zwei"}).encode()),
    ("0002.webp", b"two"),
    (f"{LONG}.png", b"three" * 300),
    ("sub/0001.txt", b"text without image"),
    ("sub/0002.thumbnail.JPG", b"four"),
]
ROWS = [
    ("http://a.example/1", "eins é", 9, "x.tar:0001.jpg"),
    (None, "zwei", None, "x.tar:0002.webp"),
    (None, None, None, f"x.tar:{LONG}.png"),
    (None, "text without image", None, "x.tar:sub/0001"),
    (None, None, None, "x.tar:sub/0002.thumbnail.JPG"),
]
BODIES = [b"one", b"two", b"three" * 300, None, b"four"]


@pytest.mark.parametrize("kind", [tarfile.PAX_FORMAT, tarfile.GNU_FORMAT])
@pytest.mark.parametrize("size", [1, 2, 3, 5, 100])
def test_parts_read_alone_are_the_whole(kind: int, size: int) -> None:
    tar = _tar(MEMBERS, kind)
    rows, bodies = [], []
    for first, count, offset in webdataset.cut(tar, "x.tar", size):
        entry = {"file": "x.tar", "offset": offset, "rows": count, "source_row": first}
        table = webdataset.read(tar, "x.tar", entry, {})
        assert table["source_row"].to_list() == list(range(first, first + count))
        rows += table.select("url", "text", "source_width", "locator").rows()
        bodies += list(webdataset.read_images(tar, "x.tar", entry, 10_000))
    assert rows == ROWS
    assert [fetched.body for fetched in bodies] == BODIES
    assert [fetched.source_row for fetched in bodies] == list(range(5))


def test_a_sample_without_image_and_one_over_the_limit_have_reasons() -> None:
    entry = {"file": "x.tar", "offset": 0, "rows": 5, "source_row": 10}
    reasons = [fetched.reason for fetched in webdataset.read_images(_tar(MEMBERS), "x.tar", entry, 100)]
    assert reasons == [None, None, "too_large", "empty_body", None]
    first = next(webdataset.read_images(_tar(MEMBERS), "x.tar", entry, 100))
    assert first == Fetched(10, "ok", None, None, 1, b"one")


@pytest.mark.parametrize(
    ("members", "words"),
    [
        ([("1.jpg", b"a"), ("2.jpg", b"b"), ("1.txt", b"c")], ["x.tar", "'1'", "adjacent"]),
        ([("1.txt", b"a"), ("2.txt", b"b")], ["2 samples", "image"]),
    ],
)
def test_unordered_members_and_tars_without_images_are_refused(
    members: list[tuple[str, bytes]], words: list[str]
) -> None:
    with pytest.raises(SourceError) as caught:
        list(webdataset.cut(_tar(members), "x.tar", 10))
    assert all(word in str(caught.value) for word in words)


def test_a_file_that_is_no_tar_is_named() -> None:
    with pytest.raises(SourceError, match=r"x\.tar"):
        list(webdataset.cut(io.BytesIO(b"<html>" * 200), "x.tar", 10))


def test_json_that_does_not_parse_names_its_member() -> None:
    tar = _tar([("1.jpg", b"a"), ("1.json", b"{")])
    with pytest.raises(SourceError, match=r"1\.json"):
        webdataset.read(tar, "x.tar", {"file": "x.tar", "offset": 0, "rows": 1, "source_row": 0}, {})

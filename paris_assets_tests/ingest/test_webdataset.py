from __future__ import annotations

import io
import json
import tarfile

import pytest

from paris_assets.ingest import tar_members, webdataset
from paris_assets.ingest.columns import SourceError
from paris_assets.ingest.fetch import Fetched
from paris_assets.ingest.left_out import LeftOut


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
    for first, count, offset, _ in webdataset.cut(tar, "x.tar", size):
        entry = {"file": "x.tar", "offset": offset, "rows": count, "source_row": first}
        table = webdataset.read(tar, "x.tar", entry, {}, LeftOut())
        assert table["source_row"].to_list() == list(range(first, first + count))
        rows += table.select("url", "text", "source_width", "locator").rows()
        bodies += list(webdataset.read_images(tar, "x.tar", entry, 10_000))
    assert rows == ROWS
    assert [fetched.body for fetched in bodies] == BODIES
    assert [fetched.source_row for fetched in bodies] == list(range(5))


def test_a_sample_without_image_and_one_over_the_limit_have_reasons() -> None:
    entry = {"file": "x.tar", "offset": 0, "rows": 5, "source_row": 10}
    reasons = [fetched.reason for fetched in webdataset.read_images(_tar(MEMBERS), "x.tar", entry, 100)]
    assert reasons == [None, None, "too_large", "no_image", None]
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


def test_json_that_does_not_parse_gives_nulls_and_keeps_the_image() -> None:
    tar = _tar([("1.jpg", b"a"), ("1.json", b"{"), ("2.jpg", b"b"), ("2.json", b'{"url": "u"}')])
    rows = webdataset.read(tar, "x.tar", {"file": "x.tar", "offset": 0, "rows": 2, "source_row": 0}, {}, LeftOut())
    assert rows.select("url", "locator").rows() == [(None, "x.tar:1.jpg"), ("u", "x.tar:2.jpg")]


def test_a_column_that_no_sample_has_is_named() -> None:
    tar = _tar([("1.jpg", b"a"), ("1.json", b'{"n": 1}')])
    webdataset.check(tar, "x.tar", {})
    with pytest.raises(SourceError, match=r"x\.tar has no \['title'\]"):
        webdataset.check(tar, "x.tar", {"text": "title"})


def test_a_tar_with_fewer_samples_than_registered_is_named() -> None:
    entry = {"file": "x.tar", "offset": 0, "rows": 3, "source_row": 0}
    with pytest.raises(SourceError, match=r"x\.tar: 3 rows were registered at byte 0: 2"):
        webdataset.read(_tar([("1.jpg", b"a"), ("2.jpg", b"b")]), "x.tar", entry, {}, LeftOut())


@pytest.mark.parametrize("kept", [0, 100, 512, 700, 1024, 1500, 2048, 2050])
def test_a_tar_cut_off_anywhere_is_named(kept: int) -> None:
    whole = _tar([("1.jpg", b"a"), ("2.jpg", b"b")]).getvalue()
    assert [part[1] for part in webdataset.cut(io.BytesIO(whole), "x.tar", 10)] == [2]
    with pytest.raises(SourceError, match=r"x\.tar"):
        list(webdataset.cut(io.BytesIO(whole[:kept]), "x.tar", 10))


def test_a_broken_header_within_a_tar_is_named() -> None:
    content = bytearray(_tar([("1.jpg", b"a"), ("2.jpg", b"b"), ("3.jpg", b"c")]).getvalue())
    content[1024 + 150] ^= 1  # in the checksum of the second member
    with pytest.raises(SourceError, match=r"x\.tar is broken or cut off at byte 1024"):
        list(webdataset.cut(io.BytesIO(content), "x.tar", 10))


@pytest.mark.parametrize("kind", [tarfile.PAX_FORMAT, tarfile.GNU_FORMAT])
def test_a_member_whose_name_is_no_utf8_stops_nothing(kind: int) -> None:
    tar = _tar([("caf\udce9.jpg", b"a"), ("caf\udce9.txt", b"t"), ("z.jpg", b"b")], kind)
    entry = {"file": "x.tar", "offset": 0, "rows": 2, "source_row": 0}
    assert [part[1] for part in webdataset.cut(tar, "x.tar", 10)] == [2]
    rows = webdataset.read(tar, "x.tar", entry, {}, LeftOut())
    assert rows.select("text", "locator").rows() == [("t", r"x.tar:caf\xe9.jpg"), (None, "x.tar:z.jpg")]
    assert [fetched.body for fetched in webdataset.read_images(tar, "x.tar", entry, 10)] == [b"a", b"b"]


def _header(kind: bytes, size: int) -> bytes:
    info = tarfile.TarInfo("header")
    info.type, info.size = kind, size
    return info.tobuf(tarfile.GNU_FORMAT)


@pytest.mark.parametrize("size", [8 << 20, -512])
@pytest.mark.parametrize("kind", tar_members.EXTENDED)
def test_a_header_beyond_all_measure_is_refused_unread(kind: bytes, size: int) -> None:
    tar = io.BytesIO(_header(kind, size) + bytes(9 << 20))
    with pytest.raises(SourceError, match=rf"x\.tar cannot be read as a tar at byte 0: a header of {size} bytes"):
        list(webdataset.cut(tar, "x.tar", 10))
    assert tar.tell() <= 1024


def test_large_headers_for_headers_count_together() -> None:
    tar = io.BytesIO((_header(tarfile.GNUTYPE_LONGNAME, 1 << 19) + bytes(1 << 19)) * 20)
    with pytest.raises(SourceError, match=r"a header of 524288 bytes at byte 524800"):
        list(webdataset.cut(tar, "x.tar", 10))
    assert tar.tell() <= 1 << 20


def test_a_member_of_an_impossible_size_is_refused() -> None:
    with pytest.raises(SourceError, match=r"x\.tar cannot be read as a tar at byte 0"):
        list(webdataset.cut(io.BytesIO(_header(tarfile.REGTYPE, 1 << 80) + bytes(2048)), "x.tar", 10))


def test_headers_for_headers_without_end_are_refused() -> None:
    tar = io.BytesIO((_header(tarfile.GNUTYPE_LONGNAME, 1) + b"a" + bytes(511)) * 2000)
    with pytest.raises(SourceError, match=r"x\.tar cannot be read as a tar at byte 0"):
        list(webdataset.cut(tar, "x.tar", 10))

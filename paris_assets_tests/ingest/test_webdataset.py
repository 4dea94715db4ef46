from __future__ import annotations

import gzip
import io
import json
import subprocess
import tarfile
import unicodedata
from pathlib import Path

import pytest

from paris_assets.config import Source
from paris_assets.ingest.fetched import Fetched
from paris_assets.ingest.files.left_out import LeftOut
from paris_assets.ingest.lists.columns import SourceError
from paris_assets.ingest.tars import tar_members, webdataset
from paris_assets_tests.ingest.pictures import picture


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
        table = webdataset.read(tar, "x.tar", entry, Source(), LeftOut())
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
    rows = webdataset.read(
        tar, "x.tar", {"file": "x.tar", "offset": 0, "rows": 2, "source_row": 0}, Source(), LeftOut()
    )
    assert rows.select("url", "locator").rows() == [(None, "x.tar:1.jpg"), ("u", "x.tar:2.jpg")]


def test_a_column_that_no_sample_has_is_named() -> None:
    tar = _tar([("1.jpg", b"a"), ("1.json", b'{"n": 1}')])
    webdataset.check(tar, "x.tar", {})
    with pytest.raises(SourceError, match=r"x\.tar has no \['title'\]"):
        webdataset.check(tar, "x.tar", {"text": "title"})


def test_a_tar_with_fewer_samples_than_registered_is_named() -> None:
    entry = {"file": "x.tar", "offset": 0, "rows": 3, "source_row": 0}
    with pytest.raises(SourceError, match=r"x\.tar: 3 rows were registered at byte 0: 2"):
        webdataset.read(_tar([("1.jpg", b"a"), ("2.jpg", b"b")]), "x.tar", entry, Source(), LeftOut())


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
    rows = webdataset.read(tar, "x.tar", entry, Source(), LeftOut())
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


def _read(tar: io.BytesIO, size: int = 100) -> tuple[list[tuple[str, str | None]], list[bytes | None], dict[str, int]]:
    """(locator and text, image) of each row, and how many of each kind are left out, whatever the parts."""
    rows, bodies, left_out = list[tuple[str, str | None]](), list[bytes | None](), LeftOut()
    for first, count, offset, found in webdataset.cut(tar, "x.tar", size):
        entry = {"file": "x.tar", "offset": offset, "rows": count, "source_row": first}
        table = webdataset.read(tar, "x.tar", entry, Source(), left_out)
        rows += [
            (locator.removeprefix("x.tar:"), text) for locator, text in table.select("locator", "text").iter_rows()
        ]
        bodies += [fetched.body for fetched in webdataset.read_images(tar, "x.tar", entry, 10_000)]
        left_out = LeftOut.of([left_out.as_dict(), json.loads(found or "{}")])
    assert len(rows) == len(bodies)
    return rows, bodies, {kind: those["count"] for kind, those in left_out.as_dict().items()}


@pytest.mark.parametrize("size", [1, 2, 100])
def test_every_image_of_a_sample_is_a_row_with_the_text_of_its_name(size: int) -> None:
    names = [
        "photo_0.25.jpg",
        "photo_0.75.jpg",
        "photo_0.75.txt",
        "0.left.jpg",
        "0.right.jpg",
        "0.txt",
        "b.jpg",
        "b.png",
    ]
    tar = _tar([(name, name.encode()) for name in [*names, "b.json", "b.cls", "c.jpg", "c.jpg"]])
    rows, bodies, left_out = _read(tar, size)
    assert rows == [
        ("photo_0.25.jpg", None), ("photo_0.75.jpg", "photo_0.75.txt"), ("0.left.jpg", "0.txt"),
        ("0.right.jpg", "0.txt"), ("b.jpg", None), ("b.png", None), ("c.jpg", None), ("c.jpg", None),
    ]  # fmt: skip
    assert bodies == [name.encode() for name, _ in rows]
    assert left_out == {".cls files in tars": 1, "JSON files that hold no object": 2}


@pytest.mark.parametrize("size", [1, 7, 50, 1000])
def test_names_with_dots_are_many_samples_however_many_there_are(size: int) -> None:
    names = [f"www.example.com_{number:03d}.{kind}" for number in range(100) for kind in ("jpg", "txt")]
    rows, bodies, left_out = _read(_tar([(name, name.encode()) for name in names]), size)
    assert rows == list(zip(names[::2], names[1::2], strict=True))
    assert bodies == [name.encode() for name in names[::2]]
    assert not left_out


def test_samples_of_one_name_in_folders_and_with_dots_before_them() -> None:
    names = ["./a/1.jpg", "./a/1.txt", "./b/1.jpg", "./b/1.txt", "c.d/1.jpg", "c.d/1.txt"]
    rows, _, _ = _read(_tar([(name, name.encode()) for name in names]))
    assert rows == [(name.removeprefix("./"), f"{name[:-3]}txt") for name in names[::2]]


@pytest.mark.parametrize("size", [1, 2, 100])
@pytest.mark.parametrize("gap", [0, 512, 3 << 20])
def test_tars_put_together_are_read_to_the_end(size: int, gap: int) -> None:
    parts = [_tar([(f"{number}.jpg", b"%d" % number), ("same.jpg", b"s")]).getvalue() for number in range(3)]
    rows, bodies, left_out = _read(io.BytesIO(bytes(gap).join(parts)), size)
    assert [name for name, _ in rows] == ["0.jpg", "same.jpg", "1.jpg", "same.jpg", "2.jpg", "same.jpg"]
    assert bodies == [b"0", b"s", b"1", b"s", b"2", b"s"]
    assert not left_out


def test_bytes_after_the_end_that_are_no_tar_are_counted() -> None:
    rows, _, left_out = _read(io.BytesIO(_tar([("1.jpg", b"a")]).getvalue() + b"signature" * 99))
    assert len(rows) == 1
    assert left_out == {"tars with bytes after their end that are no tar": 1}


def test_links_lead_to_members_wherever_they_are() -> None:
    def link(name: str, target: str, kind: bytes = tarfile.SYMTYPE) -> tarfile.TarInfo:
        info = tarfile.TarInfo(name)
        info.type, info.linkname = kind, target
        return info

    buffer = io.BytesIO()
    with tarfile.open(fileobj=buffer, mode="w") as tar:
        tar.addfile(link("a/0.jpg", "../z.jpg"))
        for name in ("a/1.jpg", "a/1.txt"):
            info = tarfile.TarInfo(name)
            info.size = len(name)
            tar.addfile(info, io.BytesIO(name.encode()))
        tar.addfile(link("a/2.jpg", "a/1.jpg", tarfile.LNKTYPE))
        tar.addfile(link("a/2.txt", "1.txt"))
        tar.addfile(link("a/3.jpg", "2.jpg"))
        tar.addfile(link("a/4.jpg", "../../../etc/passwd"))
        tar.addfile(link("a/5.jpg", "5.jpg"))
        tar.addfile(link("folder", "a"))
        info = tarfile.TarInfo("z.jpg")
        info.size = 1
        tar.addfile(info, io.BytesIO(b"z"))
    for size in (1, 3, 100):
        rows, bodies, left_out = _read(buffer, size)
        assert rows == [
            ("a/0.jpg", None), ("a/1.jpg", "a/1.txt"), ("a/2.jpg", "a/1.txt"), ("a/3.jpg", None), ("a/4.jpg", None),
            ("a/5.jpg", None), ("z.jpg", None),
        ]  # fmt: skip
        assert bodies == [b"z", b"a/1.jpg", b"a/1.jpg", b"a/1.jpg", None, None, b"z"]
        assert left_out == {"links in tars": 1}


@pytest.mark.parametrize("form", [["--format=gnu"], ["--format=pax"], ["--format=pax", "--sparse-version=0.1"]])
def test_sparse_members_are_the_files_that_they_were(tmp_path: Path, form: list[str]) -> None:
    content = bytearray(9 << 20)
    for start in range(0, len(content), 1 << 20):  # more pieces than one header holds
        content[start : start + 4096] = bytes([1 + start % 251]) * 4096
    with (tmp_path / "1.bmp").open("wb") as file:
        for start in range(0, len(content), 4096):
            if any(content[start : start + 4096]):
                file.seek(start)
                file.write(content[start : start + 4096])
        file.truncate(len(content))
    (tmp_path / "2.bmp").write_bytes(b"after it")
    command = ["tar", "--sparse", "--hole-detection=raw", *form, "-C", str(tmp_path), "-cf", str(tmp_path / "x.tar")]
    subprocess.run([*command, "1.bmp", "2.bmp"], check=True)
    assert (tmp_path / "x.tar").stat().st_size < 1 << 20
    with (tmp_path / "x.tar").open("rb") as tar:
        ((_, rows, offset, _),) = webdataset.cut(tar, "x.tar", 10)
        entry = {"file": "x.tar", "offset": offset, "rows": rows, "source_row": 0}
        bodies = [fetched.body for fetched in webdataset.read_images(tar, "x.tar", entry, 10 << 20)]
        assert bodies == [bytes(content), b"after it"]
        refused = next(webdataset.read_images(tar, "x.tar", entry, 1 << 20))
        assert refused.reason == "too_large"


def test_members_whose_names_do_not_tell_are_looked_into() -> None:
    image = picture(1)
    tar = _tar([("a", image), ("b.jpg_large", image), ("b.txt", b"b"), ("c.heic", b"no image"), ("c.txt", b"c"),
                ("README", b"text"), ("._d.jpg", b"x"), ("__MACOSX/._d.jpg", b"x"), (".x/e.jpg", b"x")])  # fmt: skip
    rows, bodies, left_out = _read(tar)
    assert rows == [("a", None), ("b.jpg_large", "b"), ("c", "c")]
    assert bodies == [image, image, None]
    assert left_out == {
        ".heic files in tars": 1, "files of other programs in tars": 1, "files without extension in tars": 1,
        "hidden files in tars": 2,
    }  # fmt: skip


def test_members_that_are_neither_image_nor_describe_one_are_no_rows() -> None:
    names = ["README.md", "a.cls", "b.jpg", "c.tar", "d.json", "metadata.jsonl"]
    rows, _, left_out = _read(_tar([(name, b"{}") for name in names]), 1)
    assert rows == [("b.jpg", None), ("d", None)]
    assert left_out == {f".{kind} files in tars": 1 for kind in ("cls", "jsonl", "md", "tar")}


def test_every_text_of_a_sample_is_kept() -> None:
    jsons = [json.dumps({"caption": "of JSON", "alt_text": "of txt"}), json.dumps(["one", "two"]), '"three"', "{}"]
    members = [("1.jpg", "1"), ("1.txt", "of txt"), ("1.json", jsons[0]), ("2.jpg", "2"), ("2.json", jsons[1]),
               ("3.jpg", "3"), ("3.json", jsons[2]), ("4.jpg", "4"), ("4.json", jsons[3]), ("4.short.txt", "short"),
               ("4.long.txt", "long")]  # fmt: skip
    tar = _tar([(name, content.encode()) for name, content in members])
    entry = {"file": "x.tar", "offset": 0, "rows": 4, "source_row": 0}
    rows = webdataset.read(tar, "x.tar", entry, Source(), LeftOut())
    assert rows.select("text", "alt_texts").rows() == [
        ("of txt", ["of JSON"]), ("one", ["two"]), ("three", []), ("short", ["long"])
    ]  # fmt: skip
    assert _read(tar)[2] == {}


def test_names_whose_letters_are_composed_otherwise_are_one_sample() -> None:
    apart, composed = (unicodedata.normalize(form, "é") for form in ("NFD", "NFC"))
    rows, _, _ = _read(_tar([(f"{apart}.jpg", b"1"), (f"{composed}.txt", b"words")]))
    assert rows == [(f"{apart}.jpg", "words")]


def test_keys_that_look_like_texts_and_are_not_used_are_named() -> None:
    described = [{"meine_worte": "ein Hund am Strand", "error_message": "no such host", "label": "dog"}] * 2
    tar = _tar([(f"{n}.{kind}", content) for n, words in enumerate(described)
                for kind, content in (("jpg", b"1"), ("json", json.dumps(words).encode()))])  # fmt: skip
    entry = {"file": "x.tar", "offset": 0, "rows": 2, "source_row": 0}
    assert webdataset.left_out(tar, "x.tar", entry, Source()) == ["meine_worte"]
    assert webdataset.left_out(tar, "x.tar", entry, Source(columns={"text": "meine_worte"})) == []


def test_texts_in_an_encoding_that_is_named() -> None:
    tar = _tar([("1.jpg", b"1"), ("1.txt", "слово".encode("cp1251"))])
    entry = {"file": "x.tar", "offset": 0, "rows": 1, "source_row": 0}
    assert webdataset.read(tar, "x.tar", entry, Source(encoding="cp1251"), LeftOut())["text"].to_list() == ["слово"]


def test_a_tar_that_is_something_else_is_called_what_it_is() -> None:
    packed = io.BytesIO(gzip.compress(_tar([("1.jpg", b"1")]).getvalue()))
    with pytest.raises(SourceError, match=r"x\.tar cannot be read as a tar .* gzip \(\.gz\) by its content"):
        list(webdataset.cut(packed, "x.tar", 10))


def test_text_that_is_no_utf8_is_counted_and_not_guessed() -> None:
    rows, _, left_out = _read(
        _tar([("1.jpg", b"a"), ("1.txt", b"caf\xe9"), ("2.jpg", b"b"), ("2.txt", b"\xff\xfec\0")])
    )
    assert rows == [("1.jpg", None), ("2.jpg", "c")]
    assert left_out == {"captions that are no UTF-8": 1}


def test_sparse_headers_that_make_no_sense_are_refused() -> None:
    buffer = io.BytesIO()
    with tarfile.open(fileobj=buffer, mode="w", format=tarfile.PAX_FORMAT) as tar:
        info = tarfile.TarInfo("1.jpg")
        info.size = 512
        info.pax_headers = {"GNU.sparse.major": "1", "GNU.sparse.minor": "0", "GNU.sparse.realsize": "9"}
        tar.addfile(info, io.BytesIO(b"none" * 128))
    with pytest.raises(SourceError, match=r"x\.tar cannot be read as a tar"):
        list(webdataset.cut(buffer, "x.tar", 10))

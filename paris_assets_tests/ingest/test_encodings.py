"""Lists in every encoding: read right, or refused by name; never changed."""

from __future__ import annotations

import gzip
import io
from pathlib import Path

import polars as pl
import pytest

from paris_assets.config import Source
from paris_assets.ingest import known_files
from paris_assets.ingest.lists import encodings
from paris_assets.ingest.lists.columns import SourceError
from paris_assets.ingest.sources import entry_of, read_rows, register
from paris_assets.storage.location import Location

URL = "http://a.example/1.jpg"
RUSSIAN, CHINESE, JAPANESE = "красный велосипед", "红色自行车", "表示ソ能"


def _list(text: str) -> str:
    return f"url,text\r\n{URL},{text}\r\n"


def _read(path: Path, content: bytes, root: Location, encoding: str = "auto") -> list[tuple[str | None, ...]]:
    path.write_bytes(content)
    source = Source(path=str(path), encoding=encoding)
    registry = register(source, None, root)
    return read_rows(source, entry_of(registry, "00000"), root).select("url", "text", "problem").rows()


@pytest.mark.parametrize(
    "codec",
    ["utf-8", "utf-8-sig", "utf-16", "utf-16-le", "utf-16-be", "utf-32", "utf-32-le", "utf-32-be"],
)  # fmt: skip
@pytest.mark.parametrize("mark", ["", "\ufeff"])
def test_unicode_is_recognised(tmp_path: Path, root: Location, codec: str, mark: str) -> None:
    assert _read(tmp_path / "l.csv", (mark + _list(RUSSIAN)).encode(codec), root) == [(URL, RUSSIAN, None)]


@pytest.mark.parametrize("codec", ["utf-16-le", "utf-16-be"])
@pytest.mark.parametrize("text", [RUSSIAN * 200, CHINESE * 20, "สวัสดีครับ" * 90, "a" * 900])
def test_utf16_without_a_mark_is_recognised_whatever_its_script(
    tmp_path: Path, root: Location, codec: str, text: str
) -> None:
    assert _read(tmp_path / "l.csv", _list(text).encode(codec), root) == [(URL, text, None)]


@pytest.mark.parametrize("text", ["nul\0s", "\0" * 9 + " and words", "1\t2\t3\0"])
def test_nuls_alone_make_no_utf16(tmp_path: Path, root: Location, text: str) -> None:
    assert _read(tmp_path / "l.csv", _list(text).encode(), root) == [(URL, text, None)]


@pytest.mark.parametrize(
    ("content", "said"),
    [(gzip.compress(b"url\n", mtime=0), "gzip"), (b"PAR1\x15", "Parquet"), (b"PK\x03\x04\x14\0", "zip archive.*Excel")],
)
def test_what_is_no_text_is_called_what_it_is(tmp_path: Path, root: Location, content: bytes, said: str) -> None:
    with pytest.raises(SourceError, match=rf"l\.csv is no text but .*{said}.* by its content"):
        _read(tmp_path / "l.csv", content, root)


@pytest.mark.parametrize(
    ("codec", "text"),
    [("cp1251", RUSSIAN), ("gbk", CHINESE), ("gb18030", CHINESE), ("shift_jis", JAPANESE), ("latin-1", "café")],
)
def test_another_encoding_is_asked_for_with_its_readings_and_read_once_it_is_named(
    tmp_path: Path, root: Location, codec: str, text: str
) -> None:
    content = _list(text).encode(codec)
    with pytest.raises(SourceError) as caught:
        _read(tmp_path / "l.csv", content, root)
    assert all(word in str(caught.value) for word in ("l.csv", "line 2", "source.encoding", text))
    assert _read(tmp_path / "l.csv", content, root, codec) == [(URL, text, None)]


def test_a_bad_row_of_a_utf8_list_fails_alone(tmp_path: Path, root: Location) -> None:
    content = _list("café").encode() + f"{URL},caf\xe9\r\n".encode("latin-1")
    expected = [(URL, "café", None), (None, None, "unreadable_row")]
    assert _read(tmp_path / "l.csv", content, root) == expected


def test_bytes_that_the_named_encoding_does_not_know_spoil_their_row_only(tmp_path: Path, root: Location) -> None:
    lines = [_list("a b").encode(), f"{URL},".encode(), b"\x98\r\n", f"{URL},{RUSSIAN}".encode("cp1251")]
    rows = _read(tmp_path / "l.csv", b"".join(lines), root, "cp1251")
    assert rows == [(URL, "a b", None), (None, None, "unreadable_row"), (URL, RUSSIAN, None)]


def test_a_mark_goes_before_the_name(tmp_path: Path, root: Location) -> None:
    content = _list(RUSSIAN).encode("utf-16")
    assert _read(tmp_path / "l.csv", content, root, "cp1251") == [(URL, RUSSIAN, None)]


def test_a_list_whose_first_mib_does_not_tell_is_refused_at_its_end(
    tmp_path: Path, root: Location, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(encodings, "HEAD_BYTES", 64)
    rows = "".join(f"{URL},plain\n" for _ in range(9)) + "".join(f"{URL},{RUSSIAN}\n" for _ in range(9))
    with pytest.raises(SourceError, match=r"l\.csv is no UTF-8 \(row 10 is not; .*красный"):
        _read(tmp_path / "l.csv", f"url,text\n{rows}".encode("cp1251"), root)


def test_another_name_reads_a_registered_list_anew(tmp_path: Path, root: Location) -> None:
    path = tmp_path / "l.csv"
    path.write_bytes(_list("červené").encode("cp1250"))
    before = register(Source(path=str(path), encoding="cp1252"), None, root)
    after = Source(path=str(path), encoding="cp1250")
    registry = register(after, before, root)
    assert registry["list"][0] != before["list"][0]
    assert read_rows(after, entry_of(registry, "00000"), root)["text"].to_list() == ["červené"]
    assert register(after, registry, root).equals(registry)
    assert known_files.readings(root, registry, before) == ["l.csv: read as cp1250"]
    assert known_files.readings(root, registry, registry) == []


def test_texts_that_parquet_stores_as_bytes(tmp_path: Path, root: Location) -> None:
    texts = [RUSSIAN.encode("cp1251"), b"\x98", None]
    pl.DataFrame({"url": [URL] * 3, "text": texts}).write_parquet(tmp_path / "l.parquet")
    source = Source(path=str(tmp_path), encoding="cp1251")
    rows = read_rows(source, entry_of(register(source, None, root), "00000"), root)
    assert rows.select("text", "problem").rows() == [(RUSSIAN, None), (None, "unreadable_row"), (None, None)]


def test_an_unknown_encoding_is_refused_with_the_profile() -> None:
    for name in ("klingon", "base64"):
        with pytest.raises(ValueError, match=f"'{name}' is no encoding of text"):
            Source(encoding=name)


def test_a_list_that_is_decoded_on_its_way_goes_to_its_start_only() -> None:
    text = encodings.as_utf8(io.BytesIO("aé\nb".encode("utf-16")), "utf-16")
    assert (text.readline(), text.read()) == ("aé\n".encode(), b"b")
    text.seek(0)
    assert text.read() == "aé\nb".encode()

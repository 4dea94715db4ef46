from __future__ import annotations

import gzip
import io
import json
import lzma
import os
import shutil
import tarfile
import zlib
from pathlib import Path
from typing import Any

import fsspec
import polars as pl
import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from paris_assets.config import Ingest, Source
from paris_assets.ingest.lists.columns import SourceError
from paris_assets.ingest.schema import SOURCE_ROWS
from paris_assets.ingest.sources import entry_of, images_of, read_rows, register
from paris_assets.storage.location import Location
from paris_assets_tests.ingest.pictures import picture

URLS = [f"http://photos.example/{number}.jpg" for number in range(7)]
TEXTS = [f"photo, number {number}" for number in range(7)]


def _write(path: Path, rows: slice = slice(0, 7)) -> None:
    """The list in the format that the name says."""
    path.parent.mkdir(parents=True, exist_ok=True)
    table = pl.DataFrame({"URL": URLS[rows], "TEXT": TEXTS[rows]})
    name = path.name.removesuffix(".gz")
    if name.endswith("parquet"):
        table.write_parquet(path, row_group_size=2)
        return
    content = {
        "csv": lambda: table.write_csv().encode(),
        "tsv": lambda: table.write_csv(separator="\t", include_header=False, quote_style="never").encode(),
        "jsonl": lambda: table.write_ndjson().encode(),
    }[name.rpartition(".")[2]]()
    path.write_bytes(gzip.compress(content) if path.suffix == ".gz" else content)


def _read_all(source: Source, registry: pl.DataFrame, root: Location) -> pl.DataFrame:
    return pl.concat([read_rows(source, entry_of(registry, shard), root) for shard in registry["shard"]])


def _bodies(source: Source, registry: pl.DataFrame, root: Location, **settings: Any) -> dict[int, bytes | None]:
    bodies = {}
    for shard in registry["shard"]:
        entry = entry_of(registry, shard)
        for fetched in images_of(source, entry, read_rows(source, entry, root), Ingest(**settings)):
            bodies[fetched.source_row] = fetched.body
    return bodies


@pytest.mark.parametrize("name", ["l.parquet", "l.csv", "l.tsv", "l.jsonl", "l.csv.gz", "l.tsv.gz", "l.jsonl.gz"])
@pytest.mark.parametrize("form", ["file", "glob", "folder"])
def test_every_table_gives_the_same_rows(tmp_path: Path, root: Location, name: str, form: str) -> None:
    _write(tmp_path / name)
    path = {"file": tmp_path / name, "glob": tmp_path / "l.*", "folder": tmp_path}[form]
    source = Source(path=str(path), rows_per_shard=3)
    registry = register(source, None, root)
    assert registry.select("shard", "first_row", "rows", "source_row").rows() == [
        ("00000", 0, 3, 0),
        ("00001", 3, 3, 3),
        ("00002", 6, 1, 6),
    ]
    assert registry["file"].unique().to_list() == [name]
    rows = _read_all(source, registry, root)
    assert dict(rows.schema) == dict(SOURCE_ROWS.polars())
    assert rows["source_row"].to_list() == list(range(7))
    assert (rows["url"].to_list(), rows["text"].to_list()) == (URLS, TEXTS)
    assert rows["locator"].null_count() == 7


@pytest.mark.parametrize("name", ["l.parquet", "l.csv", "l.jsonl.gz"])
def test_sources_behind_a_url(tmp_path: Path, root: Location, name: str) -> None:
    _write(tmp_path / name)
    memory = fsspec.filesystem("memory")
    memory.pipe_file(f"/{tmp_path.name}/{name}", (tmp_path / name).read_bytes())
    for path in (name, "*", ""):
        source = Source(path=f"memory://{tmp_path.name}/{path}", rows_per_shard=4)
        assert _read_all(source, register(source, None, root), root)["url"].to_list() == URLS


@pytest.mark.parametrize("name", ["l.parquet", "l.csv", "l.tsv.gz", "l.jsonl"])
def test_sources_on_s3(s3_url: str, tmp_path: Path, root: Location, name: str) -> None:
    _write(tmp_path / name)
    content = (tmp_path / name).read_bytes()
    place = f"{s3_url}/{tmp_path.name}"
    fs, _ = fsspec.core.url_to_fs(place)
    fs.pipe_file(f"{place}/{name}", content)
    sources = [Source(path=path, rows_per_shard=3) for path in (place, f"{place}/*", f"{place}/{name}")]
    known = [register(source, None, root) for source in sources]
    assert known[0].equals(known[1])
    assert known[0].equals(known[2])
    assert known[0]["size_bytes"].to_list() == [len(content)] * 3
    assert _read_all(sources[0], known[0], root)["url"].to_list() == URLS
    fs.pipe_file(f"{place}/a{name}", content)
    assert register(sources[0], known[0], root)["file"].to_list() == [name] * 3 + [f"a{name}"] * 3
    fs.rm(f"{place}/{name}")
    with pytest.raises(SourceError, match=rf"{name} was registered and is gone"):
        register(sources[0], known[0], root)


def test_a_file_whose_name_looks_like_a_pattern_is_a_file(tmp_path: Path, root: Location) -> None:
    _write(tmp_path / "list[1].csv")
    source = Source(path=str(tmp_path / "list[1].csv"))
    assert _read_all(source, register(source, None, root), root)["url"].to_list() == URLS


def test_a_table_without_usable_columns_fails_at_registration(tmp_path: Path, root: Location) -> None:
    (tmp_path / "l.csv").write_text("link,alt\nu,a\n")
    with pytest.raises(SourceError, match=r"l\.csv has columns \['link', 'alt'\]"):
        register(Source(path=str(tmp_path)), None, root)
    assert register(Source(path=str(tmp_path), columns={"url": "link"}), None, root).height == 1


def test_shards_do_not_cross_files_and_rows_count_on(tmp_path: Path, root: Location) -> None:
    _write(tmp_path / "a" / "x.jsonl", slice(0, 3))
    _write(tmp_path / "b" / "x.parquet", slice(3, 7))
    source = Source(path=str(tmp_path), rows_per_shard=2)
    registry = register(source, None, root)
    assert registry.select("file", "first_row", "rows", "source_row").rows() == [
        ("a/x.jsonl", 0, 2, 0),
        ("a/x.jsonl", 2, 1, 2),
        ("b/x.parquet", 0, 2, 3),
        ("b/x.parquet", 2, 2, 5),
    ]
    assert _read_all(source, registry, root)["url"].to_list() == URLS


def test_a_growing_source_keeps_its_rows(tmp_path: Path, root: Location) -> None:
    _write(tmp_path / "b.parquet", slice(0, 3))
    source = Source(path=str(tmp_path / "*.parquet"), rows_per_shard=2)
    known = register(source, None, root)
    assert register(source, known, root).equals(known)
    _write(tmp_path / "a.parquet", slice(3, 7))  # sorts before the known file, comes after it
    grown = register(source.model_copy(update={"rows_per_shard": 100}), known, root)
    assert grown.head(known.height).equals(known)
    assert grown.tail(1).select("shard", "file", "rows", "source_row").rows() == [("00002", "a.parquet", 4, 3)]
    assert _read_all(source, grown, root)["url"].to_list() == URLS


@pytest.mark.parametrize("name", ["l.parquet", "l.csv", "l.jsonl.gz"])
def test_known_files_must_stay_as_they_were(tmp_path: Path, root: Location, name: str) -> None:
    _write(tmp_path / name, slice(0, 5))
    _write(tmp_path / f"z{name}", slice(5, 7))
    source = Source(path=str(tmp_path), rows_per_shard=3)
    known = register(source, None, root)
    _write(tmp_path / name)
    with pytest.raises(SourceError, match=rf"{name} had .*add new rows as new files"):
        register(source, known, root)
    (tmp_path / name).unlink()
    with pytest.raises(SourceError, match=rf"{name} was registered and is gone"):
        register(source, known, root)


def test_a_parquet_file_written_anew_with_as_many_rows_is_accepted(tmp_path: Path, root: Location) -> None:
    _write(tmp_path / "l.parquet")
    source = Source(path=str(tmp_path / "l.parquet"), rows_per_shard=3)
    known = register(source, None, root)
    pl.read_parquet(tmp_path / "l.parquet").write_parquet(tmp_path / "l.parquet", compression="uncompressed")
    again = register(source, known, root)
    assert again.drop("identity", "size_bytes").equals(known.drop("identity", "size_bytes"))
    assert again["identity"][0] not in set(known["identity"])
    assert register(source, again, root).equals(again)


def test_a_folder_of_images_with_metadata_grows(tmp_path: Path, root: Location) -> None:
    for number in (1, 2, 4):
        (tmp_path / f"{number}.png").write_bytes(picture(number, kind="PNG"))
    (tmp_path / "sub").mkdir()
    (tmp_path / "sub" / "3.JPG").write_bytes(picture(3))
    (tmp_path / "notes.txt").write_text("no image")
    (tmp_path / ".hidden.jpg").write_bytes(b"")
    described = [
        {"file": "2.png", "text": "two", "width": 5},
        {"file_name": "sub/3.JPG", "text": "three"},
        {"file": "absent.png"},
    ]
    (tmp_path / "metadata.jsonl").write_text("\n".join(map(json.dumps, described)))
    source = Source(path=str(tmp_path), rows_per_shard=3)
    known = register(source, None, root)
    assert known["members"].to_list() == [["1.png", "2.png", "4.png"], ["sub/3.JPG"]]
    rows = _read_all(source, known, root)
    assert rows["locator"].to_list() == ["1.png", "2.png", "4.png", "sub/3.JPG"]
    assert rows["text"].to_list() == [None, "two", None, "three"]
    assert rows["source_width"].to_list() == [None, 5, None, None]
    expected = {0: picture(1, kind="PNG"), 1: picture(2, kind="PNG"), 2: picture(4, kind="PNG"), 3: picture(3)}
    assert _bodies(source, known, root) == expected
    (tmp_path / "0.png").write_bytes(picture(0, kind="PNG"))
    grown = register(source, known, root)
    assert grown.head(2).drop("beside").equals(known.drop("beside"))  # which counts images without an entry
    assert grown.tail(1).select("shard", "first_row", "source_row", "members").rows() == [("00002", 4, 4, ["0.png"])]
    (tmp_path / "2.png").unlink()
    with pytest.raises(SourceError, match=r"2\.png"):
        register(source, grown, root)


def test_large_and_empty_files_of_a_folder_have_reasons(tmp_path: Path, root: Location) -> None:
    (tmp_path / "1.jpg").write_bytes(b"")
    (tmp_path / "2.jpg").write_bytes(b"x" * 101)
    (tmp_path / "3.jpg").write_bytes(b"x" * 100)
    source = Source(path=str(tmp_path))
    entry = entry_of(register(source, None, root), "00000")
    results = list(images_of(source, entry, read_rows(source, entry, root), Ingest(max_bytes=100)))
    assert [(fetched.status, fetched.reason) for fetched in results] == [
        ("failed", "empty_body"),
        ("failed", "too_large"),
        ("ok", None),
    ]


def test_tars(tmp_path: Path, root: Location) -> None:
    for name, numbers in (("a.tar", (1, 2, 3)), ("b.tar", (4,))):
        with tarfile.open(tmp_path / name, "w") as tar:
            for number in numbers:
                (tmp_path / "image").write_bytes(picture(number))
                (tmp_path / "text").write_text(f"text {number}")
                tar.add(tmp_path / "image", f"{number}.jpg")
                tar.add(tmp_path / "text", f"{number}.txt")
    source = Source(path=str(tmp_path / "*.tar"), rows_per_shard=2)
    registry = register(source, None, root)
    assert registry.select("file", "rows", "source_row").rows() == [("a.tar", 2, 0), ("a.tar", 1, 2), ("b.tar", 1, 3)]
    rows = _read_all(source, registry, root)
    assert rows["text"].to_list() == [f"text {number}" for number in (1, 2, 3, 4)]
    assert rows["locator"].to_list() == ["a.tar:1.jpg", "a.tar:2.jpg", "a.tar:3.jpg", "b.tar:4.jpg"]
    assert _bodies(source, registry, root) == {row: picture(row + 1) for row in range(4)}


@pytest.mark.parametrize("form", ["bytes", "struct", "named"])
def test_tables_with_embedded_images(tmp_path: Path, root: Location, form: str) -> None:
    images = [picture(number) for number in range(5)]
    images[3] = b""
    cells = [{"bytes": image, "path": "x.jpg"} for image in images] if form == "struct" else images
    name = {"bytes": "jpg", "struct": "image", "named": "pixels"}[form]
    table = pa.table({name: cells, "caption": [f"text {number}" for number in range(5)]})
    pq.write_table(table, tmp_path / "l.parquet", row_group_size=3)
    columns = {"image": "pixels"} if form == "named" else {}
    source = Source(path=str(tmp_path / "l.parquet"), rows_per_shard=2, columns=columns)
    registry = register(source, None, root)
    rows = _read_all(source, registry, root)
    assert rows["text"].to_list() == [f"text {number}" for number in range(5)]
    assert rows["url"].null_count() == 5
    assert rows["locator"].to_list() == [f"l.parquet#{number}" for number in range(5)]
    assert _bodies(source, registry, root) == {row: image or None for row, image in enumerate(images)}


def test_embedded_images_without_any_other_column(tmp_path: Path, root: Location) -> None:
    pq.write_table(pa.table({"image": [picture(1), picture(2)]}), tmp_path / "l.parquet")
    source = Source(path=str(tmp_path / "l.parquet"))
    registry = register(source, None, root)
    assert _read_all(source, registry, root)["locator"].to_list() == ["l.parquet#0", "l.parquet#1"]
    assert _bodies(source, registry, root) == {0: picture(1), 1: picture(2)}


def test_a_source_moved_elsewhere_registers_alike(tmp_path: Path, root: Location) -> None:
    _write(tmp_path / "one" / "l.csv")
    shutil.copytree(tmp_path / "one", tmp_path / "two")
    first, second = (
        register(Source(path=str(tmp_path / name), rows_per_shard=3), None, root) for name in ("one", "two")
    )
    assert first.equals(second)


def test_mixed_and_empty_sources_are_refused(tmp_path: Path, root: Location) -> None:
    with pytest.raises(SourceError, match="no source at"):
        register(Source(path=str(tmp_path / "absent.parquet")), None, root)
    (tmp_path / "notes.txt").write_text("nothing")
    with pytest.raises(SourceError, match="no source at"):
        register(Source(path=str(tmp_path)), None, root)
    (tmp_path / "a.jpg").write_bytes(picture(1))
    (tmp_path / "l.csv").write_text("url\n")
    with pytest.raises(SourceError, match=r"more than one kind.*subfolder or a glob"):
        register(Source(path=str(tmp_path)), None, root)
    with pytest.raises(SourceError, match=r"has no rows, only l\.csv"):
        register(Source(path=str(tmp_path / "l.csv")), None, root)


def test_an_unknown_shard_is_named(tmp_path: Path, root: Location) -> None:
    _write(tmp_path / "l.csv")
    with pytest.raises(SourceError, match="00009"):
        entry_of(register(Source(path=str(tmp_path)), None, root), "00009")


def _parquet(columns: dict[str, Any], **options: Any) -> bytes:
    buffer = io.BytesIO()
    pq.write_table(pa.table(columns), buffer, **options)
    return buffer.getvalue()


def _tar(*names: str) -> bytes:
    buffer = io.BytesIO()
    with tarfile.open(fileobj=buffer, mode="w") as tar:
        for name in names:
            tar.addfile(tarfile.TarInfo(name))
    return buffer.getvalue()


@pytest.mark.parametrize(
    ("name", "content"),
    [
        ("l.parquet", _parquet({"link": ["u"], "n": [1]})),
        ("l.parquet", _parquet({"link": pa.array([], pa.string()), "n": pa.array([], pa.int8())})),
        ("l.csv", b"link,n\nu,1\n"),
        ("l.tsv", b"link\tn\nu\t1\n"),
        ("l.jsonl", b'{"link": "u"}\n{"n": 1}\n'),
        ("l.json", b'[{"link": "u"}, {"n": 1}]'),
        ("l.json", b'{"a": {"link": "u"}, "b": {"n": 1}}'),
        ("l.csv.gz", gzip.compress(b"link,n\nu,1\n", mtime=0)),
    ],
)
def test_a_table_without_usable_columns_names_those_it_has_and_those_it_needs(
    tmp_path: Path, root: Location, name: str, content: bytes
) -> None:
    (tmp_path / "a.csv").write_text(f"url\n{URLS[0]}\n")  # one good file does not make up for it
    (tmp_path / name).write_bytes(content)
    with pytest.raises(SourceError) as caught:
        register(Source(path=str(tmp_path)) if name != "l.json" else Source(path=str(tmp_path / name)), None, root)
    for words in (name, "['link', 'n']", "URL, url, image_url", "image, jpg, bytes", "source.columns={url: link}"):
        assert words in str(caught.value)
    with pytest.raises(SourceError, match="no_such"):
        register(Source(path=str(tmp_path / name), columns={"url": "no_such"}), None, root)


EMPTY = {
    "l.parquet": _parquet({"url": pa.array([], pa.string())}),
    "l.csv": b"url,text\n",
    "l.tsv": b"url\ttext\n",
    "nothing.csv": b"",
    "blank.tsv": b"\n \n",
    "nothing.jsonl": b"",
    "nothing.json": b"",
    "l.json": b"[]",
    "nothing.jsonl.gz": b"",
    "l.csv.gz": gzip.compress(b"url\n", mtime=0),
    "l.jsonl.gz": gzip.compress(b"", mtime=0),
    "l.tar": _tar(),
    "folders.tar": _tar("README"),
}


@pytest.mark.parametrize("name", EMPTY)
def test_a_source_without_rows_is_refused(tmp_path: Path, root: Location, name: str) -> None:
    (tmp_path / name).write_bytes(EMPTY[name])
    with pytest.raises(SourceError, match=rf"{name}.* has no rows, only {name}$"):
        register(Source(path=str(tmp_path / name)), None, root)


def test_no_file_and_an_empty_folder_are_refused(tmp_path: Path, root: Location) -> None:
    for path in (tmp_path, tmp_path / "absent", tmp_path / "*.parquet", tmp_path / "absent" / "*.tar"):
        with pytest.raises(SourceError, match=r"no source at .*expected tables"):
            register(Source(path=str(path)), None, root)


WHOLE_CSV = b"url,text\n" + b"".join(b"http://a.example/%d,%d\n" % (row, row**5) for row in range(3000))


def _flipped(content: bytes, position: int) -> bytes:
    changed = bytearray(content)
    changed[position] ^= 255
    return bytes(changed)


BROKEN = {
    "nothing.parquet": b"",
    "page.parquet": b"<html>" * 100,
    "cut.parquet": _parquet({"url": URLS})[:-20],
    "start.parquet": _parquet({"url": URLS})[:4],
    "cut.csv.gz": gzip.compress(WHOLE_CSV, mtime=0)[:-2000],
    "trailer.csv.gz": gzip.compress(WHOLE_CSV, mtime=0)[:-3],
    "sum.csv.gz": _flipped(gzip.compress(WHOLE_CSV, mtime=0), -6),
    "flip.csv.gz": _flipped(gzip.compress(WHOLE_CSV, mtime=0), 3000),
    "plain.csv.gz": WHOLE_CSV,
    "cut.csv.xz": lzma.compress(WHOLE_CSV)[:-100],
    "page.csv.bz2": b"<html>" * 100,
    "l.csv.zst": b"\x28\xb5\x2f\xfd",
    "cut.json": json.dumps([{"url": url} for url in URLS]).encode()[:-3],
    "nothing.tar": b"",
    "page.tar": b"<html>" * 200,
    "cut.tar": _tar("1.jpg", "2.jpg")[:1024],
}


@pytest.mark.parametrize("name", BROKEN)
def test_a_broken_file_is_named_at_registration(tmp_path: Path, root: Location, name: str) -> None:
    (tmp_path / name).write_bytes(BROKEN[name])
    with pytest.raises(SourceError, match=rf"{name}\b"):
        register(Source(path=str(tmp_path), rows_per_shard=100), None, root)


def test_parquet_pages_that_broke_after_registration_are_named(tmp_path: Path, root: Location) -> None:
    path, image = tmp_path / "l.parquet", picture(1)
    content = _parquet({"url": URLS, "image": [image] * 7}, use_dictionary=False)
    path.write_bytes(content)
    source = Source(path=str(path))
    entry = entry_of(register(source, None, root), "00000")
    read, refused = 0, []
    for position in range(4, len(content) - 1200, 40):  # not every byte matters, but none may crash or lose a row
        path.write_bytes(_flipped(content, position))
        try:
            rows = read_rows(source, entry, root)
            read += rows.height == len(list(images_of(source, entry, rows, Ingest()))) == 7
        except SourceError as error:
            refused.append(str(error))
    assert read + len(refused) == len(range(4, len(content) - 1200, 40))
    assert all("l.parquet is broken or cut off" in message for message in refused)
    path.write_bytes(_flipped(content, 4))
    with pytest.raises(SourceError, match=r"l\.parquet is broken or cut off"):
        read_rows(source, entry, root)


class _Unpacker:
    """Counts what gzip unpacks."""

    unpacked = 0

    def __init__(self, *args: Any, **options: Any) -> None:
        self._inner = UNPACK(*args, **options)

    def decompress(self, *args: Any) -> bytes:
        content = self._inner.decompress(*args)
        _Unpacker.unpacked += len(content)
        return content

    def __getattr__(self, name: str) -> Any:
        return getattr(self._inner, name)


UNPACK = zlib.decompressobj


@pytest.mark.parametrize("kind", ["csv", "tsv", "jsonl", "json"])
def test_a_compressed_list_is_unpacked_once_and_its_shards_need_it_no_more(
    tmp_path: Path, root: Location, monkeypatch: pytest.MonkeyPatch, kind: str
) -> None:
    long, path = "x" * 20_000, tmp_path / f"l.{kind}.gz"
    line = '{{"url": "u{}", "text": "{}"}}\n'
    row = {"csv": "u{},{}\n", "tsv": "u{}\t{}\n", "jsonl": line, "json": line}[kind]
    header = {"csv": "url,text\n", "tsv": "url\ttext\n", "jsonl": "", "json": "["}[kind]
    content = (header + "".join(row.format(number, long) for number in range(600))).encode()
    if kind == "json":
        content = content.replace(b"}\n{", b"},\n{") + b"]"
    path.write_bytes(gzip.compress(content, 1))
    source = Source(path=str(tmp_path), rows_per_shard=100)
    monkeypatch.setattr(zlib, "decompressobj", _Unpacker)
    monkeypatch.setattr(_Unpacker, "unpacked", 0)
    registry = register(source, None, root)
    assert len(content) <= _Unpacker.unpacked < 1.5 * len(content)  # the first rows are looked at before
    once = _Unpacker.unpacked
    assert register(source, registry, root).equals(registry)
    path.unlink()
    for shard in (5, 0, 3, 2, 4, 4, 1):
        rows = read_rows(source, entry_of(registry, f"{shard:05d}"), root)
        assert rows["url"].to_list() == [f"u{number}" for number in range(100 * shard, 100 * shard + 100)]
        assert set(rows["text"]) == {long}
    assert _Unpacker.unpacked == once


@pytest.mark.parametrize("name", ["l.parquet"])
def test_rows_that_are_gone_since_registration_are_named(tmp_path: Path, root: Location, name: str) -> None:
    _write(tmp_path / name)
    source = Source(path=str(tmp_path), rows_per_shard=4)
    entry = entry_of(register(source, None, root), "00001")
    _write(tmp_path / name, slice(0, 5))
    with pytest.raises(SourceError, match=rf"{name}: .*were registered"):
        read_rows(source, entry, root)


def test_a_row_that_cannot_be_read_is_a_reject_with_a_reason(tmp_path: Path, root: Location) -> None:
    lines = ['{"url": "ftp://a.example/1.jpg"}', "no JSON", '{"text": "no url"}', '{"url": " "}']
    (tmp_path / "l.jsonl").write_text("\n".join(lines))
    source = Source(path=str(tmp_path), rows_per_shard=1)
    registry = register(source, None, root)
    found = []
    for shard in registry["shard"]:
        entry = entry_of(registry, shard)
        results = list(images_of(source, entry, read_rows(source, entry, root), Ingest()))
        found += [(fetched.status, fetched.reason, fetched.attempts) for fetched in results]
    reasons = [("bad_scheme", 1), ("unreadable_row", 0), ("no_url", 0), ("no_url", 0)]
    assert found == [("failed", *reason) for reason in reasons]


@pytest.mark.parametrize("kind", ["tar", "png", "json"])
def test_what_sorts_first_and_comes_last_renumbers_nothing(tmp_path: Path, root: Location, kind: str) -> None:
    contents = {"tar": _tar("1.jpg", "2.jpg", "3.jpg"), "png": picture(1, kind="PNG"), "json": b'[{"url": "u"}]'}
    source = Source(path=str(tmp_path), rows_per_shard=2)
    known = None
    for name in ("m", "z", "a"):
        (tmp_path / f"{name}.{kind}").write_bytes(contents[kind])
        grown = register(source, known, root)
        again = register(source, grown, root)
        assert grown.equals(again)
        if known is not None:
            assert grown.head(known.height).equals(known)
            assert grown.height > known.height
        known = grown
    assert known is not None
    assert known["shard"].to_list() == [f"{number:05d}" for number in range(known.height)]
    assert known["source_row"].to_list() == [0, *known["rows"].cum_sum().to_list()[:-1]]
    assert [
        name[0] for name in (known["members"].explode() if kind == "png" else known["file"]).unique(maintain_order=True)
    ] == ["m", "z", "a"]


def test_a_file_that_was_empty_may_be_filled_later(tmp_path: Path, root: Location) -> None:
    _write(tmp_path / "a.csv")
    (tmp_path / "b.csv").write_text("URL,TEXT\n")
    source = Source(path=str(tmp_path))
    known = register(source, None, root)
    assert known["file"].to_list() == ["a.csv"]
    _write(tmp_path / "b.csv", slice(0, 2))
    assert register(source, known, root)["file"].to_list() == ["a.csv", "b.csv"]


def test_many_files_are_listed_once_and_stay_fast(tmp_path: Path, root: Location) -> None:
    memory = fsspec.filesystem("memory")
    base = f"/{tmp_path.name}"
    for number in range(300):
        memory.pipe_file(f"{base}/{number}.csv", b"url\nu\n")
    source = Source(path=f"memory:/{base}")
    known = register(source, None, root)
    memory.pipe_file(f"{base}/new.csv", b"url\nv\n")
    asked: list[str] = []
    with pytest.MonkeyPatch.context() as patch:
        for name in ("size", "exists", "open"):
            whole = getattr(type(memory), name)
            patch.setattr(
                type(memory),
                name,
                lambda self, path, *a, _w=whole, **k: (asked.append(path), _w(self, path, *a, **k))[1],
            )
        grown = register(source, known, root)
    assert (known.height, grown.height) == (300, 301)
    assert set(asked) == {f"{base}/new.csv"}  # a known file costs no request of its own


def test_a_file_whose_name_is_no_utf8_is_named(tmp_path: Path, root: Location) -> None:
    _write(tmp_path / "a.csv")
    name = os.fsdecode(b"caf\xe9.csv")
    (tmp_path / name.replace("csv", "txt")).write_bytes(b"no source")
    assert register(Source(path=str(tmp_path)), None, root).height == 1
    (tmp_path / "a.csv").rename(tmp_path / name)
    with pytest.raises(SourceError, match=r"/caf\\udce9\.csv': the name is no UTF-8: rename the file"):
        register(Source(path=str(tmp_path)), None, root)

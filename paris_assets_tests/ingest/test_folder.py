"""Folders of images, and what describes them."""

from __future__ import annotations

import gzip
import json
import unicodedata
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import polars as pl
import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from paris_assets.config import Ingest, Source
from paris_assets.ingest.beside import bare_of, left_out_of
from paris_assets.ingest.files.folder import BARE
from paris_assets.ingest.files.image_names import Names
from paris_assets.ingest.files.left_out import LeftOut
from paris_assets.ingest.lists.columns import SourceError
from paris_assets.ingest.registered import RegisteredSource
from paris_assets.ingest.sources import entry_of, images_of, read_rows, register
from paris_assets.storage.location import Location
from paris_assets_tests.ingest.pictures import picture

A, B = picture(1), picture(2)


def write(base: Path, files: Mapping[str, bytes | str]) -> None:
    for name, content in files.items():
        (base / name).parent.mkdir(parents=True, exist_ok=True)
        (base / name).write_bytes(content if isinstance(content, bytes) else content.encode())


def rows_of(base: Path, root: Location, unread: LeftOut | None = None, **settings: Any) -> pl.DataFrame:
    """The rows of a folder, after checking that its images can be read."""
    source = Source(path=str(base), **settings)
    registry = register(source, None, root)
    found = []
    for shard in registry["shard"]:
        entry = entry_of(registry, shard)
        found.append(read_rows(source, entry, root, unread))
        bodies = [fetched.body for fetched in images_of(source, entry, found[-1], Ingest())]
        assert bodies == [(base / name).read_bytes() for name in found[-1]["locator"]]
    return pl.concat(found)


def texts_of(base: Path, root: Location, **settings: Any) -> dict[str, str | None]:
    return dict(rows_of(base, root, **settings).select("locator", "text").iter_rows())


def left_out(base: Path, root: Location) -> dict[str, tuple[int, list[str]]]:
    found = left_out_of(register(Source(path=str(base)), None, root)).as_dict()
    return {kind: (those["count"], those["names"]) for kind, those in found.items()}


BROKEN_LINES = [
    "{",
    "[]",
    '{"text": "no file"}',
    "7",
    '{"file": [[]]}',
    '{"file": {"bytes": 1}}',
    '{"file": true}',
    '{"file_name": null}',
    '{"file": "a.jpg", "text": ' + "[" * 100_000,
]


@pytest.mark.parametrize("line", BROKEN_LINES)
def test_a_broken_entry_of_the_metadata_is_counted_and_costs_no_other(
    tmp_path: Path, root: Location, line: str
) -> None:
    lines = ['{"file": "a.jpg", "text": "words"}', "", line, '{"file": "b.jpg", "text": "more"}']
    write(tmp_path, {"a.jpg": picture(1), "b.jpg": picture(2), "metadata.jsonl": "\n".join(lines)})
    assert texts_of(tmp_path, root) == {"a.jpg": "words", "b.jpg": "more"}
    assert left_out(tmp_path, root) == {"entries of metadata.jsonl that cannot be read": (1, ["entry 2"])}


@pytest.mark.parametrize("line", [line for line in BROKEN_LINES if line != "[]"])
def test_metadata_without_an_entry_that_can_be_read_is_refused(tmp_path: Path, root: Location, line: str) -> None:
    write(tmp_path, {"a.jpg": picture(1), "metadata.jsonl": f"{line}\n"})
    with pytest.raises(SourceError, match=r"metadata\.jsonl"):
        register(Source(path=str(tmp_path)), None, root)


def test_columns_of_the_metadata_follow_the_aliases_and_the_overrides(tmp_path: Path, root: Location) -> None:
    line = {"file": "a.jpg", "URL": "u", "title": "t", "width": 4, "punsafe": 0.5}
    write(tmp_path, {"a.jpg": picture(1), "b.jpg": picture(2), "metadata.jsonl": json.dumps(line)})
    rows = rows_of(tmp_path, root, columns={"text": "title"}, rows_per_shard=1)
    assert rows.select("source_row", "url", "text", "source_width", "punsafe", "locator").rows() == [
        (0, "u", "t", 4, 0.5, "a.jpg"),
        (1, None, None, None, None, "b.jpg"),
    ]
    with pytest.raises(SourceError, match=r"metadata\.jsonl has no \['titel'\]; .*'title'"):
        rows_of(tmp_path, root, columns={"text": "titel"})


COMPOSED, APART = unicodedata.normalize("NFC", "café.jpg"), unicodedata.normalize("NFD", "café.jpg")


@pytest.mark.parametrize(
    ("file", "given"),
    [
        ("a.jpg", "./a.jpg"),
        ("a.jpg", "photos/a.jpg"),
        ("a.jpg", "images/a.jpg"),
        ("a.jpg", "./photos//a.jpg"),
        ("sub/a.jpg", "sub\\a.jpg"),
        ("sub/a.jpg", ".\\photos\\sub\\a.jpg"),
        (APART, COMPOSED),
        (COMPOSED, APART),
        ("A.JPG", "A.jpg"),
        ("a.jpg", "a.JPG"),
        ("Photo.jpg", "photo.JPG"),
        ("back\\slash.jpg", "back\\slash.jpg"),
        ("sub/a.jpg", "/mnt/other/photos/sub/a.jpg"),
        ("sub/a.jpg", "D:\\other\\sub\\a.jpg"),
        ("images/a.jpg", "a.jpg"),
        ("a.jpg", " a.jpg"),
        ("a.jpg", "a"),
    ],
)
@pytest.mark.parametrize("key", ["file_name", "file", "image", "path", "filename"])
def test_an_entry_names_its_image_in_all_usual_ways(
    tmp_path: Path, root: Location, file: str, given: str, key: str
) -> None:
    base = tmp_path / "photos"
    write(base, {file: picture(1), "metadata.jsonl": json.dumps({key: given, "text": "words"})})
    assert texts_of(base, root) == {file: "words"}
    assert not left_out(base, root)


@pytest.mark.parametrize("given", ["images/a.jpg", "a.jpg", "../images/a.jpg"])
def test_a_table_in_a_folder_of_its_own_names_images_from_above_it(tmp_path: Path, root: Location, given: str) -> None:
    write(
        tmp_path, {"images/a.jpg": picture(1), "b.jpg": picture(2), "lists/captions.csv": f"file,text\n{given},words\n"}
    )
    assert texts_of(tmp_path, root, rows_per_shard=1) == {"b.jpg": None, "images/a.jpg": "words"}


def test_the_full_path_names_an_image_too(tmp_path: Path, root: Location) -> None:
    line = {"file": f"{tmp_path}/a.jpg", "text": "words"}
    write(tmp_path, {"a.jpg": picture(1), "metadata.jsonl": json.dumps(line)})
    assert texts_of(tmp_path, root) == {"a.jpg": "words"}


@pytest.mark.parametrize("size", [1, 10])
def test_the_exact_name_goes_before_one_that_is_alike(tmp_path: Path, root: Location, size: int) -> None:
    """Whichever shard the images are in: another one's exact name is not taken for one of this shard that is alike."""
    entries = [{"file": "images/a.jpg", "text": "of the folder"}, {"file": "b.jpg", "text": "small"}]
    files = {"a.jpg": picture(1), "images/a.jpg": picture(2), "b.jpg": picture(3), "b.JPG": picture(4)}
    write(tmp_path, {**files, "metadata.jsonl": "\n".join(map(json.dumps, entries))})
    assert texts_of(tmp_path, root, rows_per_shard=size) == {
        "a.jpg": None, "images/a.jpg": "of the folder", "b.jpg": "small", "b.JPG": None,
    }  # fmt: skip


def test_metadata_in_csv_and_parquet_and_in_folders_within(tmp_path: Path, root: Location) -> None:
    files = {name: picture(number) for number, name in enumerate(["a.jpg", "x/b.jpg", "x/c.jpg", "y/d.jpg"])}
    write(tmp_path, files)
    lines = [{"file_name": "x/b.jpg", "text": "far"}, {"file_name": "x/c.jpg", "text": "c"}]
    write(tmp_path, {"metadata.jsonl": "\n".join(map(json.dumps, lines))})
    write(tmp_path, {"x/metadata.csv": '\ufefffile_name,text\nb.jpg,"near, of\ntwo lines"\n'})
    pl.DataFrame({"image": ["d.jpg"], "caption": ["d"]}).write_parquet(tmp_path / "y/metadata.parquet")
    assert texts_of(tmp_path, root) == {"a.jpg": None, "x/b.jpg": "near, of\ntwo lines", "x/c.jpg": "c", "y/d.jpg": "d"}


@pytest.mark.parametrize("separator", ",;\t|")
def test_metadata_in_csv_with_other_separators(tmp_path: Path, root: Location, separator: str) -> None:
    write(tmp_path, {"a.jpg": picture(1), "metadata.csv": f"file_name{separator}text\na.jpg{separator}words\n"})
    assert texts_of(tmp_path, root) == {"a.jpg": "words"}


def test_both_sides_that_do_not_match_are_counted(tmp_path: Path, root: Location) -> None:
    lines: list[dict[str, Any]] = [{"file": name, "text": name} for name in ("a.jpg", "gone.jpg", "lost.jpg")]
    lines.append({"file": "a.jpg", "width": 3})
    write(tmp_path, {"a.jpg": picture(1), "b.jpg": picture(2), "c.jpg": picture(3)})
    write(tmp_path, {"metadata.jsonl": "\n".join(map(json.dumps, lines))})
    assert left_out(tmp_path, root) == {
        "entries of metadata.jsonl without an image": (2, ["gone.jpg", "lost.jpg"]),
        "further entries of metadata.jsonl for one image": (1, ["a.jpg"]),
    }


def test_a_name_whose_last_part_no_image_has_is_not_looked_for(monkeypatch: pytest.MonkeyPatch) -> None:
    names = Names("/base", ["x/a.jpg", "É.png"])
    found = [names.find("", given) for given in ("X\\A.JPG", "./x//a.jpg", "e\u0301.png", "x/a")]
    assert [images for _, images in filter(None, found)] == [["x/a.jpg"], ["x/a.jpg"], ["É.png"], ["x/a.jpg"]]
    monkeypatch.setattr(Names, "_paths", lambda *_: pytest.fail("of another shard"))
    assert names.find("", "x/b.jpg") is None
    assert names.find("", "x/a.jpg") == (0, ["x/a.jpg"])


def test_metadata_of_other_images_is_refused_and_names_both_sides(tmp_path: Path, root: Location) -> None:
    write(tmp_path, {"a.jpg": picture(1), "metadata.jsonl": '{"file": "gone.jpg"}\n{"file": "lost.jpg"}\n'})
    with pytest.raises(SourceError, match=r"metadata\.jsonl names no image .* 2 entries such as 'gone.jpg'.*'a.jpg'"):
        register(Source(path=str(tmp_path)), None, root)


LONG = "words " * 40_000
TABLES: dict[str, tuple[dict[str, bytes | str], dict[str, str | None]]] = {
    "captions.csv": ({"captions.csv": "filename,caption\na.jpg,one\nb.jpg,two\n"}, {"a.jpg": "one", "b.jpg": "two"}),
    "Excel's, in UTF-16": (
        {"list.csv": "File Name\tText\r\na.jpg\tодин\r\nb.jpg\tдва\r\n".encode("utf-16")},
        {"a.jpg": "один", "b.jpg": "два"},
    ),
    "Excel's, with sep=": ({"l.csv": "sep=;\r\nfile;text\r\na.jpg;one, 1\r\n"}, {"a.jpg": "one, 1", "b.jpg": None}),
    "a field of 200 KB": ({"l.csv": f'file,text\na.jpg,"{LONG}"\n'}, {"a.jpg": LONG, "b.jpg": None}),
    "compressed": (
        {"metadata.jsonl.gz": gzip.compress(b'{"file_name": "a.jpg", "text": "one"}\n')},
        {"a.jpg": "one", "b.jpg": None},
    ),
    "tsv and ndjson": (
        {"x.tsv": "file\ttext\na.jpg\tone\n", "y.ndjson": '{"image_path": "b.jpg", "prompt": "two"}'},
        {"a.jpg": "one", "b.jpg": "two"},
    ),
    "a JSON array": ({"data.json": '[{"image": "a.jpg", "text": "one"}]'}, {"a.jpg": "one", "b.jpg": None}),
    "a column as datasets allows": ({"m.csv": "target_file_name,text\na.jpg,one\n"}, {"a.jpg": "one", "b.jpg": None}),
    "names without extension": ({"m.csv": "id,text\na,one\nB,two\n"}, {"a.jpg": "one", "b.jpg": "two"}),
    "several images of one entry": (
        {"metadata.jsonl": '{"file_names": ["a.jpg", "b.jpg"], "text": "both"}'}, {"a.jpg": "both", "b.jpg": "both"},
    ),
    "images as datasets stores them": (
        {"metadata.jsonl": '{"image": {"path": "b.jpg", "bytes": null}, "text": "two"}'},
        {"a.jpg": None, "b.jpg": "two"},
    ),
}  # fmt: skip


@pytest.mark.parametrize("name", TABLES)
@pytest.mark.parametrize("size", [1, 10])
def test_any_table_that_names_files_describes_the_images_beside_it(
    tmp_path: Path, root: Location, name: str, size: int
) -> None:
    files, texts = TABLES[name]
    write(tmp_path, {"a.jpg": A, "b.jpg": B, **files})
    assert texts_of(tmp_path, root, rows_per_shard=size) == texts
    without = [image for image, text in texts.items() if text is None]
    assert left_out(tmp_path, root) == {}
    bare = bare_of(register(Source(path=str(tmp_path)), None, root)).as_dict()
    assert bare == ({BARE: {"count": 1, "names": without}} if without else {})


@pytest.mark.parametrize("encoding", ["auto", "cp1251"])
def test_parquet_describes_images_whatever_its_types(tmp_path: Path, root: Location, encoding: str) -> None:
    stored = ["слово".encode("utf-8" if encoding == "auto" else encoding), b"\xff\x98", b"c"]
    table = {
        "file_name": pa.array(["a.jpg", "b.jpg", "c.jpg"]).dictionary_encode(),
        "text": pa.array(stored, pa.binary()).view(pa.string()),
        "captions": pa.array([[("de", "zwei"), ("en", "one")], None, None], pa.map_(pa.string(), pa.string())),
        "vector": [b"\xff\x98", b"", b""],
    }
    pq.write_table(pa.table(table), tmp_path / "metadata.parquet")
    write(tmp_path, {"a.jpg": A, "b.jpg": B, "c.jpg": picture(3)})
    rows = rows_of(tmp_path, root, encoding=encoding)
    assert rows.select("text", "alt_texts").rows() == [("слово", ["one", "zwei"]), (None, []), ("c", [])]
    said = left_out_of(register(Source(path=str(tmp_path), encoding=encoding), None, root)).as_dict()
    assert said["entries of metadata.parquet that cannot be read"] == {"count": 1, "names": ["entry 2"]}


KEYED = [
    {"a.jpg": "one", "b.jpg": "two"},
    {"a.jpg": ["one"], "b.jpg": ["two"], "c.jpg": ["gone"]},
    {"/else/where/a": {"caption": "one", "tags": "x"}, "/else/where/b": {"caption": "two"}},  # kohya
]


@pytest.mark.parametrize("described", KEYED)
def test_json_by_the_names_of_images_describes_them(tmp_path: Path, root: Location, described: dict[str, Any]) -> None:
    write(tmp_path, {"a.jpg": A, "b.jpg": B, "captions.json": json.dumps(described)})
    assert texts_of(tmp_path, root) == {"a.jpg": "one", "b.jpg": "two"}
    kind = "entries of captions.json without an image"
    assert left_out(tmp_path, root) == ({kind: (1, ["c.jpg"])} if "c.jpg" in described else {})


def test_parquet_with_images_of_its_own_is_another_source(tmp_path: Path, root: Location) -> None:
    write(tmp_path, {"assets/logo.png": A})
    pl.DataFrame({"image": [{"bytes": B, "path": "a.jpg"}], "text": ["one"]}).write_parquet(tmp_path / "m.parquet")
    with pytest.raises(SourceError, match=r"more than one kind.*logo.*m\.parquet, which holds images of its own.*glob"):
        register(Source(path=str(tmp_path)), None, root)


def test_several_entries_for_an_image_are_its_texts(tmp_path: Path, root: Location) -> None:
    """As Flickr8k has them, with its folder of images beside the table."""
    lines = ["image,caption", "a.jpg,first", "b.jpg,other", "a.jpg,second", "a.jpg,first", "a.jpg,third"]
    write(tmp_path, {"Images/a.jpg": A, "Images/b.jpg": B, "captions.txt": "\n".join(lines)})
    rows = rows_of(tmp_path, root)
    assert rows.select("locator", "text", "alt_texts").rows() == [
        ("Images/a.jpg", "first", ["second", "third"]),
        ("Images/b.jpg", "other", []),
    ]
    assert not left_out(tmp_path, root)


def test_two_tables_describe_an_image_together(tmp_path: Path, root: Location) -> None:
    write(tmp_path, {"a.jpg": A, "1.csv": "file,text,width\na.jpg,one,7\n", "2.csv": "file,height,width\na.jpg,5,9\n"})
    rows = rows_of(tmp_path, root, columns={"source_height": "height"})
    assert rows.select("text", "source_width", "source_height").rows() == [("one", 7, 5)]


@pytest.mark.parametrize(
    ("name", "content"),
    [
        ("notes.csv", "who,when\nme,now\n"),
        ("list.csv", "url,text\nhttp://a/1.jpg,one\n"),
        ("metadata.csv", "a.jpg,one\n"),
    ],
)
def test_a_table_that_names_no_files_is_refused_beside_images(
    tmp_path: Path, root: Location, name: str, content: str
) -> None:
    write(tmp_path, {"a.jpg": A, name: content})
    with pytest.raises(SourceError, match=rf"more than one kind.*{name}.*none of its columns.*names files.*file_name"):
        register(Source(path=str(tmp_path)), None, root)


def test_json_and_text_that_are_no_tables_are_counted(tmp_path: Path, root: Location) -> None:
    coco = {"images": [{"id": 1, "file_name": "a.jpg"}], "annotations": [{"image_id": 1, "caption": "c"}]}
    write(
        tmp_path, {"a.jpg": A, "coco.json": json.dumps(coco), "config.json": "{}", "gone.json": '[{"file": "c.jpg"}]'}
    )
    write(tmp_path, {"classes.txt": "cat\ndog\n", "empty.csv": "file,text\n", "broken.json": "{"})
    assert left_out(tmp_path, root) == {
        ".json files": (4, ["broken.json", "coco.json", "config.json"]),
        ".txt files": (1, ["classes.txt"]),
        "tables without entries": (1, ["empty.csv"]),
    }


def test_captions_of_images_that_are_not_there_are_not_looked_into(
    tmp_path: Path, root: Location, monkeypatch: pytest.MonkeyPatch
) -> None:
    write(tmp_path, {"a.jpg": A, **{f"{number}.json": '[{"file": "a.jpg", "text": "t"}]' for number in range(40)}})
    assert texts_of(tmp_path, root) == {"a.jpg": None}
    assert left_out(tmp_path, root)[".json files"][0] == 40


def test_every_text_of_an_image_is_kept(tmp_path: Path, root: Location) -> None:
    files = {"a.txt": "of txt", "a.caption": "of caption", "a.json": '{"caption": "of JSON", "alt": "of txt"}'}
    write(tmp_path, {"a.jpg": A, **files, "metadata.csv": "file,text\na.jpg,of table\n"})
    row = rows_of(tmp_path, root).row(0, named=True)
    assert (row["text"], row["alt_texts"]) == ("of table", ["of JSON", "of txt", "of caption"])


@pytest.mark.parametrize(
    ("content", "texts"),
    [
        ('"one"', ["one"]),
        ('["one", "two"]', ["one", "two"]),
        ('{"captions": {"de": "zwei", "en": "one"}}', ["one", "zwei"]),
    ],
)
def test_json_beside_an_image_may_be_nothing_but_texts(
    tmp_path: Path, root: Location, content: str, texts: list[str]
) -> None:
    write(tmp_path, {"a.jpg": A, "a.json": content})
    row = rows_of(tmp_path, root).row(0, named=True)
    assert [row["text"], *row["alt_texts"]] == texts


@pytest.mark.parametrize("name", ["a.txt", "a.json", "metadata.csv"])
def test_captions_in_an_encoding_that_is_named(tmp_path: Path, root: Location, name: str) -> None:
    content = {"a.txt": "слово", "a.json": '{"text": "слово"}', "metadata.csv": "file,text\na.jpg,слово\n"}[name]
    write(tmp_path, {"a.jpg": A, name: content.encode("cp1251")})
    assert texts_of(tmp_path, root, encoding="cp1251") == {"a.jpg": "слово"}


@pytest.mark.parametrize("files", [{"a.json": "{}"}, {"metadata.csv": "file,meine_worte\na.jpg,ein Hund am Strand\n"}])
def test_columns_that_look_like_texts_and_are_not_used_are_named(
    tmp_path: Path, root: Location, files: dict[str, str]
) -> None:
    words = {"meine_worte": "ein Hund am Strand", "error_message": "an error here", "key": "0"}
    write(tmp_path, {"a.jpg": A, **{name: content.replace("{}", json.dumps(words)) for name, content in files.items()}})
    source = Source(path=str(tmp_path))
    registry = register(source, None, root)
    read = RegisteredSource(source, lambda shard: entry_of(registry, shard), root)
    assert read.kind("00000") == "folder"
    assert read.reading("00000") == {"unused_text_columns": ["meine_worte"]}


@pytest.mark.parametrize(
    ("files", "text"),
    [
        ({"a.txt": "words"}, "words"),
        ({"a.caption": "words\n"}, "words"),
        ({"a.jpg.txt": "words"}, "words"),
        ({"a.TXT": "words"}, "words"),
        ({"a.txt": "first\nsecond\n"}, "first\nsecond"),
        ({"a.txt": "", "a.caption": "words"}, "words"),
        ({"a.txt": b"\xef\xbb\xbfcaf\xc3\xa9"}, "café"),
        ({"a.txt": "café".encode("utf-16")}, "café"),
        ({"a.txt": b"\xfe\xff" + "café".encode("utf-16-be")}, "café"),
        ({"a.txt": "a red café".encode("utf-16-le")}, "a red café"),
        ({"a.txt": b"nul\0s are kept\x07"}, "nul\0s are kept\x07"),
        ({"a.txt": "of the text", "a.json": '{"caption": "of the JSON"}'}, "of the JSON"),
        ({"a.txt": "of the text", "a.json": '{"caption": "", "key": "0"}'}, "of the text"),
        ({"a.txt": "of the text", "a.json": '{"caption": null}'}, "of the text"),
        ({"a.json": '{"caption": "c"}', "metadata.jsonl": '{"file": "a.jpg", "text": "m"}'}, "m"),
        ({"a.txt": "c", "metadata.jsonl": '{"file": "a.jpg", "width": 3}'}, "c"),
    ],
)
def test_captions_beside_an_image(tmp_path: Path, root: Location, files: dict[str, bytes | str], text: str) -> None:
    write(tmp_path, {"a.jpg": picture(1), **files})
    assert texts_of(tmp_path, root) == {"a.jpg": text}
    assert not left_out(tmp_path, root)


@pytest.mark.parametrize(
    ("image", "file"), [("Photo.JPG", "photo.txt"), (APART, "caf\u00e9.txt"), ("a.JPG", "A.jpg.TXT")]
)
def test_a_caption_whose_name_is_alike_is_found(tmp_path: Path, root: Location, image: str, file: str) -> None:
    write(tmp_path, {image: picture(1), file: "words"})
    assert texts_of(tmp_path, root) == {image: "words"}


def test_a_caption_is_of_the_image_of_its_very_name(tmp_path: Path, root: Location) -> None:
    write(
        tmp_path, {"a.jpg": picture(1), "A.jpg": picture(2), "a.txt": "small", "B.jpg": picture(3), "b.jpg": picture(4)}
    )
    write(tmp_path, {"B.txt": "capital"})
    assert texts_of(tmp_path, root) == {"A.jpg": None, "B.jpg": "capital", "a.jpg": "small", "b.jpg": None}


def test_captions_that_cannot_be_read_are_counted_and_stop_nothing(tmp_path: Path, root: Location) -> None:
    write(tmp_path, {"a.jpg": picture(1), "a.txt": b"caf\xe9", "b.jpg": picture(2), "b.json": "[1]", "b.txt": "b"})
    unread = LeftOut()
    assert rows_of(tmp_path, root, unread)["text"].to_list() == [None, "b"]
    assert unread.in_words() == "1 JSON files that hold no object (b.json), 1 captions that are no UTF-8 (a.txt)"


def test_a_caption_without_image_is_left_out_and_an_image_without_one_is_a_row(tmp_path: Path, root: Location) -> None:
    write(tmp_path, {"a.jpg": picture(1), "a.txt": "a", "b.jpg": picture(2), "c.txt": "c", "a.npy": b"x" * 99})
    assert left_out(tmp_path, root) == {
        ".npy files": (1, ["a.npy"]),
        ".txt files": (1, ["c.txt"]),
    }
    assert texts_of(tmp_path, root) == {"a.jpg": "a", "b.jpg": None}


def test_a_changed_or_new_caption_makes_another_shard_and_no_other_rows(tmp_path: Path, root: Location) -> None:
    write(tmp_path, {"a.jpg": picture(1), "a.txt": "a", "b.jpg": picture(2)})
    source = Source(path=str(tmp_path), rows_per_shard=1)
    known = register(source, None, root)
    assert register(source, known, root).equals(known)
    write(tmp_path, {"b.txt": "now", "c.jpg": picture(3)})
    grown = register(source, known, root)
    assert grown["members"].to_list() == [["a.jpg"], ["b.jpg"], ["c.jpg"]]
    assert [old == new for old, new in zip(known["identity"], grown["identity"][:2], strict=True)] == [True, False]
    assert read_rows(source, entry_of(grown, "00001"), root)["text"].to_list() == ["now"]


def test_the_files_of_img2dataset_are_a_folder_of_images(tmp_path: Path, root: Location) -> None:
    for number in range(2):
        key = f"00000000{number}"
        described = {"caption": f"text {number}", "url": f"http://a.example/{number}", "key": key, "status": "success"}
        write(tmp_path, {f"00000/{key}.jpg": picture(number), f"00000/{key}.txt": f"text {number}"})
        write(tmp_path, {f"00000/{key}.json": json.dumps({**described, "original_width": 640})})
    pl.DataFrame({"key": ["0", "1", "2"], "url": ["u"] * 3, "status": ["failed"] * 3}).write_parquet(
        tmp_path / "00000.parquet"
    )
    write(tmp_path, {"00000_stats.json": "{}", "_tmp/0.feather": "x"})
    rows = rows_of(tmp_path, root)
    assert rows.select("url", "text", "source_width").rows() == [
        ("http://a.example/0", "text 0", 640),
        ("http://a.example/1", "text 1", 640),
    ]
    assert left_out(tmp_path, root) == {
        "files of other programs": (1, ["_tmp/0.feather"]),
        "img2dataset statistics": (1, ["00000_stats.json"]),
        "tables of shards whose images are read": (1, ["00000.parquet"]),
    }

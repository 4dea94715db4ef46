"""What a dry run says of a source that is new: its columns, and whether its rows have texts."""

from __future__ import annotations

import io
import tarfile
from pathlib import Path

import polars as pl
import pytest

from paris_assets.config import Source
from paris_assets.ingest.first_look import first_look
from paris_assets.ingest.sources import register
from paris_assets.storage.location import Location
from paris_assets_tests.ingest.pictures import picture


def _look(path: Path, root: Location) -> str:
    source = Source(path=str(path))
    registry = register(source, None, root, write=False)
    assert root.glob("*") == []
    return first_look(source, registry, 0)


LISTS = {
    "a.csv": (
        "Image URL,Caption\nu0,one\nu1,\n",
        "columns of a.csv: url from 'Image URL', text from 'Caption'; 1 of the first 2",
    ),
    "b.jsonl": ('{"url": "u0"}\n{"url": "u1"}\n', "columns of b.jsonl: url from 'url'; none of the first 2 rows have"),
    "c.csv": ("url,text\n" + "u,t\n" * 150, "text from 'text'; 100 of the first 100 rows have a text"),
}


@pytest.mark.parametrize("name", LISTS)
def test_lists(name: str, tmp_path: Path, root: Location) -> None:
    content, said = LISTS[name]
    (tmp_path / name).write_text(content)
    assert said in _look(tmp_path / name, root)


def test_tables_with_images(tmp_path: Path, root: Location) -> None:
    table = pl.DataFrame({"image": [b"x"] * 3, "TEXT": ["one", " ", None], "caption": [None, "two", None]})
    table.write_parquet(tmp_path / "t.parquet")
    said = _look(tmp_path / "t.parquet", root)
    assert (
        said
        == "columns of t.parquet: image from 'image', text from 'TEXT' or 'caption'; 2 of the first 3 rows have a text"
    )


def test_tars(tmp_path: Path, root: Location) -> None:
    with tarfile.open(tmp_path / "0.tar", "w") as tar:
        for name, data in (("a.jpg", b"x"), ("a.txt", b"a text"), ("b.jpg", b"x")):
            member = tarfile.TarInfo(name)
            member.size = len(data)
            tar.addfile(member, io.BytesIO(data))
    assert _look(tmp_path / "0.tar", root) == "images in tars; 1 of the first 2 rows has a text"


def test_folders(tmp_path: Path, root: Location) -> None:
    photos = tmp_path / "photos"
    photos.mkdir()
    (photos / "a.jpg").write_bytes(picture(1))
    assert _look(photos, root) == "images in a folder, without captions or metadata beside them"
    (photos / "a.txt").write_text("a text")
    assert _look(photos, root) == "images in a folder, some or all with captions or metadata beside them"

"""Where faces are, as lists of every kind say it; lists that do not are refused before work."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import polars as pl
import pytest

from paris_assets.config import Source
from paris_assets.ingest.first_look import require_face_boxes
from paris_assets.ingest.lists.columns import SourceError
from paris_assets.ingest.lists.face_boxes import KIND, boxes
from paris_assets.ingest.sources import read_rows, register
from paris_assets.storage.location import Location
from paris_assets_tests.ingest.pictures import picture

ONE = [0.25, 0.5, 0.75, 1.0]


@pytest.mark.parametrize(
    ("values", "expected"),
    [
        (pl.Series([[ONE, ONE], [], None], dtype=pl.List(pl.List(pl.Float32))), [[ONE, ONE], [], None]),
        (pl.Series([[ONE], None], dtype=pl.List(pl.Array(pl.Float64, 4))), [[ONE], None]),
        (pl.Series([[[0, 0, 1, 1]]], dtype=pl.List(pl.List(pl.Int64))), [[[0.0, 0.0, 1.0, 1.0]]]),
        (pl.Series(["[[0.25, 0.5, 0.75, 1]]", "[]", "", " ", None, "null"]), [[ONE], [], None, None, None, None]),
        (pl.Series(["none", "{}", '["a"]', "[0.25, 0.5, 0.75, 1]", '[["a"]]', "[[true]]", "7"]), [[[]]] * 7),
        (pl.Series([0.5, float("nan"), None]), [[[]], None, None]),
        (pl.Series([[{"x0": 0.5}], None, []]), [[[]], None, []]),
        (pl.Series([None, None]), [None, None]),
        (pl.Series([[1.0, 2.0], None]), [[[]], None]),
        (pl.Series([], dtype=pl.String), []),
    ],
)
def test_every_spelling_of_boxes(values: pl.Series, expected: list[Any]) -> None:
    read = boxes(values)
    assert read.dtype == KIND
    assert read.to_list() == expected


def listed(folder: Path, kind: str, column: str | None, name: str = "list") -> Path:
    """A source of two rows, of any kind; the first has a face, the second none."""
    folder.mkdir(exist_ok=True)
    faces = [[ONE], []]
    rows: dict[str, list[Any]] = {"url": ["http://a.example/1", "http://a.example/2"], "text": ["a", "b"]}
    rows |= {column: faces} if column else {}
    file = folder / f"{name}.{kind}"
    if kind == "parquet":
        pl.DataFrame(rows).write_parquet(file)
    elif kind == "csv":
        as_text = {key: [json.dumps(value) if key == column else value for value in rows[key]] for key in rows}
        pl.DataFrame(as_text).write_csv(file)
    elif kind == "jsonl":
        records = [dict(zip(rows, row, strict=True)) for row in zip(*rows.values(), strict=True)]
        file.write_text("".join(json.dumps(record) + "\n" for record in records))
    else:
        for number, face in enumerate(faces):
            (folder / f"{number}.jpg").write_bytes(picture(number))
            (folder / f"{number}.json").write_text(json.dumps({"caption": "x", **({column: face} if column else {})}))
        return folder
    return file


KINDS = ["parquet", "csv", "jsonl", "folder"]


@pytest.mark.parametrize("kind", KINDS)
def test_lists_of_every_kind_say_where_faces_are(tmp_path: Path, kind: str) -> None:
    root = Location(tmp_path / "root")
    source = Source(path=str(listed(tmp_path / "s", kind, "face_bboxes")))
    registry = register(source, None, root)
    require_face_boxes(source, registry, root)
    rows = read_rows(source, registry.row(0, named=True), root)
    assert rows["face_bboxes"].to_list() == [[ONE], []]
    named = Source(path=str(listed(tmp_path / "n", kind, "where")), columns={"face_bboxes": "where"})
    registry = register(named, None, root)
    require_face_boxes(named, registry, root)
    assert read_rows(named, registry.row(0, named=True), root)["face_bboxes"].to_list() == [[ONE], []]


@pytest.mark.parametrize("kind", KINDS)
def test_a_list_without_them_is_refused_before_work(tmp_path: Path, kind: str) -> None:
    root = Location(tmp_path / "root")
    source = Source(path=str(listed(tmp_path / "s", kind, None)))
    registry = register(source, None, root)
    assert read_rows(source, registry.row(0, named=True), root)["face_bboxes"].to_list() == [None, None]
    with pytest.raises(SourceError, match=r"ingest.encode.blur_faces: .*s.* has no column face_bboxes"):
        require_face_boxes(source, registry, root)


def test_each_file_of_a_source_is_asked_and_a_look_converts_none(tmp_path: Path) -> None:
    listed(tmp_path / "s", "jsonl", "face_bboxes", "a")
    listed(tmp_path / "s", "jsonl", None, "b")
    source, root = Source(path=str(tmp_path / "s" / "*.jsonl")), Location(tmp_path / "root")
    require_face_boxes(source, register(source, None, root, write=False), root)
    with pytest.raises(SourceError, match=r"b\.jsonl has no column"):
        require_face_boxes(source, register(source, None, root), root)

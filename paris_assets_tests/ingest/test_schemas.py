"""Every published schema gives the same twelve columns, whatever its types and wherever it has nulls."""

from __future__ import annotations

import bz2
import gzip
import io
import json
import lzma
import math
import tarfile
from collections.abc import Callable
from pathlib import Path
from typing import Any

import polars as pl
import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from paris_assets.config import Ingest, Source
from paris_assets.ingest.schema import SOURCE_ROWS
from paris_assets.ingest.sources import entry_of, images_of, read_rows, register
from paris_assets.storage.location import Location
from paris_assets_tests.ingest.pictures import picture

ONE, TWO = "http://a.example/1.jpg", "https://b.example/2.png?size=3&x=%20"
URLS = [ONE, None, TWO]  # row 1 has nulls everywhere, row 2 what is odd but allowed
TEXTS = ["A cat", None, " \t"]
ODD = [0.5, None, math.nan]
STRAY: dict[str, Any] = {
    "__index_level_0__": pa.array([7, None, 9]),
    "tags": pa.array([["a", "b"], None, []]),
    "details": pa.array([{"license": "CC0", "boxes": [[1.0]]}, None, {"license": None, "boxes": None}]),
}

Columns = dict[str, Any]

COLUMNS = SOURCE_ROWS.polars()


def _laion(**more: Any) -> Columns:
    """Columns that all lists of the LAION family share."""
    return {"URL": URLS, "TEXT": TEXTS, "WIDTH": [640, None, 0], "HEIGHT": [480, None, 1], "similarity": ODD} | more


LAION = {
    "url": URLS,
    "text": TEXTS,
    "source_width": [640, None, 0],
    "source_height": [480, None, 1],
    "similarity": [0.5, None, None],
}
F32, F64 = pa.float32(), pa.float64()
UNSAFE = {"punsafe": pa.array(ODD, F32), "pwatermark": pa.array([0.25, 0.75, None], F32)}
UNSAFE_READ = {"punsafe": [0.5, None, None], "pwatermark": [0.25, 0.75, None]}
HASHES = {"hash": [-(2**63), None, 2**53 + 1]}
HASHES_READ = {"source_hash": [-(2**63), None, 2**53 + 1]}

# Published schema -> (its columns, what we make of them); what is not named must be null.
PARQUET: dict[str, tuple[Columns, Columns]] = {
    "LAION-Aesthetics v1": (
        _laion(**UNSAFE, **HASHES, aesthetic=pa.array([6.5, None, math.nan], F32)),
        LAION | UNSAFE_READ | HASHES_READ | {"aesthetic": [6.5, None, None]},
    ),
    "LAION-Aesthetics v2": (
        _laion(**UNSAFE, **HASHES, AESTHETIC_SCORE=pa.array([6.5, None, math.nan], F64), WIDTH=[640.0, math.nan, 0.0]),
        LAION | UNSAFE_READ | HASHES_READ | {"aesthetic": [6.5, None, None]},
    ),
    "LAION-400M": (
        _laion(SAMPLE_ID=[1.0, None, 3.0], LICENSE=["?", None, ""], NSFW=["UNLIKELY", None, "NSFW"]),
        LAION,
    ),
    "Re-LAION 2B-en": (_laion(**UNSAFE, **HASHES), LAION | UNSAFE_READ | HASHES_READ),
    "Re-LAION 2B-multi": (
        _laion(**UNSAFE, **HASHES, LANGUAGE=["en", None, "de"]),
        LAION | UNSAFE_READ | HASHES_READ,
    ),
    "LAION-COCO": (
        _laion(
            **UNSAFE,
            **HASHES,
            WIDTH=[640.0, None, 0.0],
            top_caption=["a cat", None, ""],
            all_captions=[["a cat", "the cat"], None, []],
            all_similarities=[[0.25, 0.5], None, []],
        ),
        LAION | UNSAFE_READ | HASHES_READ | {"alt_texts": [["a cat", "the cat"], [], []]},
    ),
    "img2dataset output of a LAION list": (
        {
            "url": URLS,
            "caption": TEXTS,
            "similarity": ODD,
            "key": ["000000000", "000000001", "000000002"],
            "status": ["success"] * 3,
            "error_message": pa.nulls(3),
            "width": [256] * 3,
            "height": [256] * 3,
            "original_width": [640, None, 0],
            "original_height": [480, None, 1],
            "exif": ["{}", None, ""],
            "md5": ["0", None, ""],
        },
        LAION,
    ),
    "DataComp": (
        {
            "uid": ["00ff" * 8, None, ""],
            "url": URLS,
            "text": TEXTS,
            "original_width": [640, None, 0],
            "original_height": [480, None, 1],
            "clip_b32_similarity_score": pa.array([0.125, None, 0.25], F32),
            "clip_l14_similarity_score": pa.array(ODD, F32),
            "face_bboxes": [[[0.0, 0.0, 0.5, 0.5]], None, []],
            "sha256": ["ab" * 32, None, ""],
        },
        LAION
        | {"uid": ["00ff" * 8, None, ""], "face_bboxes": [[[0.0, 0.0, 0.5, 0.5]], None, []]}
        | {"clip_b32": [0.125, None, 0.25], "clip_l14": [0.5, None, None], "source_sha256": ["ab" * 32, None, ""]},
    ),
    "DataComp, boxes as structs": (
        {"uid": ["1", None, "2"], "url": URLS, "text": TEXTS, "face_bboxes": [[{"x": 0.5, "y": 0.5}], None, []]},
        {"uid": ["1", None, "2"], "url": URLS, "text": TEXTS, "face_bboxes": [[[]], None, []]},
    ),
    "COYO-700M": (
        {
            "id": [841814333321, None, 3],
            "url": URLS,
            "text": TEXTS,
            "width": [640, None, 0],
            "height": [480, None, 1],
            "image_phash": ["c9b6a7d8469c1959", None, ""],
            "watermark_score": [0.5, None, 0.25],
            "clip_similarity_vitl14": [0.5, None, 0.25],
            "aesthetic_score_laion_v2": pa.array([6.5, None, math.nan], F32),
        },
        {name: LAION[name] for name in LAION if name != "similarity"} | {"aesthetic": [6.5, None, None]},
    ),
    "CapsFusion": (
        {"image_url": URLS, "laion_2b": TEXTS, "laion_coco": ["a", None, ""], "capsfusion": ["A", None, ""]},
        {"url": URLS, "text": TEXTS, "alt_texts": [["a", "A"], [], []]},
    ),
    "CLIP score in the range of aesthetic scores": (
        {"URL": URLS, "CLIP_SCORE": [6.5, None, math.nan]},
        {"url": URLS, "similarity": [6.5, None, None]},
    ),
    "addresses alone": ({"url": URLS}, {"url": URLS}),
}
# Column of LAION-Aesthetics v2 -> the types that it comes in.
TYPES: dict[str, dict[str, Any]] = {
    "WIDTH": {
        "int32": pa.array([640, None, 0], pa.int32()),
        "int64": pa.array([640, None, 0], pa.int64()),
        "uint16": pa.array([640, None, 0], pa.uint16()),
        "float64": pa.array([640.0, None, 0.0], F64),
        "float32 with NaN": pa.array([640.0, math.nan, 0.0], F32),
        "string": ["640", None, "0"],
        "string of floats": [" 640.0", "nan", "0.0 "],
        "string with words": ["640", "wide", "0"],
        "string with empty fields": ["640", "", "0"],
        "decimal": pa.array([640, None, 0], pa.decimal128(9, 2)),
        "dictionary": pa.array([640, None, 0]).dictionary_encode(),
        "dictionary of strings": pa.array(["640", None, "0"]).dictionary_encode(),
        "infinite or huge": [640.0, math.inf, 0.0],
        "beyond any picture": [640.0, -1e300, 0.0],
    },
    "AESTHETIC_SCORE": {
        "float16": pa.array([6.5, None, math.nan], pa.float16()),
        "float32": pa.array([6.5, None, math.nan], F32),
        "float64": pa.array([6.5, -math.inf, math.nan], F64),
        "string": ["6.5", "", "none"],
        "decimal": pa.array([6.5, None, None]).cast(pa.decimal128(9, 2)),
    },
    "hash": {
        "int64": pa.array([-(2**63), None, 2**53 + 1]),
        "uint64": pa.array([2**63, None, 2**53 + 1], pa.uint64()),
        "string": ["-9223372036854775808", None, "9007199254740993"],
        "string of uint64": ["9223372036854775808", "", "9007199254740993"],
        "string with words": ["-9223372036854775808", "deadbeef", "9007199254740993"],
    },
    "TEXT": {
        "string": TEXTS,
        "large_string": pa.array(TEXTS, pa.large_string()),
        "string_view": pa.array(TEXTS, pa.string_view()),
        "dictionary": pa.array(TEXTS).dictionary_encode(),
        "dictionary of large strings": pa.array(TEXTS, pa.large_string()).dictionary_encode(),
        "binary": pa.array([b"A cat", None, b" \t"], pa.binary()),
    },
    "URL": {
        "large_string": pa.array(URLS, pa.large_string()),
        "dictionary": pa.array(URLS).dictionary_encode(),
        "binary": pa.array([ONE.encode(), None, TWO.encode()], pa.large_binary()),
    },
    "punsafe": {
        "float32": pa.array(ODD, F32),
        "float64": pa.array(ODD, F64),
        "string": ["0.5", None, "NaN"],
    },
}


def _read_all(source: Source, root: Location) -> pl.DataFrame:
    registry = register(source, None, root)
    return pl.concat([read_rows(source, entry_of(registry, shard), root) for shard in registry["shard"]])


def _assert_rows(rows: pl.DataFrame, expected: Columns) -> None:
    """Exactly the columns of COLUMNS, with these values and nulls for the rest."""
    height = len(next(iter(expected.values())))
    usual = {"source_row": [*range(height)], "alt_texts": [[]] * height}
    if "locator" not in expected and "problem" not in expected:
        usual["problem"] = [None if (url or "").strip() else "no_url" for url in expected["url"]]
    wanted = {name: expected.get(name, usual.get(name, [None] * height)) for name in COLUMNS}
    assert dict(rows.schema) == dict(COLUMNS)
    assert rows.to_dict(as_series=False) == wanted


@pytest.mark.parametrize("rows_per_shard", [1, 10])
@pytest.mark.parametrize("name", PARQUET)
def test_parquet(tmp_path: Path, root: Location, name: str, rows_per_shard: int) -> None:
    columns, expected = PARQUET[name]
    pq.write_table(pa.table(columns | STRAY), tmp_path / "l.parquet", row_group_size=2)
    _assert_rows(_read_all(Source(path=str(tmp_path), rows_per_shard=rows_per_shard), root), expected)


@pytest.mark.parametrize(("column", "kind"), [(column, kind) for column, kinds in TYPES.items() for kind in kinds])
def test_types(tmp_path: Path, root: Location, column: str, kind: str) -> None:
    columns, expected = PARQUET["LAION-Aesthetics v2"]
    pq.write_table(pa.table(columns | {column: TYPES[column][kind]}), tmp_path / "l.parquet")
    _assert_rows(_read_all(Source(path=str(tmp_path)), root), expected)


def test_a_hash_that_went_through_floats_is_unknown_and_not_another_hash(tmp_path: Path, root: Location) -> None:
    pq.write_table(pa.table({"url": [ONE, TWO], "hash": [9.1e18, 77.0]}), tmp_path / "l.parquet")
    _assert_rows(_read_all(Source(path=str(tmp_path)), root), {"url": [ONE, TWO], "source_hash": [None, 77]})


def test_texts_of_parquet_that_are_no_utf8_lose_no_row(tmp_path: Path, root: Location) -> None:
    text = pa.array(["café".encode(), b"caf\xe9"]).view(pa.string())  # Arrow writes and reads this without a word
    for name, column in (("plain", text), ("dictionary", text.dictionary_encode())):
        pq.write_table(pa.table({"url": [ONE, TWO], "text": column}), tmp_path / f"{name}.parquet")
        rows = _read_all(Source(path=str(tmp_path / f"{name}.parquet")), root)
        _assert_rows(rows, {"url": [ONE, TWO], "text": ["café", None], "problem": [None, "unreadable_row"]})


def _delimited(kind: str, header: bool = True) -> bytes:
    names = "URL", "TEXT", "WIDTH", "punsafe", "hash", "extra"
    rows = [(ONE, "A cat", "640", "0.5", "-5", "x"), ("", "", "", "", "", ""), (TWO, " ", "64.0", "nan", "?", "")]
    lines = [names, *rows] if header else rows
    return "".join(("\t" if kind == "tsv" else ",").join(line) + "\r\n" for line in lines).encode()


DELIMITED = {
    "url": [ONE, "", TWO],
    "text": ["A cat", "", " "],
    "source_width": [640, None, 64],
    "punsafe": [0.5, None, None],
    "source_hash": [-5, None, None],
}
OBJECTS = [
    {"url": ONE, "caption": "A cat", "width": 640, "punsafe": 0.5, "hash": -5, "tags": ["a"], "info": {"a": 1}},
    {"url": None, "caption": None, "width": None, "punsafe": None, "hash": None, "tags": None, "info": None},
    {"url": TWO, "caption": " ", "width": "64.0", "punsafe": math.nan, "hash": "?", "tags": [], "info": {}},
    {},
    {"url": ["a"], "caption": {"a": 1}, "width": [640], "punsafe": {}, "hash": 2**70},
    {"url": ONE, "caption": "half a pair: \ud83d"},
    {"url": ONE, "caption": "a pair: \ud83d\ude00", "width": 2**31, "hash": 2**63 + 5},
]
OBJECTS_READ = {
    "url": [ONE, None, TWO, None, None, None, ONE],
    "text": ["A cat", None, " ", None, None, None, "a pair: \U0001f600"],
    "source_width": [640, None, 64, None, None, None, 2**31],
    "punsafe": [0.5, None, None, None, None, None, None],
    "source_hash": [-5, None, None, None, None, None, 5 - 2**63],
    "problem": [None, "no_url", None, "no_url", "no_url", "unreadable_row", None],
}
# As published (Ejafa/ye-pop): one object per file, whose keys are file names without extension.
YE_POP = {
    f"{number:09d}": {
        "filename": f"{number:09d}.jpg",
        "url": url,
        "cogvlm_caption": 'The image shows {a cat}, "[sitting]".',
        "llava_caption": "A cat",
        "nsfw_prediction": {"drawings": 0.5, "neutral": 0.5},
        "alt_txt": text,
        "alt_txt_similarity": 0.5,
        "width": 256,
        "height": 256,
        "original_width": width,
        "original_height": height,
        "exif": "{}",
    }
    for number, (url, text, width, height) in enumerate(
        zip(URLS, TEXTS, [640, None, "0"], [480, None, 1.0], strict=True)
    )
}
YE_POP_CAPTIONS = ['The image shows {a cat}, "[sitting]".', "A cat"]
YE_POP_READ = {name: LAION[name] for name in LAION if name != "similarity"} | {
    "text": ["A cat", YE_POP_CAPTIONS[0], YE_POP_CAPTIONS[0]],
    "alt_texts": [YE_POP_CAPTIONS[:1], YE_POP_CAPTIONS[1:], YE_POP_CAPTIONS[1:]],
}
_LINES = "\n".join(map(json.dumps, OBJECTS)).encode()
TEXT_FILES: dict[str, tuple[str, bytes, Columns]] = {
    "csv": ("l.csv", _delimited("csv"), DELIMITED),
    "tsv": ("l.tsv", _delimited("tsv"), DELIMITED),
    "CC12M: tsv without header": (
        "cc12m.tsv",
        f"{ONE}\tA cat\n{TWO}\t\n{ONE}\n\t\n".encode(),
        {"url": [ONE, TWO, ONE, ""], "text": ["A cat", "", None, ""]},
    ),
    "CC12M whose first row has no caption": (
        "cc12m.tsv",
        f"{ONE}\n{TWO}\tA cat\n".encode(),
        {"url": [ONE, TWO], "text": [None, "A cat"]},
    ),
    "jsonl": ("l.jsonl", _LINES, OBJECTS_READ),
    "JSON lines in .json": ("l.json", _LINES, OBJECTS_READ),
    "JSON array": ("l.json", json.dumps(OBJECTS).encode(), OBJECTS_READ),
    "indented JSON array": ("l.json", b"\xef\xbb\xbf" + json.dumps(OBJECTS, indent=2).encode(), OBJECTS_READ),
    "ye-pop": ("chunk_0.0.json", json.dumps(YE_POP).encode(), YE_POP_READ),
    "indented ye-pop": ("chunk_0.0.json", json.dumps(YE_POP, indent=4).encode(), YE_POP_READ),
    "ye-pop as JSON array": ("l.json", json.dumps([*YE_POP.values()]).encode(), YE_POP_READ),
}
PACK: dict[str, Callable[[bytes], bytes]] = {
    "": bytes,
    ".gz": lambda content: gzip.compress(content, 1),
    ".bz2": bz2.compress,
    ".xz": lzma.compress,
}


@pytest.mark.parametrize("pack", PACK)
@pytest.mark.parametrize("name", TEXT_FILES)
def test_text_files(tmp_path: Path, root: Location, name: str, pack: str) -> None:
    file, content, expected = TEXT_FILES[name]
    (tmp_path / f"{file}{pack}").write_bytes(PACK[pack](content))
    for rows_per_shard in (1, 2, 10) if pack in ("", ".gz") else (2,):
        _assert_rows(_read_all(Source(path=str(tmp_path), rows_per_shard=rows_per_shard), root), expected)


PICTURES = [picture(1), picture(2, kind="PNG")]
CELLS: dict[str, Any] = {
    "binary": pa.array([*PICTURES, None, b""]),
    "large binary": pa.array([*PICTURES, None, b""], pa.large_binary()),
    "binary view": pa.array([*PICTURES, None, b""], pa.binary_view()),
    "Hugging Face struct": [
        {"bytes": PICTURES[0], "path": "1.jpg"},
        {"bytes": PICTURES[1], "path": None},
        {"bytes": None, "path": "3.jpg"},
        {"bytes": b"", "path": "4.jpg"},
    ],
    "Hugging Face struct, null": [
        *[{"bytes": body, "path": ""} for body in PICTURES],
        None,
        {"bytes": b"", "path": ""},
    ],
}


@pytest.mark.parametrize("cells", CELLS)
def test_embedded_images(tmp_path: Path, root: Location, cells: str) -> None:
    table = pa.table({"image": CELLS[cells], "text": ["A cat", None, "", " "], "label": [1, 2, None, 4]})
    pq.write_table(table, tmp_path / "l.parquet", row_group_size=3)
    source = Source(path=str(tmp_path), rows_per_shard=2)
    locators = [f"l.parquet#{row}" for row in range(4)]
    _assert_rows(_read_all(source, root), {"text": ["A cat", None, "", " "], "locator": locators})
    registry = register(source, None, root)
    bodies = [
        fetched
        for shard in registry["shard"]
        for fetched in images_of(
            source, entry_of(registry, shard), read_rows(source, entry_of(registry, shard), root), Ingest()
        )
    ]
    assert [(each.source_row, each.body, each.reason) for each in bodies] == [
        (0, PICTURES[0], None),
        (1, PICTURES[1], None),
        (2, None, "no_image"),
        (3, None, "no_image"),
    ]


@pytest.mark.parametrize("described", [False, True])
def test_folder(tmp_path: Path, root: Location, described: bool) -> None:
    (tmp_path / "sub").mkdir()
    for name in ("1.jpg", "2.PNG", "sub/3.webp", "sub/4.jpeg"):
        (tmp_path / name).write_bytes(b"image")
    (tmp_path / "1.json").write_text("{}")  # img2dataset writes these beside the images
    expected: Columns = {"locator": ["1.jpg", "2.PNG", "sub/3.webp", "sub/4.jpeg"]}
    if described:
        lines = [
            {"file": "sub/3.webp", "text": "A cat", "url": TWO, "WIDTH": 640.0, "punsafe": None, "tags": ["a"]},
            {"file_name": "2.PNG", "caption": " ", "width": "x", "punsafe": 0.5},
            {"file": "1.jpg"},
            {"file": "gone.jpg", "text": "of another folder"},
        ]
        (tmp_path / "metadata.jsonl").write_text("\n".join(map(json.dumps, lines)))
        expected |= {
            "url": [None, None, TWO, None],
            "text": [None, " ", "A cat", None],
            "source_width": [None, None, 640, None],
            "punsafe": [None, 0.5, None, None],
        }
    _assert_rows(_read_all(Source(path=str(tmp_path), rows_per_shard=3), root), expected)


def test_webdataset(tmp_path: Path, root: Location) -> None:
    described = {"url": TWO, "caption": "from JSON", "original_width": 640.0, "punsafe": math.nan, "tags": ["a"]}
    members = {
        "000000000.jpg": b"image",
        "000000000.json": json.dumps(described).encode(),
        "000000000.txt": b"caf\xe9",
        "000000001.jpg": b"image",
        "000000001.json": b"[1, 2]",
        "000000002.jpg": b"image",
        "000000002.json": b'{"caption": ',
        "000000003.json": json.dumps({"caption": "no image", "width": None}).encode(),
        "000000004.png": b"image",
    }
    with tarfile.open(tmp_path / "00000.tar", "w") as tar:
        for name, content in members.items():
            info = tarfile.TarInfo(name)
            info.size = len(content)
            tar.addfile(info, io.BytesIO(content))
    (tmp_path / "00000_stats.json").write_text('{"count": 5}')  # img2dataset writes it beside the tar
    expected = {
        "url": [TWO, None, None, None, None],
        "text": ["from JSON", None, None, "no image", None],  # the text is no UTF-8
        "source_width": [640, None, None, None, None],
        "locator": [f"00000.tar:{name}" for name in ("000000000.jpg", "000000001.jpg", "000000002.jpg", "000000003")]
        + ["00000.tar:000000004.png"],
    }
    _assert_rows(_read_all(Source(path=str(tmp_path), rows_per_shard=2), root), expected)

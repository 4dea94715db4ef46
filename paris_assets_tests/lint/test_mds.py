"""Every kind of defect of an MDS folder is named, and sound ones of any writer by none."""

from __future__ import annotations

import hashlib
import json
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from paris_assets.lint.mds_values import size_of
from paris_assets_tests.lint.conftest import Lint
from paris_assets_tests.lint.made import COLUMNS, SIZES, edit_index, mds, mds_bytes, mds_sample, seal

GOLDEN = "d5844c0b917cd1cc998a54625ded854961956099"  # sha1 of two samples, by the library's own writer
SHARD = "shard.00000.mds"
ROWS = [[mds_sample(number) for number in range(6)], [mds_sample(number) for number in range(6, 12)]]


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    return mds(tmp_path / "mds", ROWS)


def test_what_the_tests_write_is_what_the_library_writes() -> None:
    """Bytes of the library: https://github.com/mosaicml/streaming, release 0.13, on the same two samples."""
    rows = [
        {**mds_sample(number), "latent": bytes(range(number, number + 4)), "text": _text(number)} for number in range(2)
    ]
    assert hashlib.sha1(mds_bytes(rows, COLUMNS, SIZES)).hexdigest() == GOLDEN


def _text(number: int) -> bytes:
    return bytes([8, 1 + number, 3]) + np.full((1 + number, 3), 0.5, np.float16).tobytes()


def test_sound_folders(folder: Path, tmp_path: Path, lint: Lint) -> None:
    assert lint(folder) == []
    assert lint(folder / "index.json") == []
    mds(tmp_path / "packed", ROWS, compression="zstd:3")
    assert lint(tmp_path / "packed") == []
    parts = tmp_path / "parts"
    entries = []
    for name, rows in (("0", ROWS[:1]), ("1", ROWS[1:])):
        mds(parts / name, rows)
        for entry in json.loads((parts / name / "index.json").read_text())["shards"]:
            entry["raw_data"]["basename"] = f"{name}/{entry['raw_data']['basename']}"
            entries.append(entry)
    (parts / "index.json").write_text(json.dumps({"shards": entries, "version": 2}))
    assert lint(parts) == [], "an index of merged parts beside those of the parts"


def test_a_single_sample_and_values_of_every_kind(tmp_path: Path, lint: Lint) -> None:
    columns = {"a": "bytes", "b": "float32", "c": "int", "d": "json", "e": "ndarray", "f": "str_int"}
    values = {"a": b"x", "b": np.float32(1).tobytes(), "c": (1).to_bytes(8, "little"), "d": b'{"k": 1}',
              "e": bytes([18, 4, 2]) + np.array([1, 2], np.float16).tobytes(), "f": b"12"}  # fmt: skip
    sizes = {name: size_of(encoding) for name, encoding in columns.items()}
    assert sizes == {"a": None, "b": 4, "c": 8, "d": None, "e": None, "f": None}
    assert lint(mds(tmp_path / "mds", [[values]], columns, sizes)) == []
    broken = {"b": np.float32("nan").tobytes(), "d": b"{", "e": bytes([18, 4, 3, 0, 0]), "f": b"x"}
    kinds = {"b": "not_finite", "d": "unreadable_member", "e": "bad_column", "f": "bad_column"}
    for name, value in broken.items():
        mds(tmp_path / "mds", [[{**values, name: value}]], columns, sizes)
        assert [kind for *_, kind in lint(tmp_path / "mds")] == [kinds[name]], name
    for text in (b"[1]", b"null", b"1.5", b"[" * 100_000):  # JSON, or near it, and no whole number
        mds(tmp_path / "mds", [[{**values, "f": text}]], columns, sizes)
        assert [kind for *_, kind in lint(tmp_path / "mds")] == ["bad_column"], text[:10]


@pytest.mark.parametrize(
    ("values", "kind"),
    [
        ({"samples": 7}, "count_mismatch"),
        ({"samples": "6"}, "bad_index"),
        ({"version": 1}, "bad_index"),
        ({"format": "json"}, "bad_index"),
        ({"compression": "zstd"}, "bad_index"),
        ({"compression": "lzo"}, "bad_index"),
        ({"zip_data": {"basename": "x"}}, "bad_index"),
        ({"column_names": ["id"]}, "bad_index"),
        ({"column_names": ["id", "latent", "n", "text", "text"]}, "bad_index"),
        ({"column_sizes": [None, None, 2, None, 4]}, "bad_index"),
        ({"column_encodings": ["str", "np16", "uint16", "ndarray:float16", "ndarray:float16:2"]}, "unknown_encoding"),
        ({"raw_data": {"basename": "../up.mds", "bytes": 1, "hashes": {}}}, "unsafe_name"),
        ({"raw_data": {"basename": SHARD, "bytes": 1, "hashes": {}}}, "size_mismatch"),
        ({"raw_data": {"basename": "absent.mds", "bytes": 1, "hashes": {}}}, "not_there"),
        ({"raw_data": {"basename": SHARD, "bytes": "1", "hashes": {}}}, "bad_index"),
    ],
)
def test_an_index_that_cannot_be_true(folder: Path, lint: Lint, values: dict[str, Any], kind: str) -> None:
    edit_index(folder, **values)
    assert kind in {found for *_, found in lint(folder)}


def test_an_index_that_lacks_a_key_or_holds_another_kind_of_value(folder: Path, lint: Lint) -> None:
    whole = json.loads((folder / "index.json").read_text())
    read = ("column_encodings", "column_names", "column_sizes", "compression", "format", "raw_data", "samples")
    for key in (*read, "version", "zip_data"):
        for values in ({}, {key: 3.5}, {key: [[]]}, {key: {"a": None}}, {key: ""}):
            first = {name: value for name, value in whole["shards"][0].items() if name != key} | values
            text = json.dumps({**whole, "shards": [first, whole["shards"][1]]})
            (folder / "index.json").write_text(text)
            assert {kind for *_, kind in lint(folder)} & {"bad_index", "other_columns"}, (key, values)


def test_indices_that_are_none(folder: Path, lint: Lint) -> None:
    for text, kind in (("{", "bad_index"), ('{"shards": [], "version": 2}', "empty")):
        (folder / "index.json").write_text(text)
        found = lint(folder)
        assert ("index.json", "", kind) in found
        assert {kind for name, _, kind in found if name.endswith(".mds")} == {"not_listed"}


def test_hashes_of_packed_and_plain(folder: Path, tmp_path: Path, lint: Lint) -> None:
    data = bytearray((folder / SHARD).read_bytes())
    data[-1] ^= 1
    (folder / SHARD).write_bytes(bytes(data))
    assert (SHARD, "", "hash_mismatch") in lint(folder)
    packed = mds(tmp_path / "packed", ROWS, compression="zstd:3")
    path = packed / f"{SHARD}.zstd"
    path.write_bytes(path.read_bytes()[:-9])
    assert {kind for *_, kind in lint(packed)} == {"size_mismatch", "truncated"}
    path.unlink()
    assert lint(packed) == [(path.name, "", "not_there")]


@pytest.mark.parametrize("size", [-5, 1 << 62, 10**30])
def test_sizes_that_no_memory_has(folder: Path, lint: Lint, size: int) -> None:
    (folder / f"{SHARD}.snappy").write_bytes((folder / SHARD).read_bytes())
    held = {"basename": SHARD, "bytes": size, "hashes": {}}
    packed = {"basename": f"{SHARD}.snappy", "bytes": (folder / SHARD).stat().st_size, "hashes": {}}
    edit_index(folder, raw_data=held, zip_data=packed, compression="snappy")
    assert ("index.json", "shard 0", "bad_index") in lint(folder)
    assert size < 0 or (f"{SHARD}.snappy", "", "truncated") in lint(folder)


def test_xxh64(folder: Path, lint: Lint) -> None:
    import xxhash

    data = (folder / SHARD).read_bytes()
    held = {"basename": SHARD, "bytes": len(data), "hashes": {"xxh64": xxhash.xxh64(data).hexdigest()}}
    edit_index(folder, raw_data=held)
    assert lint(folder) == []
    held["hashes"] = {"xxh64": "0" * 16}
    edit_index(folder, raw_data=held)
    assert lint(folder) == [(SHARD, "", "hash_mismatch")]


def test_shards_cut_off_anywhere(folder: Path, lint: Lint) -> None:
    """In the first number, the offsets, the header, a sample's lengths, its values: with hashes that fit, so that only
    the shard itself can tell."""
    whole = (folder / SHARD).read_bytes()
    offsets = np.frombuffer(whole[4:32], "<u4")
    for cut in (0, 2, 4, 20, 32, 100, int(offsets[0]), int(offsets[0]) + 3, int(offsets[1]) + 10, len(whole) - 1):
        (folder / SHARD).write_bytes(whole[:cut])
        seal(folder)
        assert (SHARD, "", "truncated") in lint(folder), cut
    (folder / SHARD).write_bytes(whole + b"x")
    seal(folder)
    assert lint(folder) == [(SHARD, "", "bad_offsets")]


def test_offsets_and_header(folder: Path, lint: Lint) -> None:
    whole = bytearray((folder / SHARD).read_bytes())
    for change, kind in ((slice(12, 16), "bad_offsets"), (slice(40, 44), "bad_offsets")):
        broken = bytearray(whole)
        broken[change] = b"\0\0\0\0"
        (folder / SHARD).write_bytes(bytes(broken))
        seal(folder)
        assert kind in {found for *_, found in lint(folder)}
    other = {**COLUMNS, "u": "ndarray:int16:2"}
    (folder / SHARD).write_bytes(mds_bytes(ROWS[0], other, SIZES))
    seal(folder)
    assert lint(folder) == [(SHARD, "", "other_columns")]


@pytest.mark.parametrize(
    ("column", "value", "kind"),
    [
        ("u", np.array([1, np.inf], np.float16).tobytes(), "not_finite"),
        ("latent", b"\0\0\0\0", "all_zero"),
        ("text", bytes([8, 1, 4]) + np.ones((1, 4), np.float16).tobytes(), "other_shape"),
        ("text", bytes([8, 2, 3]) + np.ones((1, 3), np.float16).tobytes(), "bad_column"),
        ("text", b"", "bad_column"),
        ("id", b"\xff", "bad_column"),
        ("id", b"a7", "repeated_key"),
        ("id", b"a1", "repeated_key"),
        ("latent", b"\0\0\0\0\0", "bad_column"),
    ],
)
def test_values(tmp_path: Path, lint: Lint, column: str, value: bytes, kind: str) -> None:
    rows = [[mds_sample(number) for number in range(first, first + 6)] for first in (0, 6)]
    rows[0][3] = {**rows[0][3], column: value}
    found = lint(mds(tmp_path / "mds", rows))
    assert [kind for *_, kind in found] == [kind]


def test_experts(tmp_path: Path, lint: Lint) -> None:
    columns, sizes = {"cluster": "int32", **COLUMNS}, {"cluster": 4, **SIZES}
    for expert in range(2):
        rows = [{"cluster": np.int32(expert).tobytes(), **mds_sample(number + 10 * expert)} for number in range(3)]
        mds(tmp_path / f"cluster_{expert}", [rows], columns, sizes)
    assert lint(tmp_path) == []
    rows = [{"cluster": np.int32(1).tobytes(), **mds_sample(2)}]
    mds(tmp_path / "cluster_0", [rows], columns, sizes)
    mds(tmp_path / "cluster_1", [rows], columns, sizes)
    assert lint(tmp_path) == [(SHARD, "a2", "wrong_expert"), (SHARD, "a2", "two_experts")]


def test_pickled_columns_are_flagged(tmp_path: Path, lint: Lint) -> None:
    found = lint(mds(tmp_path / "mds", [[{"x": b"cos\nsystem\n(S'touch ran'\ntR."}]], {"x": "pkl"}, {"x": None}))
    assert [kind for *_, kind in found] == ["pickle"]


def test_strays_and_other_columns(folder: Path, lint: Lint) -> None:
    (folder / "shard.00002.mds").write_bytes((folder / SHARD).read_bytes())
    assert lint(folder) == [("shard.00002.mds", "", "not_listed")]
    edit_index(
        folder, column_encodings=["str", "ndarray:uint8:2,2,1", "uint16", "ndarray:float16", "ndarray:float16:2"]
    )
    assert "other_columns" in {kind for *_, kind in lint(folder)}

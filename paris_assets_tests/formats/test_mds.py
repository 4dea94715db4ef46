"""MDS files are those of the library, byte by byte, and read back; torn ones are told from whole ones."""

import hashlib
import json
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import xxhash

from paris_assets.formats import mds_writer
from paris_assets.formats.mds_columns import BadValue, Column, Columns
from paris_assets.formats.mds_reader import MdsFileReader, TornMds, decompressed, read_index
from paris_assets.formats.mds_writer import MdsFile, MdsForm, TooLarge, compressed, index_bytes

COLUMNS = {
    "id": "str",
    "latent": "ndarray:uint8:1,2,2",
    "n": "uint16",
    "text": "ndarray:float16",
    "u": "ndarray:float16:2",
}
SAMPLES = [
    {
        "id": f"a{i}",
        "latent": (np.arange(4, dtype=np.uint8) + np.uint8(i)).reshape(1, 2, 2),
        "n": 7 + i,
        "text": np.full((1 + i, 3), 0.5, np.float16),
        "u": np.array([1, 2], np.float16),
    }
    for i in range(2)
]
# Made once by MDSWriter of mosaicml-streaming: see paris_assets_tests/streaming, which compares more with it.
GOLDEN_SHA1 = "d5844c0b917cd1cc998a54625ded854961956099"
GOLDEN_SAMPLES = (
    "02000000090000006130000102030700080103003800380038003c0040",
    "020000000f0000006131010203040800080203003800380038003800380038003c0040",
)
GOLDEN_INDEX = (
    '{"shards": [{"column_encodings": ["str", "ndarray:uint8:1,2,2", "uint16", "ndarray:float16", "ndarray:float16:2"],'
    ' "column_names": ["id", "latent", "n", "text", "u"], "column_sizes": [null, 4, 2, null, 4], "compression": null,'
    ' "format": "mds", "hashes": ["sha1"], "raw_data": {"basename": "shard.00000.mds", "bytes": 369, "hashes": {"sha1":'
    f' "{GOLDEN_SHA1}"}}}}, "samples": 2, "size_limit": 67108864, "version": 2, "zip_data": null}}], "version": 2}}'
)


@pytest.fixture
def threads() -> Iterator[ThreadPoolExecutor]:
    with ThreadPoolExecutor(1) as pool:
        yield pool


def made(path: Path, threads: ThreadPoolExecutor, samples: list[dict[str, Any]], **form: Any) -> dict[str, Any]:
    columns = Columns(form.pop("columns", COLUMNS))
    file = MdsFile(MdsForm(columns, **form), path, threads)
    for sample in samples:
        file.add(columns.encode(sample))
    return file.finish(path.name.removesuffix(".zstd"))


def test_files_are_those_of_the_library(tmp_path: Path, threads: ThreadPoolExecutor) -> None:
    path = tmp_path / "shard.00000.mds"
    entry = made(path, threads, SAMPLES, hashes=["sha1"])
    data = path.read_bytes()
    assert (len(data), hashlib.sha1(data).hexdigest()) == (369, GOLDEN_SHA1)
    assert np.frombuffer(data[:16], "<u4").tolist() == [2, 305, 334, 369]
    assert (data[305:334].hex(), data[334:].hex()) == GOLDEN_SAMPLES
    assert index_bytes([entry]) == GOLDEN_INDEX.encode()


def test_samples_come_back(tmp_path: Path, threads: ThreadPoolExecutor) -> None:
    for number in (1, 2):
        path = tmp_path / f"{number}.mds"
        made(path, threads, SAMPLES[:number])
        with MdsFileReader(path) as file:
            assert len(file) == number
            for found, sample in zip(file, SAMPLES, strict=False):
                assert all(np.array_equal(found[name], value) for name, value in sample.items())
            assert file.read(0, ["n"]) == {"n": 7}
            with pytest.raises(IndexError):
                file[number]
            with pytest.raises(TornMds, match="no column 'image_id' beside id, latent"):
                file.read(0, ["image_id"])


def test_texts_of_every_alphabet_and_all_types_come_back(tmp_path: Path, threads: ThreadPoolExecutor) -> None:
    columns = {"s": "str", "j": "json", "b": "bytes", "i": "int", "m": "int32", "h": "float16", "a": "ndarray:int64"}
    wide = np.arange(300, dtype=np.int64).reshape(300, 1)
    sample = {
        "s": "日本語 🙂 é\n",
        "j": {"a": [None, "é"]},
        "b": b"",
        "i": -5,
        "m": -1,
        "h": np.float16(0.5),
        "a": wide,
    }
    made(tmp_path / "a.mds", threads, [sample], columns=columns)
    with MdsFileReader(tmp_path / "a.mds") as file:
        found = file[0]
    assert np.array_equal(found.pop("a"), sample.pop("a"))
    assert found == sample


def test_samples_that_were_spilled_give_the_same_file(tmp_path: Path, threads: ThreadPoolExecutor) -> None:
    made(tmp_path / "whole.mds", threads, SAMPLES * 20, hashes=["sha256"])
    file = MdsFile(MdsForm(Columns(COLUMNS), ["sha256"]), tmp_path / "spilled.mds", threads)
    for number, sample in enumerate(SAMPLES * 20):
        file.add(Columns(COLUMNS).encode(sample))
        if number % 7 == 3:
            file.spill()
            assert file.held_bytes == 0
    entry = file.finish("spilled.mds")
    data = (tmp_path / "spilled.mds").read_bytes()
    assert data == (tmp_path / "whole.mds").read_bytes()
    assert entry["raw_data"]["hashes"]["sha256"] == hashlib.sha256(data).hexdigest()
    assert sorted(path.name for path in tmp_path.iterdir()) == ["spilled.mds", "whole.mds"]


def test_compressed_files_state_their_size_and_both_hashes(tmp_path: Path, threads: ThreadPoolExecutor) -> None:
    made(tmp_path / "a.mds", threads, SAMPLES * 50)
    for samples in (SAMPLES[:1], SAMPLES, SAMPLES * 50, SAMPLES * 2000):
        path = tmp_path / "a.mds.zstd"
        form = {"hashes": ["sha256", "xxh64"], "compression": "zstd:5"}
        entry = made(path, threads, samples, **form)
        zipped, raw = path.read_bytes(), decompressed(path.read_bytes())
        for held, data in ((entry["zip_data"], zipped), (entry["raw_data"], raw)):
            assert held["bytes"] == len(data)
            assert held["hashes"]["sha256"] == hashlib.sha256(data).hexdigest()
            assert held["hashes"]["xxh64"] == xxhash.xxh64(data).hexdigest()
        assert (entry["raw_data"]["basename"], entry["zip_data"]["basename"]) == ("a.mds", "a.mds.zstd")
        with MdsFileReader(path) as file:
            assert [sample["id"] for sample in file] == [sample["id"] for sample in samples]


def test_a_file_takes_samples_up_to_its_limit_and_one_of_any_size(tmp_path: Path, threads: ThreadPoolExecutor) -> None:
    columns = Columns({"b": "bytes"})
    form = MdsForm(columns, (), None, 2000)
    file = MdsFile(form, tmp_path / "a.mds", threads)
    large = columns.encode({"b": bytes(5000)})
    assert file.takes(large)
    file.add(large)
    assert not file.takes(b"")
    again = MdsFile(form, tmp_path / "b.mds", threads)
    first = columns.encode({"b": bytes(100)})
    again.add(first)
    rest = 2000 - 8 - len(form.header) - len(first) - 4 - 4
    assert again.takes(bytes(rest))
    assert not again.takes(bytes(rest + 1))
    again.add(bytes(rest))
    again.finish("b.mds")
    assert (tmp_path / "b.mds").stat().st_size == 2000


def test_no_file_grows_beyond_what_its_positions_can_say(
    tmp_path: Path, threads: ThreadPoolExecutor, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(mds_writer, "LARGEST_FILE", 3000)
    file = MdsFile(MdsForm(Columns({"b": "bytes"})), tmp_path / "a.mds", threads)
    with pytest.raises(TooLarge, match=r"a\.mds: a sample of 5,000 bytes"):
        file.add(bytes(5000))
    with pytest.raises(ValueError, match="less than 4294967296"):
        load_with(1 << 32)
    load_with((1 << 32) - 1)


def load_with(size_limit: int) -> None:
    from paris_assets.profiles import load_profile

    load_profile("demo", {"experts.mds.size_limit": size_limit})


@pytest.mark.parametrize("size", [0, 1, 4, 11, 15, 16, 100, 304, 305, 320, 334, 368])
def test_a_truncated_file_is_refused(tmp_path: Path, threads: ThreadPoolExecutor, size: int) -> None:
    path = tmp_path / "a.mds"
    made(path, threads, SAMPLES, hashes=["sha1"])
    path.write_bytes(path.read_bytes()[:size])
    with pytest.raises(TornMds):
        MdsFileReader(path)


def test_a_truncated_frame_is_refused(tmp_path: Path, threads: ThreadPoolExecutor) -> None:
    data = compressed(bytes(range(256)) * 20, "zstd:3")
    assert decompressed(data) == bytes(range(256)) * 20
    for size in (0, 3, 5, 8, len(data) // 2, len(data) - 1):
        with pytest.raises(TornMds):
            decompressed(data[:size])
    for size in (-1, 5119, 5121, 1 << 40, 10**30):
        with pytest.raises(TornMds):
            decompressed(data, size)


def test_bytes_that_are_no_sample_are_named(tmp_path: Path, threads: ThreadPoolExecutor) -> None:
    path = tmp_path / "a.mds"
    made(path, threads, SAMPLES)
    data = bytearray(path.read_bytes())
    start = int(np.frombuffer(bytes(data[8:12]), "<u4")[0])
    for at, value in ((start, 200), (start + 4, 200), (start + 16, 255)):  # a length, a length, axes of an array
        path.write_bytes(bytes(data[:at]) + bytes([value]) + bytes(data[at + 1 :]))
        with MdsFileReader(path) as file, pytest.raises(TornMds, match="sample 1: "):
            file[1]


def test_an_index_of_anything_else_is_refused() -> None:
    index = json.loads(GOLDEN_INDEX)
    (entry,) = read_index(GOLDEN_INDEX)
    assert (entry.path, entry.samples, entry.size_bytes, entry.columns) == ("shard.00000.mds", 2, 369, COLUMNS)
    assert entry.hashes == {"sha1": GOLDEN_SHA1}
    outside = {**index["shards"][0], "raw_data": {"basename": "../a.mds", "bytes": 1, "hashes": {}}}
    for wrong in ([], {}, {"version": 1, "shards": []}, {**index, "shards": [{}]}, {**index, "shards": [outside]}):
        with pytest.raises(TornMds):
            read_index(json.dumps(wrong))
    with pytest.raises(TornMds):
        read_index(b"\xff")
    count = len(index["shards"][0]["column_names"])
    for name, wrong in (("names", 3), ("encodings", 5), ("sizes", "4"), ("sizes", -4), ("sizes", True)):
        changed = {**index["shards"][0], f"column_{name}": [wrong] * count}
        with pytest.raises(TornMds, match="a column that cannot be"):
            read_index(json.dumps({**index, "shards": [changed]}))
    packed = {**index["shards"][0], "zip_data": index["shards"][0]["raw_data"]}
    for wrong in (None, "br:11"):
        with pytest.raises(TornMds, match=f"compression {wrong}, where zstd is read"):
            read_index(json.dumps({**index, "shards": [{**packed, "compression": wrong}]}))


def test_columns_of_others_are_read_in_the_order_of_their_index() -> None:
    encodings = {"z": "ndarray", "p": "pkl", "n": "str_int", "f": "str_float", "j": "jpeg", "a": "uint16"}
    sizes = {"z": None, "p": None, "n": None, "f": None, "j": 3, "a": 2}
    columns = Columns(encodings, sizes)
    array = bytes([18, 2 << 2 | 1]) + np.array([300, 1], "<u2").tobytes() + np.arange(300, dtype="<f2").tobytes()
    values = {"z": array, "p": b"....", "n": b"12", "f": b"0.5", "j": b"jpg", "a": b"\1\0"}
    lengths = np.array([len(values[name]) for name in sizes if sizes[name] is None], "<u4").tobytes()
    data = lengths + b"".join(values.values())
    assert columns.head_bytes == len(lengths)
    parts = columns.parts(data[: columns.head_bytes], len(data))
    found = {name: columns.by_name[name].decode(data[slice(*part)]) for name, part in parts.items()}
    assert np.array_equal(found.pop("z"), np.arange(300, dtype=np.float16).reshape(300, 1))
    assert found == {"p": b"....", "n": 12, "f": 0.5, "j": b"jpg", "a": 1}
    with pytest.raises(BadValue):
        columns.by_name["z"].encode(np.zeros(3, np.float16))
    with pytest.raises(ValueError, match="column 'a' of size 4, where uint16 has 2"):
        Columns(encodings, {**sizes, "a": 4})
    with pytest.raises(ValueError, match="an array without its type"):
        columns.by_name["z"].array_head(b"\x07", 8)


@pytest.mark.parametrize("encoding", ["pkl", "jpeg", "bool", "ndarray:", "ndarray:bfloat16", "uint8:1", "ndarray:x:1"])
def test_encodings_that_readers_cannot_be_trusted_with_are_refused(encoding: str) -> None:
    with pytest.raises(ValueError, match="no encoding"):
        Column("a", encoding)


def test_a_value_of_another_shape_or_type_is_named() -> None:
    column = Column("latent", "ndarray:float16:2,2")
    for value in (np.zeros((2, 3), np.float16), np.zeros((2, 2), np.float32)):
        with pytest.raises(BadValue, match="'latent'"):
            column.encode(value)
    with pytest.raises(BadValue):
        Column("text", "ndarray:float16").encode(np.zeros((0, 3), np.float16))

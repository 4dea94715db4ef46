"""The same samples out of every format and place."""

from __future__ import annotations

import json
import subprocess
import sys
from collections.abc import Callable
from copy import deepcopy
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from paris_assets.errors import UsageError, UserError
from paris_assets.experts.arrays import Sample
from paris_assets.storage.location import Location
from paris_assets.training.codec import BadCodec
from paris_assets.training.listing import CorruptSample, Fault, checked_id
from paris_assets.training.places import MissingFiles
from paris_assets.training.samples import ExpertSamples
from paris_assets_tests.fixtures import training_files as made

KINDS: dict[str, dict[str, Any]] = {
    "webdataset": {},
    "mds": {},
    "mds packed": {"packed": True},
    "parquet": {},
    "parquet bytes": {"style": "bytes"},
    "parquet tensors": {"style": "tensors"},
}
every_format = pytest.mark.parametrize("kind", KINDS)
Files = list[list[Sample]]


def write(root: Path, kind: str, files: Files) -> Path:
    return made.write(root, kind.split()[0], files, **KINDS[kind])


def same(read: dict[str, Any], sample: Sample, latent: np.ndarray, text: np.ndarray | None = None) -> bool:
    text = sample.text if text is None else text
    told = {name: read[name] for name in ("image_id", "caption", "cluster", "split", "tokens", "group_id")}
    mask = np.arange(len(text)) < sample.metadata["tokens"]
    arrays = {"latent": latent, "text": text, "mask": mask}
    return told == {name: sample.metadata[name] for name in told} and all(
        np.array_equal(read[name], array) and read[name].dtype == array.dtype for name, array in arrays.items()
    )


@every_format
def test_samples_are_read_as_they_were_written_in_the_order_of_files(tmp_path: Path, kind: str) -> None:
    files = [made.samples(11), made.samples(3, first=20)]
    samples = ExpertSamples(write(tmp_path, kind, files), 0)
    written = [each for part in files for each in part]
    assert len(samples) == 14
    assert all(same(samples[at], each, each.latents[64]) for at, each in enumerate(written))
    assert same(samples[-1], written[-1], written[-1].latents[64])
    assert samples.metadata(3)["group_id"] == written[3].metadata["group_id"]
    with pytest.raises(IndexError, match="sample 14 of 14"):
        samples[14]


@pytest.mark.parametrize("kind", ["webdataset", "mds", "mds packed", "parquet", "parquet bytes"])
def test_ragged_text_and_latents_of_several_sizes_and_shapes(tmp_path: Path, kind: str) -> None:
    shapes = [{64: (4, 8, 8), 128: (4, 16, 16)}, {64: (4, 4, 16), 128: (4, 8, 32)}]
    if kind == "parquet":  # lists of one size
        shapes[1] = shapes[0]
    parts = [[made.sample(number, shapes[number % 2], ragged=True) for number in range(6)]]
    parts.append([made.sample(number, {64: (4, 8, 8)}, ragged=True) for number in range(6, 9)])
    root = write(tmp_path, kind, parts)
    samples = ExpertSamples(root, 0)
    assert len(samples) == 9
    assert all(same(samples[at], each, each.latents[64]) for at, each in enumerate([*parts[0], *parts[1]]))
    larger = ExpertSamples(root, 0, resolution=128)
    assert (len(larger), larger.absent) == (6, 3)
    assert all(same(larger[at], each, each.latents[128]) for at, each in enumerate(parts[0]))
    with pytest.raises(UsageError, match="9 have no latent of 512 pixels"):
        ExpertSamples(root, 0, resolution=512)


def test_sides_of_the_split(tmp_path: Path) -> None:
    written = made.samples(20)
    root = write(tmp_path, "webdataset", [written])
    sides = {side: ExpertSamples(root, 0, split=side) for side in ("train", "validation")}
    for side, number in {"train": 0, "validation": 1}.items():
        wanted = [each.metadata["image_id"] for each in written if each.metadata["split"] == number]
        assert [sides[side][at]["image_id"] for at in range(len(sides[side]))] == wanted
    with pytest.raises(UsageError, match="no split 'test'"):
        ExpertSamples(root, 0, split="test")
    write(tmp_path / "other", "webdataset", [made.samples(3, split=0)])
    with pytest.raises(UsageError, match=r"no sample of the split validation.*3 of both"):
        ExpertSamples(tmp_path / "other", 0, split="validation")


@pytest.mark.parametrize("packed", [False, True])
def test_eight_bits_are_decoded_and_zero_stays_zero(tmp_path: Path, packed: bool) -> None:
    written = made.samples(5, ragged=True)
    written[0].text[0] = 0
    root = made.write(tmp_path, "mds", [written], packed=packed, eight_bits=True)
    samples = ExpertSamples(root, 0)
    for at, each in enumerate(written):
        latent, text = (
            (made.quantised(array, kind).astype(np.float32) - 128) * np.float32(made.SCALES[kind])
            for array, kind in ((each.latents[64], "latents"), (each.text, "text"))
        )
        assert same(samples[at], each, latent, text)
    assert not samples[0]["text"][0].any()
    codec = root / "expert_mds/codec.json"
    codec.write_text(made.codec_json({"latents": [0.05] * 4, "text": [0.02] * made.TEXT_DIM}))
    assert np.array_equal(ExpertSamples(root, 0)[1]["latent"], samples[1]["latent"])
    codec.write_text(made.codec_json({"latents": -1}))
    with pytest.raises(BadCodec, match=r"codec\.json: scales of a codec are positive numbers"):
        ExpertSamples(root, 0)
    codec.write_text(made.codec_json({"latents": [0.05] * 3}))
    with pytest.raises(BadCodec, match=r"not that of these latents .* has not 3 channels"):
        ExpertSamples(root, 0)[0]
    codec.unlink()
    with pytest.raises(BadCodec, match=r"latents are stored in 8 bits, and no codec\.json"):
        ExpertSamples(root, 0)[0]


def test_mds_in_folders_of_sizes_and_sides(tmp_path: Path) -> None:
    written = made.samples(12)
    folders = {"64/train": written[:5], "64/validation": written[5:7], "64-128": written[7:]}
    for folder, part in folders.items():
        (tmp_path / f"expert_mds/cluster_0/{folder}").mkdir(parents=True)
        made.write_mds(tmp_path / f"expert_mds/cluster_0/{folder}", [part])
    samples = ExpertSamples(tmp_path, 0)
    names = [each.metadata["image_id"] for each in written]
    assert [samples[at]["image_id"] for at in range(12)] == [*names[7:], *names[:7]]


@pytest.mark.parametrize("where", ["{root}", "{root}/pipeline_manifest.json", "{root}/expert_shards", "{own}"])
def test_places(tmp_path: Path, where: str) -> None:
    written = made.samples(4)
    root = write(tmp_path / "root", "webdataset", [written])
    write(tmp_path / "own", "webdataset", [written])
    own = (tmp_path / "own/expert_shards").rename(tmp_path / "cut")
    entry = {"path": "expert_shards/cluster_0/00000-00000.tar", "samples": 4}
    form = {"latents": {"resolution": 64}}
    (root / "pipeline_manifest.json").write_text(json.dumps({"files": [entry], "format": form}))
    (root / "expert_shards/cluster_0/00009-00000.tar").write_bytes(b"in the making: the manifest does not list it")
    samples = ExpertSamples(where.format(root=root, own=own), 0)
    assert [samples[at]["image_id"] for at in range(4)] == [each.metadata["image_id"] for each in written]
    assert len(ExpertSamples(root, 0, resolution=64)) == 4  # which only the manifest tells of latent.npy


def test_all_experts_in_one_table(tmp_path: Path) -> None:
    parts = [made.samples(4), made.samples(6, first=10, cluster=1)]
    made.write_parquet(tmp_path, [[*parts[0], *parts[1]]])
    for cluster, part in enumerate(parts):
        samples = ExpertSamples(tmp_path, cluster)
        wanted = [each.metadata["image_id"] for each in part]
        assert [samples[at]["image_id"] for at in range(len(samples))] == wanted


def test_what_is_missing_is_named(tmp_path: Path) -> None:
    with pytest.raises(MissingFiles, match="nothing is no folder"):
        ExpertSamples(tmp_path / "nothing", 0)
    with pytest.raises(MissingFiles, match=r"pipeline_manifest\.json is not there"):
        ExpertSamples(tmp_path / "pipeline_manifest.json", 0)
    with pytest.raises(MissingFiles, match=r"no training files of expert 3; looked for .*cluster_3/\*\.tar"):
        ExpertSamples(tmp_path, 3)
    with pytest.raises(UsageError, match="no format 'tars'"):
        ExpertSamples(tmp_path, 0, format="tars")
    (tmp_path / "pipeline_manifest.json").write_text("[]")
    with pytest.raises(UsageError, match="lists no files"):
        ExpertSamples(tmp_path, 0)
    listed = {"files": [{"path": "expert_shards/cluster_0/00000-00000.tar"}]}
    (tmp_path / "pipeline_manifest.json").write_text(json.dumps(listed))
    with pytest.raises(MissingFiles, match=r"00000-00000\.tar is not there"):
        ExpertSamples(tmp_path, 0)
    root = write(tmp_path / "other", "mds", [made.samples(3)])
    (made.folder_of(root, "mds") / "00000-00000.mds").unlink()
    with pytest.raises(MissingFiles, match=r"00000-00000\.mds is not there"):
        ExpertSamples(root, 0)


def cut(data: bytes) -> bytes:
    return data[: len(data) // 2]


def replaced(old: bytes, new: bytes) -> Callable[[bytes], bytes]:
    def change(data: bytes) -> bytes:
        assert len(old) == len(new)
        assert old in data
        at = data.rindex(old)
        return data[:at] + new + data[at + len(old) :]

    return change


DAMAGE = {
    "torn": ("webdataset", cut, "a torn tar after sample", 3),
    "no member": ("webdataset", replaced(b"latent.npy", b"lament.npy"), "a torn tar after sample", 1),
    "no JSON": ("webdataset", replaced(b'{"image_id"', b'{"image_id?'), r"metadata\.json is no JSON", 1),
    "no split": ("webdataset", replaced(b'"split"', b'"spilt"'), "no number split", 1),
    "no array": ("webdataset", replaced(b"\x93NUMPY", b"\x93NUMPI"), r"latent\.npy is no \.npy file", 1),
    "cut off": ("mds", cut, r"00000-00000\.mds: sample \(of the whole file\): .* positions of 6 samples end at", 6),
    "no header": ("mds", lambda data: b"", "cut off: 0 bytes", 6),
    "other count": ("mds", lambda data: b"\x09" + data[1:], "positions of 9 samples", 6),
    "no text": ("mds", replaced(b"\xc3\xa9", b"\xff\xff"), "column 'caption' is no str", 1),
}


@pytest.mark.parametrize("damage", DAMAGE)
def test_a_corrupt_sample_is_named_and_where_allowed_counted(tmp_path: Path, damage: str) -> None:
    kind, change, said, lost = DAMAGE[damage]
    root = write(tmp_path, kind, [made.samples(6, ragged=True), made.samples(3, first=30)])
    path = min(made.folder_of(root, kind).glob("*-*"))
    path.write_bytes(change(path.read_bytes()))
    with pytest.raises(CorruptSample, match=said) as error:
        ExpertSamples(root, 0)
    assert str(error.value).startswith(f"{path}: sample ")
    samples = ExpertSamples(root, 0, on_corrupt="skip")
    assert len(samples) == 6 - lost + 3
    assert [str(each) for each in samples.corrupt] == [str(error.value)]


WRONG: dict[str, Any] = {"split": 300, "cluster": 1 << 40, "tokens": -1, "weight": float("nan")}


@pytest.mark.parametrize("name", WRONG)
def test_numbers_that_cannot_be_are_those_of_one_sample(tmp_path: Path, name: str) -> None:
    written = made.samples(4)
    written[1].metadata[name] = WRONG[name]
    made.write(tmp_path, "webdataset", [written])
    with pytest.raises(CorruptSample, match=rf"{name}\b.*in its metadata"):
        ExpertSamples(tmp_path, 0)
    samples = ExpertSamples(tmp_path, 0, on_corrupt="skip")
    assert (len(samples), len(samples.corrupt)) == (3, 1)


@pytest.mark.parametrize("id_of", [7, None, "x" * 65])
def test_a_key_that_cannot_be_is_that_of_one_sample(tmp_path: Path, id_of: Any) -> None:
    made.write(tmp_path, "mds", [made.samples(3)])
    index = made.folder_of(tmp_path, "mds") / "index.json"
    told = json.loads(index.read_text())
    names, encodings = (told["shards"][0][f"column_{each}"] for each in ("names", "encodings"))
    encodings[names.index("image_id")] = "bytes"  # so that nothing but the metadata tells it
    index.write_text(json.dumps(told))
    with pytest.raises(CorruptSample, match="a key that is no text: None"):
        ExpertSamples(tmp_path, 0)
    with pytest.raises(Fault, match="a key"):
        checked_id(id_of)


def test_what_changes_after_listing_is_named(tmp_path: Path) -> None:
    root = write(tmp_path, "webdataset", [made.samples(4)])
    (path,) = made.folder_of(root, "webdataset").glob("*.tar")
    samples = ExpertSamples(root, 0)
    path.write_bytes(path.read_bytes()[:5000])
    image_id = made.samples(4)[3].metadata["image_id"]
    with pytest.raises(CorruptSample, match=rf"{path}: sample {image_id}: other bytes"):
        deepcopy(samples)[3]


def test_parquet_that_lacks_a_column_or_is_none(tmp_path: Path) -> None:
    import pyarrow as pa
    import pyarrow.parquet as pq

    pq.write_table(pa.table({"image_id": ["a"], "cluster": [0]}), tmp_path / "a.parquet")
    with pytest.raises(UserError, match="lacks the columns caption, split, text, latent_RESOLUTION"):
        ExpertSamples(tmp_path, 0)
    (tmp_path / "a.parquet").write_bytes(b"no table")
    with pytest.raises(UserError, match="is no Parquet file"):
        ExpertSamples(tmp_path, 0)


def test_a_damaged_row_group_is_named(tmp_path: Path) -> None:
    root = write(tmp_path, "parquet", [made.samples(8)])
    (path,) = made.folder_of(root, "parquet").glob("*.parquet")
    samples = ExpertSamples(root, 0, on_corrupt="skip")
    data = path.read_bytes()
    path.write_bytes(data[:4] + b"\xff" * 2000 + data[2004:])
    first = made.samples(8)[0].metadata["image_id"]
    with pytest.raises(CorruptSample, match=f"{path}: sample {first}: its row group"):
        deepcopy(samples)[0]
    assert deepcopy(samples)[7]["caption"]
    with pytest.raises(CorruptSample, match=rf"{path}: sample \(of row group 0\): its row group"):
        ExpertSamples(root, 0)
    left = ExpertSamples(root, 0, on_corrupt="skip")
    assert (len(left), len(left.corrupt), left[3]["caption"]) == (4, 1, samples[7]["caption"])


def test_an_index_that_is_none(tmp_path: Path) -> None:
    root = write(tmp_path, "mds", [made.samples(3)])
    index = made.folder_of(root, "mds") / "index.json"
    told = json.loads(index.read_text())
    told["shards"][0] |= {"compression": "br:11", "zip_data": told["shards"][0]["raw_data"]}
    told_none = r"no index of MDS files \(KeyError: 'version'\)"
    for content, said in (("{}", told_none), (json.dumps(told), "compression br:11, where zstd is read")):
        index.write_text(content)
        with pytest.raises(UserError, match=said):
            ExpertSamples(root, 0)


@pytest.mark.parametrize(
    ("kind", "cached"),
    [("webdataset", False), ("webdataset", True), ("mds", False), ("mds packed", False), ("parquet", False)],
)
def test_objects_are_read_like_files(tmp_path: Path, s3_url: str, kind: str, cached: bool) -> None:
    written = [made.samples(5), made.samples(2, first=40)]
    root = write(tmp_path / "root", kind, written)
    remote = Location(f"{s3_url}/{kind.replace(' ', '-')}-{cached}")
    for path in root.rglob("*.*"):
        remote.put_bytes(path.read_bytes(), str(path.relative_to(root)))
    samples = ExpertSamples(remote.url, 0, cache=tmp_path / "cache" if cached else None)
    for at, each in enumerate([*written[0], *written[1]]):
        assert same(samples[at], each, each.latents[64])
    assert (tmp_path / "cache").exists() == cached


def test_reading_needs_neither_dagster_nor_torch(tmp_path: Path) -> None:
    write(tmp_path, "webdataset", [made.samples(2)])
    code = (
        "import sys; from paris_assets.training import ExpertSamples; print(len(ExpertSamples(sys.argv[1], 0)));"
        "print(*[name for name in ('dagster', 'torch', 'sklearn', 'pandas') if name in sys.modules])"
    )
    run = subprocess.run([sys.executable, "-c", code, tmp_path], capture_output=True, text=True, check=True)
    assert run.stdout.split() == ["2"]

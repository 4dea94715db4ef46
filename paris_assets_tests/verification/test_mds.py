"""`paris verify` reads MDS files, indices and codecs back, and names each kind of defect in a line of its own."""

import json
import shutil
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from paris_assets.formats.mds_columns import Columns
from paris_assets.formats.mds_reader import MdsFileReader, read_index
from paris_assets.formats.mds_writer import MdsFile, MdsForm, index_bytes
from paris_assets.verification.findings import made_again
from paris_assets_tests.verification.published import edit_manifest, publish_two_shards, seal
from paris_assets_tests.verification.test_published import assert_named, problems

FOLDER = "expert_mds/cluster_0/256"
FILE = f"{FOLDER}/00000-00000.mds"
CODED = {"experts.codec": {"latents": {}, "text": {}}, "experts.formats": ["webdataset", "mds"]}


@pytest.fixture(scope="module")
def sound(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("mds") / "root"
    publish_two_shards(folder, **CODED)
    return folder


@pytest.fixture
def folder(sound: Path, tmp_path: Path) -> Path:
    return Path(shutil.copytree(sound, tmp_path / "root"))


def rewrite(folder: Path, change: Callable[[list[dict[str, Any]]], Any], file: str = FILE) -> None:
    """Change the samples of a file, and its entry in the index and the manifest alike."""
    (entry,) = [one for one in read_index((folder / FOLDER / "index.json").read_bytes()) if one.path in file]
    with MdsFileReader(folder / file) as reader:
        samples = list(reader)
    change(samples)
    form = MdsForm(Columns(entry.columns), ["sha256", "xxh64"])
    with ThreadPoolExecutor(1) as threads:
        made = MdsFile(form, folder / file, threads)
        for sample in samples:
            made.add(form.columns.encode(sample))
        replace_entry(folder, made.finish(entry.path))
    seal(folder)


def replace_entry(folder: Path, entry: dict[str, Any]) -> None:
    path = folder / FOLDER / "index.json"
    shards = json.loads(path.read_text())["shards"]
    others = [one for one in shards if one["raw_data"]["basename"] != entry["raw_data"]["basename"]]
    path.write_bytes(index_bytes([*others, entry]))


@pytest.mark.parametrize(
    "settings",
    [
        {"experts.formats": ["mds"]},
        {"experts.formats": ["mds", "webdataset"], "experts.mds.compression": "zstd", "experts.split_tars": True},
        CODED | {"experts.formats": ["webdataset"]},
    ],
    ids=["mds alone", "both, compressed, sides apart", "coded tars"],
)
def test_a_sound_folder_has_no_problem(tmp_path: Path, settings: dict[str, Any]) -> None:
    publish_two_shards(tmp_path / "root", **settings)
    assert problems(tmp_path / "root") == []


def test_a_sound_folder_with_codes_has_no_problem(folder: Path) -> None:
    assert problems(folder) == []
    with MdsFileReader(folder / FILE) as file:
        assert file[0]["latent_256"].dtype == np.uint8


@pytest.mark.parametrize("size", [0, 3, 30, 400, 5000, -1])
def test_a_truncated_file(folder: Path, size: int) -> None:
    (folder / FILE).write_bytes((folder / FILE).read_bytes()[:size])
    assert_named(folder, f"{FILE}: expected", "bytes, found")
    seal(folder)
    assert_named(folder, f"{FILE}: expected a whole MDS file of latents of 256 px, found")


def test_a_sample_that_is_missing_repeated_or_out_of_order(folder: Path) -> None:
    rewrite(folder, lambda samples: samples.pop())
    assert_named(folder, f"{FILE}: expected 6 samples, found 5")
    rewrite(folder, lambda samples: samples.append(samples[-1]))
    assert_named(folder, f"{FILE}: expected every sample once")
    rewrite(folder, lambda samples: samples.reverse())
    assert_named(folder, f"{FILE}: expected samples sorted by image_id")


def test_values_that_are_others_than_those_of_the_router(folder: Path) -> None:
    rewrite(folder, lambda samples: samples[0].update(latent_256=samples[1]["latent_256"]))
    assert_named(folder, "router_arrays/00000/latents.npy: expected the latent in the sample's MDS file", count=1)


def test_codes_of_zero_and_arrays_of_another_type(folder: Path) -> None:
    rewrite(folder, lambda samples: samples[0].update(text=np.zeros_like(samples[0]["text"])))
    assert_named(folder, f"{FILE}: expected text of uint8, finite, of one shape, found codes of zero")


@pytest.mark.parametrize(
    ("column", "value", "said"),
    [
        ("cluster", 1, "expected columns as in metadata, found another cluster"),
        ("tokens", 99, "expected columns as in metadata, found another tokens"),
        ("caption", "another", "expected caption in metadata.json as the sample has it"),
        ("image_id", "f" * 32, "expected image_id in metadata.json as the sample has it"),
        ("image_id", "F" * 32, "expected 32 hex digits as image_id"),
        ("metadata", {}, "missing or of another type"),
    ],
)
def test_a_column_that_is_not_as_metadata(folder: Path, column: str, value: Any, said: str) -> None:
    rewrite(folder, lambda samples: samples[-1].update({column: value}))
    assert_named(folder, FILE, said)


@pytest.mark.parametrize(
    ("change", "said"),
    [
        (lambda shards: shards.pop(0), "expected every MDS file of the folder, found none of a file"),
        (lambda shards: shards.append(shards[0]), "expected every MDS file once"),
        (lambda shards: shards[0].update(samples=2), "as the manifest lists it, found another samples"),
        (lambda shards: shards[0]["raw_data"].update(basename="x.mds"), "found a file that it does not list"),
    ],
)
def test_an_index_that_is_not_that_of_the_files(
    folder: Path, change: Callable[[list[dict[str, Any]]], Any], said: str
) -> None:
    path = folder / FOLDER / "index.json"
    index = json.loads(path.read_text())
    change(index["shards"])
    path.write_text(json.dumps(index))
    seal(folder)
    assert_named(folder, f"{FOLDER}/index.json: ", said)


def test_columns_that_are_missing_or_of_another_encoding(folder: Path) -> None:
    path = folder / FILE
    data = path.read_bytes()
    for old, new in ((b'"tokens"', b'"tokenz"'), (b'"ndarray:uint8:5,3"', b'"ndarray:uint8:3,5"')):
        assert old in data
        path.write_bytes(data.replace(old, new))
        seal(folder)
        assert_named(folder, f"{FILE}: expected ")


def test_a_hash_in_the_index_that_is_not_the_files(folder: Path) -> None:
    path = folder / FOLDER / "index.json"
    index = json.loads(path.read_text())
    index["shards"][0]["raw_data"]["hashes"]["xxh64"] = "0" * 16
    path.write_text(json.dumps(index))
    seal(folder)
    assert_named(folder, f"{FILE}: expected unpacked bytes of the xxh64 in its index, found others", count=1)


def test_a_run_that_was_killed_between_files_and_index(folder: Path) -> None:
    (folder / FOLDER / "index.json").unlink()
    assert_named(folder, f"{FOLDER}/index.json: expected", "no such file")
    edit_manifest(folder, lambda manifest: manifest.update(
        files=[file for file in manifest["files"] if not file["path"].startswith(f"{FOLDER}/index")]))  # fmt: skip
    assert_named(folder, f"{FOLDER}/index.json: expected an index of the folder, found none")


def test_a_file_that_the_manifest_does_not_list(folder: Path) -> None:
    shutil.copy(folder / FILE, folder / FOLDER / "00002-00000.mds")
    assert_named(folder, f"{FOLDER}/00002-00000.mds: expected only files that", count=1)


def test_a_codec_that_is_not_the_manifests(folder: Path) -> None:
    path = folder / "expert_mds/codec.json"
    codec = json.loads(path.read_text())
    codec["kinds"]["text"]["scale"] *= 2
    path.write_text(json.dumps(codec))
    seal(folder)
    assert_named(folder, "expert_mds/codec.json: expected the codec in the manifest's format", count=1)


def test_what_makes_files_again() -> None:
    for path, said in (
        (FILE, "--select expert_mds --shards 00000"),
        ("expert_mds/cluster_3/256-768/train/00012-00001.mds.zstd", "--select expert_mds --shards 00012"),
        (f"{FOLDER}/index.json", "--select mds_index"),
        ("expert_mds/codec.json", "--select mds_index"),
        ("router_arrays/codec.json", "--select value_ranges"),
        ("expert_shards/codec.json", "--select expert_summary"),
        ("router_training/codec.json", "--select pipeline_manifest"),
    ):
        assert made_again(path) == f"make it again: paris run --force {said}"

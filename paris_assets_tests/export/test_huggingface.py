"""`paris export --format hf`: `datasets`, Croissant's own reader and our training loaders give what the tars hold."""

from __future__ import annotations

import hashlib
import json
import os
import subprocess
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow.parquet as pq
import pytest
import yaml

from paris_assets.experts.format import METADATA
from paris_assets.export.huggingface import hf_command
from paris_assets.export.sample_columns import FIELDS
from paris_assets.formats.codec import decode, read_codecs
from paris_assets.storage.location import Location
from paris_assets.training import ExpertSamples
from paris_assets_tests.export import experts

datasets = pytest.importorskip("datasets", reason="it is in the extra dev: install requirements.lock again")
croissant = pytest.importorskip("mlcroissant", reason="it is in the extra dev: install requirements.lock again")


@pytest.fixture(scope="module")
def exported(roots: Any, tmp_path_factory: pytest.TempPathFactory) -> Any:
    """Name of a root -> its export, which is only read."""
    made: dict[str, Path] = {}

    def find(name: str) -> Path:
        if name not in made:
            made[name] = export(roots(name), tmp_path_factory.mktemp(name) / "out")
        return made[name]

    return find


def export(store: Any, out: Path) -> Path:
    assert hf_command(store.catalog, Location(out), "other") == 0
    return out


def front(out: Path) -> dict[str, Any]:
    return yaml.safe_load((out / "README.md").read_text().split("---\n")[1])


def checked(out: Path) -> tuple[int, str]:
    """Status and words of coreutils' own check."""
    command = ["sha256sum", "--quiet", "-c", "SHA256SUMS"]
    ran = subprocess.run(command, cwd=out, capture_output=True, text=True, check=False)
    return ran.returncode, ran.stdout


def test_datasets_loads_each_expert_and_all_of_them(roots: Any, exported: Any, tmp_path: Path) -> None:
    out, wanted = exported("mixed"), experts.samples(Path(roots("mixed").root.url))
    for config in ("all", "cluster_1"):
        name = None if config == "all" else config  # it is the default
        loaded = datasets.load_dataset(str(out), name, cache_dir=str(tmp_path / "cache"))
        assert list(loaded) == ["train", "validation"]
        found = set()
        for number, side in enumerate(loaded.values()):
            for row in side.with_format("numpy", dtype=np.float16):
                sample = wanted[row["image_id"]]
                told = sample["metadata.json"]
                assert np.array_equal(row["latent_256"], sample["latent.npy"])
                assert np.array_equal(row["text"], sample["clip_emb.npy"])
                assert (row["caption"], row["split"], row["url"]) == (sample["caption.txt"], number, told["url"])
                found.add(row["image_id"])
        assert found == {
            key for key in wanted if config in ("all", f"cluster_{wanted[key]['metadata.json']['cluster']}")
        }
        info = next(info for info in front(out)["dataset_info"] if info["config_name"] == config)
        assert datasets.Features._from_yaml_list(info["features"]) == loaded["train"].features
        assert [split["num_examples"] for split in info["splits"]] == [side.num_rows for side in loaded.values()]


@pytest.mark.parametrize("name", ["mixed", "apart", "coded"])
def test_training_reads_from_it_what_it_reads_from_the_tars(roots: Any, exported: Any, name: str) -> None:
    out, root = exported(name), roots(name).root.url
    sizes = [(0, None), (1, None), *([(0, 512)] if name == "coded" else [])]  # where expert 1 has none
    for split in ("train", "validation"):
        for expert, size in sizes:
            theirs = ExpertSamples(root, expert, split=split, resolution=size, format="webdataset")
            ours = ExpertSamples(out, expert, split=split, resolution=size, format="parquet")
            wanted = {sample["image_id"]: sample for sample in (theirs[at] for at in range(len(theirs)))}
            assert len(ours) == len(wanted) > 0
            for at in range(len(ours)):
                same(ours[at], wanted[ours[at]["image_id"]])


def same(found: Mapping[str, Any], wanted: Mapping[str, Any]) -> None:
    for key, value in wanted.items():
        held = json.loads(found[key]) if key == "captions" else found[key]
        assert np.array_equal(held, value) if isinstance(value, np.ndarray) else held == value, key


def test_codes_are_undone_by_what_lies_beside_them(roots: Any, exported: Any) -> None:
    out, wanted = exported("coded"), experts.samples(Path(roots("coded").root.url))
    table = pq.read_table(sorted(out.glob("cluster_0/train-*.parquet"))[0])
    codec = read_codecs((out / "codec.json").read_bytes())["latents"]
    codes = np.array(table["latent_256"][0].as_py(), np.uint8)
    latent = decode(wanted[table["image_id"][0].as_py()]["latent.npy"], codec)
    assert np.array_equal(decode(codes, codec), latent)
    absent = pq.read_table(sorted(out.glob("cluster_1/train-*.parquet"))[0], columns=["latent_512", "latent_512_shape"])
    assert [column.null_count for column in absent.columns] == [absent.num_rows] * 2


def test_croissant_is_valid_and_its_records_are_the_samples(roots: Any, exported: Any) -> None:
    out, wanted = exported("mixed"), experts.samples(Path(roots("mixed").root.url))
    described = croissant.Dataset(out / "croissant.json")
    assert not described.metadata.issues.errors
    recommended = {"datePublished", "citeAs"}  # which the publisher alone can tell
    assert all(any(name in said for name in recommended) for said in described.metadata.issues.warnings)
    found = {}
    for records in ("cluster_0", "cluster_1"):
        for record in described.records(records):
            found[record[f"{records}/image_id"].decode()] = {
                key.partition("/")[2]: value for key, value in record.items()
            }
    assert found.keys() == wanted.keys()
    for key, record in found.items():
        assert np.array_equal(np.array(record["latent_256"], np.float16), wanted[key]["latent.npy"])
        assert np.array_equal(np.array(record["text"], np.float16), wanted[key]["clip_emb.npy"])
        assert record["caption"].decode() == wanted[key]["caption.txt"]
        assert record["tokens"] == wanted[key]["metadata.json"]["tokens"]
    files = {each["contentUrl"]: each for each in json.loads((out / "croissant.json").read_text())["distribution"][:-2]}
    assert {str(path.relative_to(out)) for path in out.glob("*/*.parquet")} == files.keys()
    for path, told in files.items():
        data = (out / path).read_bytes()
        assert (told["sha256"], told["contentSize"]) == (hashlib.sha256(data).hexdigest(), f"{len(data)} B")


@pytest.mark.parametrize("name", ["apart", "coded"])
def test_croissant_of_arrays_of_many_shapes_and_types_is_valid(exported: Any, name: str) -> None:
    described = croissant.Dataset(exported(name) / "croissant.json")
    assert not described.metadata.issues.errors
    first = next(iter(described.records("cluster_1")))
    assert np.shape(first["cluster_1/latent_256"]) == (4, 32, 32)


def test_a_changed_byte_is_found_and_mended(roots: Any, tmp_path: Path) -> None:
    store, out = roots("mixed"), export(roots("mixed"), tmp_path / "out")
    assert checked(out) == (0, "")
    file = out / "cluster_1/train-00001-00000.parquet"
    whole, at = file.read_bytes(), file.stat().st_size // 2
    file.write_bytes(whole[:at] + bytes([whole[at] ^ 1]) + whole[at + 1 :])
    assert checked(out) == (1, "cluster_1/train-00001-00000.parquet: FAILED\n")
    others = {path: path.stat().st_mtime_ns for path in out.rglob("*.*") if path != file}
    export(store, out)
    assert file.read_bytes() == whole
    assert checked(out) == (0, "")
    assert {path: path.stat().st_mtime_ns for path in others} == others


def test_an_export_that_stopped_goes_on_and_files_of_no_expert_go(
    roots: Any, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    store, out = roots("apart"), export(roots("apart"), tmp_path / "out")
    before = {str(path.relative_to(out)): path.stat().st_mtime_ns for path in out.rglob("*") if path.is_file()}
    for path in ("SHA256SUMS", "README.md", "cluster_0/train-00001-00000.parquet"):
        (out / path).unlink()
    (out / "cluster_9").mkdir()
    (out / "cluster_9/train-00000-00000.parquet").write_bytes(b"of an expert that is no more")
    capsys.readouterr()
    export(store, out)
    after = {str(path.relative_to(out)): path.stat().st_mtime_ns for path in out.rglob("*") if path.is_file()}
    assert after.keys() == before.keys()
    assert sorted(path for path in after if after[path] != before[path]) == [
        "README.md", "SHA256SUMS", "cluster_0/train-00001-00000.parquet"
    ]  # fmt: skip
    assert f"{len(list(out.glob('*/*.parquet'))) - 1} of them there before" in capsys.readouterr().out


def test_nothing_tells_where_it_was_made(roots: Any, exported: Any) -> None:
    out = exported("mixed")
    for path in (path for path in out.rglob("*") if path.is_file()):
        data = path.read_bytes()
        assert os.fsencode(roots("mixed").root.url) not in data, path
        assert os.fsencode(str(out)) not in data, path


def test_every_kind_of_field_has_a_type() -> None:
    assert {text.partition(": ")[0].removesuffix(" or null") for text in METADATA.values()} == FIELDS.keys()

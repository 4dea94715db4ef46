"""MDS files hold the samples of the tars, apart by their sizes; a further shard adds files and changes none."""

import hashlib
import json
from pathlib import Path
from typing import Any

import numpy as np
import polars as pl
import pytest

from paris_assets.experts.coding import codecs_of
from paris_assets.experts.mds import files
from paris_assets.experts.mds.columns import array_encoding
from paris_assets.experts.mds.indices import indices
from paris_assets.formats.codec import encode, read_codecs
from paris_assets.formats.mds_reader import MdsFileReader, read_index
from paris_assets_tests.experts.test_shards import samples as samples_of_tars
from paris_assets_tests.fixtures import made_up
from paris_assets_tests.fixtures.made_up import SHARD, MadeUpRoot

MDS = {"experts.formats": ["webdataset", "mds"]}


def root(folder: Path, **settings: Any) -> tuple[MadeUpRoot, list[str]]:
    store = made_up.flat_root(folder, **MDS, **settings)
    names = made_up.publishable(store)
    if "value_ranges" in store.graph:
        made_up.put_ranges(store)
    return store, names


def samples(folder: Path) -> dict[str, dict[str, Any]]:
    found = {}
    for path in sorted(folder.glob("expert_mds/**/*.mds*")):
        with MdsFileReader(path) as file:
            found |= {sample["image_id"]: {**sample, "folder": str(path.parent.relative_to(folder))} for sample in file}
    return found


def with_a_second_size(store: MadeUpRoot) -> None:
    """Every third image has latents of 512 px too."""
    rows = store.read("latents", SHARD)
    large = [np.full((4, 64, 64), number, np.float16).tolist() if number % 3 == 0 else None for number in range(24)]
    store.put("latents", rows.with_columns(pl.Series("latent_512", large, pl.Array(pl.Float16, (4, 64, 64)))))


def test_samples_are_those_of_the_tars(tmp_path: Path) -> None:
    store, names = root(tmp_path)
    made_up.publish(store)
    found, tars = samples(tmp_path), samples_of_tars(tmp_path)
    assert sorted(found) == names
    pooled = dict(store.read("text_embeddings", SHARD).select("image_id", "pooled").iter_rows())
    for name, sample in found.items():
        of_tar, metadata = tars[name], tars[name]["metadata.json"]
        assert sample["folder"] == f"expert_mds/{of_tar['tar']}/256"
        assert np.array_equal(sample["latent_256"], of_tar["latent.npy"])
        assert np.array_equal(sample["text"], of_tar["clip_emb.npy"])
        assert sample["pooled"].tolist() == pooled[name]
        assert (sample["metadata"], sample["caption"]) == (metadata, of_tar["caption.txt"])
        same = ("tokens", "cluster", "split", "original_width", "crop_left", "upscaled")
        assert {column: sample[column] for column in same} == {column: metadata[column] for column in same}
        assert (sample["fine_cluster"], metadata["fine_cluster"]) == (-1, None)
    assert not any(value is None for sample in found.values() for value in sample.values())


def test_codes_are_those_of_the_tables(tmp_path: Path) -> None:
    store, _ = root(tmp_path, **{"experts.codec": {"latents": {}, "text": {}}})
    made_up.publish(store)
    codecs = read_codecs((tmp_path / "router_arrays/codec.json").read_bytes())
    assert codecs == codecs_of(store.scan("value_ranges", ["all"]))
    found, tars = samples(tmp_path), samples_of_tars(tmp_path)
    arrays = np.load(tmp_path / f"router_arrays/{SHARD}/latents.npy")
    assert arrays.dtype == np.uint8
    for row, (name, latent) in enumerate(store.read("latents", SHARD).select("image_id", "latent_256").iter_rows()):
        codes = encode(np.array(latent, np.float16), codecs["latents"])
        for stored in (found[name]["latent_256"], tars[name]["latent.npy"], arrays[row]):
            assert np.array_equal(stored, codes)
        assert found[name]["text"].dtype == tars[name]["clip_emb.npy"].dtype == np.uint8
        assert found[name]["pooled"].dtype == np.float16
    record = store.record("expert_mds", SHARD)
    assert record is not None
    assert record.facts["clipped"] == {"latents": 0.0, "text": 0.0}


def test_images_with_other_sizes_are_in_a_folder_of_their_own(tmp_path: Path) -> None:
    store, names = root(tmp_path, **{"latents.resolutions": [256, 512]})
    with_a_second_size(store)
    made_up.publish(store)
    found = samples(tmp_path)
    assert sorted(found) == names
    for number, name in enumerate(names):
        sizes = "256-512" if number % 3 == 0 else "256"
        assert found[name]["folder"] == f"expert_mds/cluster_{number % 2}/{sizes}"
        assert ("latent_512" in found[name]) == (number % 3 == 0)
        if number % 3 == 0:
            assert (found[name]["latent_512"] == number).all()


def test_a_file_is_followed_by_the_next_and_sides_are_apart(tmp_path: Path) -> None:
    store, names = root(tmp_path, **{"experts.split_tars": True, "experts.mds.size_limit": 1 << 15})
    made_up.publish(store)
    rows = store.read("expert_mds", SHARD)
    assert rows["size_bytes"].max() <= 1 << 15  # type: ignore[operator]
    assert {path.rpartition("/")[2] for path in rows["path"]} >= {f"{SHARD}-00000.mds", f"{SHARD}-00001.mds"}
    found = samples(tmp_path)
    assert sorted(found) == names
    for sample in found.values():
        assert sample["folder"].endswith(f"/256/{('train', 'validation')[sample['split']]}")
    assert rows.group_by("cluster", "split").agg(pl.sum("samples")).height == 4


@pytest.mark.parametrize("compression", [None, "zstd"])
def test_bytes_depend_on_no_memory_and_entries_are_those_of_the_files(
    tmp_path: Path, compression: str | None, monkeypatch: pytest.MonkeyPatch
) -> None:
    for name, held in (("a", 1 << 30), ("b", 10_000)):
        monkeypatch.setattr(files, "HELD_BYTES", held)
        store, _ = root(tmp_path / name, **{"experts.mds.compression": compression})
        made_up.publish(store)
    first, second = (
        {path.name: path.read_bytes() for path in (tmp_path / name).glob("expert_mds/cluster_0/256/*.mds*")}
        for name in "ab"
    )
    assert first == second
    for row in store.read("expert_mds", SHARD).to_dicts():
        data = (tmp_path / "b" / row["path"]).read_bytes()
        entry = json.loads(row["entry"])
        assert row["sha256"] == hashlib.sha256(data).hexdigest()
        assert (entry["zip_data"] or entry["raw_data"])["bytes"] == row["size_bytes"] == len(data)
        assert entry["compression"] == (compression and "zstd:3")


def test_a_further_shard_adds_files_and_changes_only_the_index(tmp_path: Path) -> None:
    store, names = root(tmp_path)
    made_up.publish(store)
    store.commit("mds_index", "all", indices(store.scan("expert_mds", [SHARD]), {}))
    before = {path: path.read_bytes() for path in tmp_path.glob("expert_mds/cluster_*/256/*")}
    assert len(before) == 4
    made_up.put_registry(tmp_path, pl.DataFrame({"shard": [SHARD, "00001"], "file": ["", ""], "rows": [1, 1]}))
    for asset in ("curated_images", "captions", "text_embeddings", "image_embeddings", "latents",
                  "cluster_assignments", "training_selection"):  # fmt: skip
        rows = store.read(asset, SHARD)
        flipped = pl.col("image_id").map_elements(lambda name: name[::-1], return_dtype=pl.String)
        store.put(asset, rows.with_columns(flipped).sort("image_id"), "00001")
    made_up.publish(store, "00001")
    store.commit("mds_index", "all", indices(store.scan("expert_mds", [SHARD, "00001"]), {}))
    after = {path: path.read_bytes() for path in tmp_path.glob("expert_mds/cluster_*/256/*")}
    changed = {path.name for path in before if before[path] != after[path]}
    assert changed == {"index.json"}
    assert {path.name for path in after.keys() - before.keys()} == {"00001-00000.mds"}
    for path in (path for path in after if path.name == "index.json"):
        entries = read_index(after[path])
        assert [entry.path for entry in entries] == [f"{SHARD}-00000.mds", "00001-00000.mds"]
        assert sum(entry.samples for entry in entries) == len(names)


def test_arrays_whose_shape_differs_carry_it() -> None:
    assert array_encoding(pl.Array(pl.Float16, (4, 32, 32)), "uint8") == "ndarray:uint8:4,32,32"
    for kind in (pl.Binary(), pl.List(pl.Array(pl.Float16, 8))):
        assert array_encoding(kind, "float16") == "ndarray:float16"

"""Router arrays: one row order, no objects, consolidated without loss."""

import json
from pathlib import Path

import numpy as np
import polars as pl
import pytest

from paris_assets.dag.records import ALL
from paris_assets.experts.assets import expert_summary
from paris_assets.experts.router import ARRAYS, MisalignedRows, consolidate, write_npy
from paris_assets.models.registry import Models
from paris_assets_tests.fixtures import made_up
from paris_assets_tests.fixtures.made_up import SHARD
from paris_assets_tests.models.fakes import Letters


def load(folder: Path) -> dict[str, np.ndarray]:
    return {name: np.load(folder / f"{name}.npy", mmap_mode="r", allow_pickle=False) for name in ARRAYS}


def test_rows_belong_together(tmp_path: Path) -> None:
    store = made_up.flat_root(tmp_path)
    names = made_up.publishable(store)
    made_up.publish(store)
    arrays = load(tmp_path / "router_arrays" / SHARD)
    assert [name.decode() for name in arrays["image_ids"]] == names
    assert arrays["labels"].tolist() == [number % 2 for number in range(24)]
    assert np.array_equal(arrays["latents"], store.read("latents", SHARD)["latent_256"].to_numpy())
    assert np.array_equal(arrays["embeddings"], store.read("image_embeddings", SHARD)["embedding"].to_numpy())
    assert np.array_equal(arrays["clip"], store.read("text_embeddings", SHARD)["pooled"].to_numpy())
    kinds = {name: (array.dtype.str, array.shape[1:]) for name, array in arrays.items()}
    assert kinds == {
        "latents": ("<f2", (4, 32, 32)),
        "labels": ("<i8", ()),
        "embeddings": ("<f2", (6,)),
        "clip": ("<f2", (3,)),
        "image_ids": ("|S32", ()),
        "split": ("|u1", ()),
    }


def test_an_empty_shard_has_empty_arrays_of_the_right_shape(tmp_path: Path) -> None:
    store = made_up.flat_root(tmp_path)
    made_up.publishable(store)
    store.replace("training_selection", selected=pl.lit(False))
    made_up.publish(store)
    assert load(tmp_path / "router_arrays" / SHARD)["latents"].shape == (0, 4, 32, 32)
    assert store.read("expert_shards", SHARD).is_empty()


def make(folder: Path, rows: int, first: int) -> dict[str, Path]:
    folder.mkdir(parents=True)
    values = np.arange(first, first + rows)
    arrays = {
        "latents": np.broadcast_to(values[:, None, None, None], (rows, 4, 2, 2)).astype(np.float16),
        "labels": values.astype(np.int64),
        "embeddings": np.stack([values, values], 1).astype(np.float16),
        "clip": values[:, None].astype(np.float16),
        "image_ids": np.array([f"{value:032d}" for value in values], "S32"),
        "split": (values % 2).astype(np.uint8),
    }
    for name, array in arrays.items():
        np.save(folder / f"{name}.npy", array, allow_pickle=False)
    return {name: folder / f"{name}.npy" for name in ARRAYS}


def test_consolidated_arrays_hold_all_rows_in_shard_order(tmp_path: Path) -> None:
    shards = [make(tmp_path / "0", 3, 0), make(tmp_path / "1", 0, 3), make(tmp_path / "2", 4, 3)]
    written = consolidate(shards, tmp_path, 10**9)
    assert sorted(written) == sorted(f"{name}.npy" for name in ARRAYS)
    assert load(tmp_path)["labels"].tolist() == list(range(7))
    assert load(tmp_path)["latents"][5, 3, 1, 1] == 5


def test_large_arrays_are_numbered_with_the_same_cuts(tmp_path: Path) -> None:
    shards = [make(tmp_path / str(number), 10, 10 * number) for number in range(4)]
    written = consolidate(shards, tmp_path, max_bytes=900)
    assert "index.json" in written
    parts = sorted(name for name in written if name.startswith("labels"))
    assert len(parts) > 1
    for part, name in enumerate(parts):
        labels = np.load(written[name])
        latents = np.load(written[f"latents-{part:05d}.npy"])
        assert latents[:, 0, 0, 0].tolist() == labels.tolist()
    assert sum(len(np.load(written[name])) for name in parts) == 40


def test_arrays_of_different_length_are_refused(tmp_path: Path) -> None:
    shard = make(tmp_path / "0", 3, 0)
    np.save(shard["labels"], np.zeros(2, np.int64))
    with pytest.raises(MisalignedRows, match="differ in rows"):
        consolidate([shard], tmp_path, 10**9)


def test_streamed_file_equals_numpy_save(tmp_path: Path) -> None:
    array = np.random.default_rng(0).standard_normal((7, 2, 3)).astype(np.float16)
    write_npy(tmp_path / "a.npy", [array[:3], array[3:]], 7)
    np.save(tmp_path / "b.npy", array)
    assert (tmp_path / "a.npy").read_bytes() == (tmp_path / "b.npy").read_bytes()
    with pytest.raises(MisalignedRows, match="3 rows written, 7 expected"):
        write_npy(tmp_path / "c.npy", [array[:3]], 7)


def test_shards_without_samples_give_empty_arrays_with_their_shapes(tmp_path: Path) -> None:
    shards = [make(tmp_path / "0", 0, 0), make(tmp_path / "1", 0, 0)]
    written = consolidate(shards, tmp_path, max_bytes=1)
    assert sorted(written) == sorted(f"{name}.npy" for name in ARRAYS)
    for name in ARRAYS:
        empty, expected = (np.load(files) for files in (written[f"{name}.npy"], shards[0][name]))
        assert (empty.shape, empty.dtype) == (expected.shape, expected.dtype)


def test_no_shard_and_no_part_are_refused(tmp_path: Path) -> None:
    with pytest.raises(MisalignedRows, match="no shard has router arrays"):
        consolidate([], tmp_path, 10**9)
    with pytest.raises(MisalignedRows, match="no part was given"):
        write_npy(tmp_path / "a.npy", [], 0)


@pytest.mark.parametrize("sizes", [[23], [3, 0, 20], [11, 12], [0, 23, 0]])
def test_files_stay_below_the_limit_even_within_a_shard(tmp_path: Path, sizes: list[int]) -> None:
    starts = [sum(sizes[:number]) for number in range(len(sizes))]
    shards = [make(tmp_path / str(number), size, starts[number]) for number, size in enumerate(sizes)]
    row = 4 * 2 * 2 * 2  # bytes of the widest rows: latents, and ids
    written = consolidate(shards, tmp_path, max_bytes=5 * row)
    cuts = json.loads(written["index.json"].read_text())
    assert cuts["rows"] == [5, 5, 5, 5, 3]
    for name in ARRAYS:
        parts = [np.load(written[file]) for file in cuts["files"][name]]
        assert [len(part) for part in parts] == cuts["rows"]
        assert all(part.nbytes <= 5 * row for part in parts)
        whole = np.concatenate([np.load(files[name]) for files in shards])
        assert np.array_equal(np.concatenate(parts), whole)


def test_summary_without_any_sample_has_shares_of_zero(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    store = made_up.flat_root(tmp_path)
    made_up.publishable(store)
    store.replace("training_selection", selected=pl.lit(False))
    made_up.publish(store)
    model = pl.DataFrame({"level": ["coarse"] * 2, "index": [0, 1]}, schema_overrides={"index": pl.Int32})
    store.put("cluster_model", model)
    models = Models()
    monkeypatch.setattr(models, "load", lambda settings: Letters())
    names = expert_summary.inputs(store.profile, frozenset(store.graph))
    tables = {name: store.tables.for_all(name, ()) for name in names}
    optional = expert_summary.optional_inputs.keys() - tables.keys()
    store.commit("expert_summary", ALL, expert_summary.body(models, store.profile, **dict.fromkeys(optional), **tables))
    summary = store.read("expert_summary")
    assert summary["share"].to_list() == [0.0, 0.0]
    assert summary.schema["files"] == pl.Int64


def test_without_pooled_vectors_the_other_arrays_are_joined(tmp_path: Path) -> None:
    shards = [make(tmp_path / "0", 3, 0), make(tmp_path / "1", 4, 3)]
    without = [{name: file for name, file in files.items() if name != "clip"} for files in shards]
    written = consolidate(without, tmp_path, 10**9)
    assert sorted(written) == sorted(f"{name}.npy" for name in ARRAYS if name != "clip")
    with pytest.raises(MisalignedRows, match=r"shard number 1 has embeddings, image_ids, .*, the first .*clip"):
        consolidate([shards[0], without[1]], tmp_path, 10**9)

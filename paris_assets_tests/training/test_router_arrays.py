from __future__ import annotations

import json
from copy import deepcopy
from pathlib import Path

import numpy as np
import pytest
import torch

from paris_assets.errors import UsageError
from paris_assets.experts.router import ARRAYS, consolidate
from paris_assets.storage.location import Location
from paris_assets.training.places import MissingFiles
from paris_assets.training.router_arrays import BadArrays, RouterArrays
from paris_assets.training.router_batches import RouterBatches
from paris_assets_tests.fixtures import training_files as made

NUMBERS = np.array([7, 0, 12, 3])


@pytest.mark.parametrize("numbered", [False, True])
def test_rows_are_those_of_every_array(tmp_path: Path, numbered: bool) -> None:
    arrays = made.write_router(tmp_path / "whole/router_training", 23)
    root = tmp_path / "whole"
    if numbered:
        root = tmp_path / "numbered"
        (root / "router_training").mkdir(parents=True)
        shard = {name: tmp_path / f"whole/router_training/{name}.npy" for name in ARRAYS}
        assert "index.json" in consolidate([shard], root / "router_training", 5 * 512)
    for where in (root, root / "router_training"):
        rows = RouterArrays(where, split="train")
        train = np.flatnonzero(arrays["split"] == 0)
        assert len(rows) == len(train)
        for name in ARRAYS:
            for read in (rows, deepcopy(rows)):
                assert np.array_equal(read.read(name, NUMBERS), arrays[name][train[NUMBERS]])
    batch = RouterBatches(rows, ("clip",), torch.float32).batch(NUMBERS, np.zeros(4))
    chosen = train[NUMBERS]
    assert torch.equal(batch["latent"], torch.from_numpy(arrays["latents"][chosen].astype(np.float32)))
    assert torch.equal(batch["clip"], torch.from_numpy(arrays["clip"][chosen].astype(np.float32)))
    assert batch["label"].tolist() == arrays["labels"][chosen].tolist()
    assert batch["image_id"] == [name.decode() for name in arrays["image_ids"][chosen]]
    assert len(RouterArrays(root)) == 23
    assert len(RouterArrays(root, split="validation")) == 23 - len(train)


def test_latents_of_eight_bits_are_decoded(tmp_path: Path) -> None:
    folder = tmp_path / "router_training"
    arrays = made.write_router(folder, 6)
    stored = made.quantised(arrays["latents"], "latents")
    np.save(folder / "latents.npy", stored)
    (folder / "codec.json").write_text(made.codec_json(made.SCALES))
    batch = RouterBatches(RouterArrays(tmp_path)).batch(np.arange(6), np.zeros(6))
    assert np.array_equal(batch["latent"].numpy(), (stored.astype(np.float32) - 128) * np.float32(0.05))


def test_what_is_wrong_is_named(tmp_path: Path) -> None:
    folder = tmp_path / "router_training"
    with pytest.raises(MissingFiles, match=r"latents\.npy is not there"):
        RouterArrays(tmp_path)
    arrays = made.write_router(folder, 6)
    rows = RouterArrays(tmp_path)
    with pytest.raises(MissingFiles, match=r"latent\.npy is not there"):
        RouterBatches(rows, ("latent",))
    with pytest.raises(UsageError, match="no split 'test'"):
        RouterArrays(tmp_path, split="test")
    np.save(folder / "clip.npy", np.zeros((7, 6), np.float16))
    with pytest.raises(BadArrays, match=r"clip \(7,\), the others \(6,\)"):
        RouterBatches(rows, ("clip",))
    np.save(folder / "split.npy", np.zeros(6, np.uint8))
    with pytest.raises(UsageError, match="6 rows, none of split validation"):
        RouterArrays(tmp_path, split="validation")
    np.save(folder / "labels.npy", arrays["labels"][:5])
    with pytest.raises(BadArrays, match="arrays differ in rows"):
        RouterArrays(tmp_path)
    np.save(folder / "labels.npy", arrays["labels"].astype(object), allow_pickle=True)
    with pytest.raises(BadArrays, match=r"labels\.npy.* of objects"):
        RouterArrays(tmp_path)
    data = (folder / "latents.npy").read_bytes()
    (folder / "latents.npy").write_bytes(data[:-1])
    with pytest.raises(BadArrays, match=r"latents\.npy: 3071 bytes of values"):
        RouterArrays(tmp_path)
    (folder / "index.json").write_text(json.dumps({"files": 3}))
    with pytest.raises(BadArrays, match="lists no files"):
        RouterArrays(tmp_path)


def test_objects_are_copied_first(tmp_path: Path, s3_url: str) -> None:
    arrays = made.write_router(tmp_path / "router_training", 6)
    remote = Location(f"{s3_url}/router")
    for path in tmp_path.rglob("*.npy"):
        remote.put_bytes(path.read_bytes(), str(path.relative_to(tmp_path)))
    with pytest.raises(UsageError, match="give cache= a local folder"):
        RouterArrays(remote.url)
    rows = RouterArrays(remote.url, cache=tmp_path / "cache")
    assert np.array_equal(rows.read("latents", np.arange(6)), arrays["latents"])
    remote.put_bytes(
        (tmp_path / "router_training/labels.npy").read_bytes()[:-8] + b"\7" * 8, "router_training/labels.npy"
    )
    assert RouterArrays(remote.url, cache=tmp_path / "cache").labels[-1] != arrays["labels"][-1]

"""An export loads with `datasets`, and its images are pictures there."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest

from paris_assets.export.command import export_command
from paris_assets.storage.location import Location
from paris_assets_tests.export import world

datasets = pytest.importorskip("datasets", reason="it is in the extra dev: install requirements.lock again")


def load(out: Path, cache: Path, **how: Any) -> Any:
    files = str(out / "image_profiles" / "*.parquet")
    return datasets.load_dataset("parquet", data_files=files, split="train", cache_dir=str(cache), **how)


def test_datasets_reads_every_row_whole_and_as_a_stream(tmp_path: Path) -> None:
    store, out = world.finished(tmp_path / "root"), tmp_path / "out"
    export_command(store.catalog, Location(out), "kept", images=True)
    loaded = load(out, tmp_path / "cache")
    assert loaded.num_rows == len(world.SHARDS) * world.KEPT
    features = loaded.features
    assert features["image_clip_emb_vit_l_14"] == datasets.List(datasets.Value("float32"), length=world.DIM)
    assert features["reasons"] == datasets.List(datasets.Value("string"))
    assert isinstance(features["image"], datasets.Image)
    row = loaded[0]
    assert row["image"].size == (row["image_width"], row["image_height"]) == (48, 32)
    assert np.linalg.norm(row["image_clip_emb_vit_l_14"]) == pytest.approx(1, abs=1e-6)
    streamed = [row["image_id"] for row in load(out, tmp_path / "cache", streaming=True)]
    assert streamed == loaded["image_id"][:] == [name for shard in world.SHARDS for name in world.names(shard)[:6]]

"""Whole runs with MDS files and codes: done once, mended alone, grown without another meaning, without tars too."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import polars as pl
import pytest

from paris_assets.dag.s3 import open_location
from paris_assets.formats.mds_reader import read_index
from paris_assets.verification.command import verify
from paris_assets_tests.fixtures import direct, small_world
from paris_assets_tests.runs.test_growth import add, photo

pytestmark = [pytest.mark.long, pytest.mark.extended]

WRITTEN: dict[str, Any] = {
    "experts__formats": ["mds"],
    "experts__codec": {"latents": {}, "text": {}},
    "experts__mds": {"compression": "zstd", "size_limit": 4096},
    "latents__resolutions": [32, 64],
    "latents__upscale": False,
}


def manifest(root: Path) -> dict[str, Any]:
    return json.loads((root / "pipeline_manifest.json").read_text())


def problems(root: Path) -> list[str]:
    return [str(problem) for problem in verify(open_location(root), manifest(root)).problems]


def test_runs_that_write_mds_alone_are_done_mended_and_grown(tmp_path: Path) -> None:
    source, root = tmp_path / "tables", tmp_path / "root"
    source.mkdir()
    add(source, "a", [photo(seed) for seed in range(20)] + [photo(seed, 48) for seed in range(20, 30)])
    profile = small_world.profile(source, **WRITTEN)
    made = direct.bring_up_to_date(profile, root)
    assert {("expert_mds", "00000"), ("mds_index", "all"), ("value_ranges", "all")} <= made
    assert "expert_shards" not in {asset for asset, _ in made}
    assert not list(root.glob("expert_shards/cluster_*"))
    assert direct.bring_up_to_date(profile, root) == set()
    assert problems(root) == []
    stated = manifest(root)
    assert stated["counts"]["expert_mds"]["out"] == stated["counts"]["router_arrays"]["out"] > 0
    assert sum(stated["images_per_cluster"].values()) == stated["counts"]["expert_mds"]["out"]
    folders = {path.parent.name for path in root.glob("expert_mds/cluster_*/*/index.json")}
    assert folders == {"32", "32-64"}

    index = next(root.glob("expert_mds/cluster_*/*/index.json"))
    index.unlink()  # as where a run was killed before it was written
    assert direct.bring_up_to_date(profile, root) == {("mds_index", "all")}
    assert index.exists()
    file = index.parent / read_index(index.read_bytes())[0].path
    held = file.read_bytes()
    file.unlink()
    assert ("expert_mds", file.name[:5]) in direct.bring_up_to_date(profile, root)
    assert file.read_bytes() == held

    before = {path: path.read_bytes() for path in root.glob("expert_mds/**/*.mds.zstd")}
    ranges = (root / "value_ranges/all.parquet").read_bytes()
    add(source, "b", [photo(seed, 96) for seed in range(100, 112)])
    grown = direct.bring_up_to_date(profile, root)
    assert ("mds_index", "all") in grown
    assert not {asset for asset, _ in grown} & {"value_ranges", "cluster_model"}
    assert (root / "value_ranges/all.parquet").read_bytes() == ranges
    after = {path: path.read_bytes() for path in root.glob("expert_mds/**/*.mds.zstd")}
    assert len(after) > len(before)
    assert {path for path in before if after[path] != before[path]} == set()
    assert problems(root) == []

    listed = {file["path"] for file in manifest(root)["files"]}
    assert {str(path.relative_to(root)) for path in after} <= listed
    samples = pl.read_parquet(root / "expert_mds/*.parquet")["samples"].sum()
    assert samples == manifest(root)["counts"]["expert_mds"]["out"]

"""`paris run --profile lavenderflow-demo`: the whole graph of `lavenderflow`, offline, on the sample photos."""

from __future__ import annotations

import json
from pathlib import Path

import polars as pl
import pytest

from paris_assets.profiles import load_profile
from paris_assets_tests.fixtures.shipped import assets_of, run_and_verify, run_the_first


def test_the_demo_has_the_graph_and_the_settings_of_the_profile() -> None:
    assert (
        assets_of("lavenderflow-demo") == assets_of("lavenderflow") > {"copy_embeddings", "value_ranges", "mds_index"}
    )
    real, demo = load_profile("lavenderflow"), load_profile("lavenderflow-demo")
    assert demo.experts == real.experts
    assert (demo.text.stored, demo.text.pooled, demo.text.tokens) == (real.text.stored, real.text.pooled, 256)
    assert len(demo.latents.resolutions) == len(real.latents.resolutions) == 2


@pytest.mark.slow
def test_the_first_photos_go_through_all_of_it(tmp_path: Path) -> None:
    root = run_the_first("lavenderflow-demo", 80, tmp_path)
    manifest = json.loads((root / "pipeline_manifest.json").read_text())
    assert 40 < manifest["counts"]["expert_mds"]["out"] < 80
    assert set(manifest["format"]["mds"]["columns"]) == {"128", "128-256"}


@pytest.mark.extended
def test_the_demo_runs_offline_and_verifies(tmp_path: Path) -> None:
    run_and_verify("lavenderflow-demo", tmp_path)
    manifest = json.loads((tmp_path / "pipeline_manifest.json").read_text())
    assert manifest["profile"] == "lavenderflow-demo"
    assert 150 < manifest["counts"]["expert_mds"]["out"] < 215
    assert set(manifest["format"]["codec"]["kinds"]) == {"latents", "text"}
    assert set(manifest["format"]["mds"]["columns"]) == {"128", "128-256"}
    assert "random" in json.dumps(manifest["models"]["text.encoder"])
    groups = pl.read_parquet(tmp_path / "duplicate_groups" / "all.parquet")
    assert "copy_embedding" in groups["method"].unique().to_list()
    ranges = pl.read_parquet(tmp_path / "value_ranges" / "all.parquet")
    assert ranges.filter(pl.col("kind") == "latents").select((pl.col("psnr_db") > 40).all()).item()

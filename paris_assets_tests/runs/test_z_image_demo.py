"""`paris run --profile z_image-demo`: the whole graph of `z_image`, offline, on the sample photos."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path

import polars as pl
import pytest

from paris_assets.dag.assets import TableAsset
from paris_assets.definitions import ASSETS
from paris_assets.profiles import load_profile

pytestmark = pytest.mark.slow


def assets_of(name: str) -> set[str]:
    profile = load_profile(name)
    shown: list[TableAsset] = [asset for asset in ASSETS if asset.used_if is None or asset.used_if(profile)]
    return {asset.name for asset in shown}


def test_the_demo_has_the_graph_and_the_signals_of_the_profile() -> None:
    assert assets_of("z_image-demo") == assets_of("z_image") > {"picture_embeddings", "content_scores"}
    assert load_profile("z_image-demo").signals == load_profile("z_image").signals


def test_the_demo_runs_offline_and_verifies(tmp_path: Path) -> None:
    paris = [sys.executable, "-m", "paris_assets.cli"]
    environment = {**os.environ, "HF_HUB_OFFLINE": "1"}
    ran = subprocess.run(
        [*paris, "run", "--profile", "z_image-demo", "--root", str(tmp_path)],
        env=environment,
        capture_output=True,
        text=True,
    )
    assert ran.returncode == 0, ran.stdout + ran.stderr
    verified = subprocess.run([*paris, "verify", str(tmp_path)], env=environment, capture_output=True, text=True)
    assert verified.returncode == 0, verified.stdout + verified.stderr
    manifest = json.loads((tmp_path / "pipeline_manifest.json").read_text())
    assert manifest["profile"] == "z_image-demo"
    assert 140 < manifest["counts"]["expert_shards"]["out"] < 215
    scores = pl.read_parquet(tmp_path / "content_scores" / "*.parquet")
    assert scores["aigc"].n_unique() > 100
    verdicts = pl.read_parquet(tmp_path / "filtered_images" / "*.parquet")
    assert {"framed", "collage", "oversaturated"} <= set(verdicts["reason"].drop_nulls())
    assert verdicts.filter(pl.col("reason").is_null())["tier"].unique().to_list() == ["256"]

"""`paris run --profile z_image-demo`: the whole graph of `z_image`, offline, on the sample photos."""

from __future__ import annotations

import json
from pathlib import Path

import polars as pl
import pytest

from paris_assets.profiles import load_profile
from paris_assets_tests.fixtures.shipped import assets_of, run_and_verify, run_the_first


def test_the_demo_has_the_graph_and_the_signals_of_the_profile() -> None:
    assert assets_of("z_image-demo") == assets_of("z_image") > {"picture_embeddings", "content_scores"}
    assert load_profile("z_image-demo").signals == load_profile("z_image").signals


@pytest.mark.slow
def test_the_first_photos_go_through_all_of_it(tmp_path: Path) -> None:
    root = run_the_first("z_image-demo", 80, tmp_path)
    manifest = json.loads((root / "pipeline_manifest.json").read_text())
    assert 40 < manifest["counts"]["expert_shards"]["out"] < 80
    verdicts = pl.read_parquet(root / "filtered_images" / "*.parquet")
    assert {"framed", "pixels"} <= set(verdicts["reason"].drop_nulls())


@pytest.mark.extended
def test_the_demo_runs_offline_and_verifies(tmp_path: Path) -> None:
    run_and_verify("z_image-demo", tmp_path)
    manifest = json.loads((tmp_path / "pipeline_manifest.json").read_text())
    assert manifest["profile"] == "z_image-demo"
    assert 140 < manifest["counts"]["expert_shards"]["out"] < 215
    scores = pl.read_parquet(tmp_path / "content_scores" / "*.parquet")
    assert scores["aigc"].n_unique() > 100
    verdicts = pl.read_parquet(tmp_path / "filtered_images" / "*.parquet")
    assert {"framed", "collage", "oversaturated"} <= set(verdicts["reason"].drop_nulls())
    assert verdicts.filter(pl.col("reason").is_null())["tier"].unique().to_list() == ["256"]

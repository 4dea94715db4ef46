"""`paris run --profile datacomp-demo`: rows are chosen before anything is fetched, offline, on a small pool."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import polars as pl
import pytest

from paris_assets.demo.sample import sample_folder
from paris_assets.profiles import load_profile
from paris_assets_tests.fixtures.shipped import assets_of, run_and_verify


def test_the_demo_has_the_graph_and_the_steps_of_the_profile() -> None:
    assert assets_of("datacomp-demo") == assets_of("datacomp") > {"concept_verdicts", "pool_selection", "subset_files"}
    real, demo = load_profile("datacomp").pool, load_profile("datacomp-demo").pool
    assert demo.subsets == real.subsets
    assert demo.select[:-1] == real.select[:-1]
    assert [step.rule for step in demo.select] == [step.rule for step in real.select]
    assert demo.model_copy(update={"select": real.select, "probe": real.probe}) == real


@pytest.mark.extended
def test_the_demo_chooses_clean_rows_fetches_only_those_and_verifies(tmp_path: Path) -> None:
    run_and_verify("datacomp-demo", tmp_path)
    labels = pl.read_parquet(sample_folder() / "pool" / "labels.parquet")
    scores = pl.read_parquet(tmp_path / "pool_scores" / "*.parquet").join(labels, on="uid")
    assert scores.height == labels.height
    chosen = scores.filter("selected")
    clean = pl.col("kind").is_in(["clean", "copy"]).mean()
    # 0.93 of the selection, 0.49 of the pool: a fifth of the clean captions are too short for the language detector.
    assert chosen.select(clean).item() > 0.85 > 0.6 > scores.select(clean).item()
    assert chosen.filter(kind="language").height < 0.01 * chosen.height
    images = pl.read_parquet(tmp_path / "raw_images" / "*.parquet")
    fetched = images.filter(pl.col("image_id").is_not_null())
    assert set(fetched["uid"]) == set(chosen["uid"]), "all bytes are those of the list, and nothing else is asked for"
    assert fetched["sha256"].is_unique().all(), "a picture under several captions is chosen once"
    lists = pl.read_parquet(tmp_path / "subset_files" / "*.parquet")
    of = {name: np.load(tmp_path / path) for name, path in lists.select("subset", "path").iter_rows()}
    own = [uids for uids in of.values() if len(uids) == chosen.height]
    assert len(own) >= 1 + load_profile("datacomp-demo").pool.controls, "the selection and its random controls"
    assert json.loads((tmp_path / "pipeline_manifest.json").read_text())["profile"] == "datacomp-demo"

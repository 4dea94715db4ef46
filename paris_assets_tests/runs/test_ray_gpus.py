"""`paris run --ray` on a node with GPUs that are simulated: Ray counts them and hands them out, and there are none."""

from __future__ import annotations

from itertools import pairwise
from pathlib import Path

import polars as pl
import pytest

from paris_assets.runs.command import run_command
from paris_assets.runs.run import Request
from paris_assets_tests.fixtures import direct, small_world
from paris_assets_tests.fixtures.ray_cluster import ray_cluster

pytestmark = [pytest.mark.extended, pytest.mark.long]
NOTED = "paris_assets_tests.models.noted:Noted"


def test_an_asset_that_takes_a_gpu_runs_on_as_many_actors_as_there_are_with_one_each(tmp_path: Path) -> None:
    source = small_world.embedded(tmp_path / "list.parquet", 48)
    notes = tmp_path / "notes.jsonl"
    profile = small_world.profile(
        source,
        embedder={"implementation": NOTED, "options": {"notes": str(notes)}, "batch_size": 4},
        ray__assets={"image_embeddings": {"gpus": 1}},
        source__rows_per_shard=12,
        clusters__k=2,
        ray__cpus=1,
    )
    with ray_cluster() as cluster:
        cluster.add("127.0.0.2", cpus=4, gpus=2)
        assert run_command(profile, str(tmp_path / "root"), Request(ray=cluster.address), dry_run=False) == 0
    found = pl.read_ndjson(notes, schema_overrides={"gpu": pl.String})
    pairs = found.select("gpu", "pid").unique()
    assert set(pairs["gpu"]) == {"0", "1"}, "never more than there are, and each used"
    assert pairs.height == 2, "each actor has one GPU, and each GPU one actor"
    for _, one in found.group_by("gpu"):
        assert all(first["end"] <= second["start"] for first, second in pairwise(one.sort("start").to_dicts()))
    direct.bring_up_to_date(profile, tmp_path / "here")
    assert small_world.contents(tmp_path / "root") == small_world.contents(tmp_path / "here")

"""Later shards beside those fitted on: each figure sees its own defect, and chance is none."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import polars as pl
import pytest

from paris_assets.clusters import checks
from paris_assets.clusters.drift import drifts
from paris_assets.clusters.schema import CLUSTER_ASSIGNMENTS
from paris_assets.dag.records import ALL
from paris_assets_tests.fixtures import made_up
from paris_assets_tests.fixtures.made_up import MadeUpRoot

SHARDS = ["00000", "00001", "00002"]


def rows(shard: str, n: int = 400, *, first: float = 0.5, far: float = 1.0, between: float = 0.2) -> pl.DataFrame:
    """Images in two clusters: the share in the first, their mean distance, and the share at a boundary."""
    generator = np.random.default_rng(int(shard))
    distance = far * generator.normal(1, 0.1, n)
    columns = {
        "image_id": [f"{shard}{number:027d}" for number in range(n)],
        "cluster": (generator.random(n) >= first).astype(int),
        "distance": distance,
        "second_distance": distance * np.where(generator.random(n) < between, 1.1, 1.5),
        "fine_cluster": None,
    }
    return CLUSTER_ASSIGNMENTS.frame(columns, strict=False)


@pytest.fixture
def store(tmp_path: Path) -> MadeUpRoot:
    """A model fitted on the first two of three shards."""
    store = made_up.flat_root(tmp_path)
    made_up.put_registry(tmp_path, pl.DataFrame({"shard": SHARDS, "file": "", "rows": 1}))
    store.put("cluster_model", pl.DataFrame({"level": ["coarse"] * 2}), facts={"shards": SHARDS[:2]})
    store.put("cluster_report", pl.DataFrame({"metric": ["k"], "value": [2.0]}))
    for shard in SHARDS:
        store.put("cluster_assignments", rows(shard), shard)
    return store


@pytest.mark.parametrize(
    ("defect", "said"),
    [
        ({"first": 0.95}, "split between clusters"),
        ({"far": 1.3}, "mean distance"),
        ({"between": 0.6}, "share at a boundary"),
    ],
)
def test_each_defect_is_seen_alone(store: MadeUpRoot, defect: dict[str, Any], said: str) -> None:
    before = store.check(checks.like_fitted_shards, ALL)
    assert before.passed
    assert "1 shards that came after the fit are like the 2" in before.said
    store.put("cluster_assignments", rows(SHARDS[2], **defect), SHARDS[2])
    found = store.check(checks.like_fitted_shards, ALL)
    assert not found.passed
    assert said in found.said
    assert ";" not in found.said
    assert "--from cluster_model" in found.advice


def test_few_images_differ_by_chance_and_nearer_ones_are_no_drift(store: MadeUpRoot) -> None:
    store.put("cluster_assignments", rows(SHARDS[2], n=5, first=0.95), SHARDS[2])
    assert store.check(checks.like_fitted_shards, ALL).passed
    store.put("cluster_assignments", rows(SHARDS[2], far=0.5, between=0.0), SHARDS[2])
    assert store.check(checks.like_fitted_shards, ALL).passed


def test_a_model_of_all_shards_has_nothing_to_compare(store: MadeUpRoot) -> None:
    store.put("cluster_model", pl.DataFrame({"level": ["coarse"] * 2}), facts={"shards": SHARDS})
    assert "all shards" in store.check(checks.like_fitted_shards, ALL).said
    assert drifts(rows("0").lazy(), rows("1").head(0).lazy()) == []


def test_figures_by_hand() -> None:
    earlier = rows("0", n=4).with_columns(cluster=pl.Series([0, 0, 0, 1], dtype=pl.Int32), distance=pl.lit(2.0))
    later = rows("1", n=2).with_columns(cluster=pl.lit(2), distance=pl.lit(3.0), second_distance=pl.lit(3.1))
    share, distance, boundary = drifts(earlier.with_columns(second_distance=pl.lit(9.0)).lazy(), later.lazy())
    assert (share.apart, distance.apart, boundary.apart) == (1.0, 0.5, 1.0)
    assert distance.chance == 0

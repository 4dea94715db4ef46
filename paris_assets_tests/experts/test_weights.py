"""Sampling weights in samples and in the summary of experts: each sample once, whatever it weighs."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import polars as pl
import pytest

from paris_assets.config import Concepts
from paris_assets.experts.format import METADATA
from paris_assets.experts.manifest import weights_per_cluster
from paris_assets.experts.samples import LostRows, sample_columns
from paris_assets.experts.summary import summarised
from paris_assets_tests.experts.test_shards import KEYS, samples
from paris_assets_tests.fixtures import made_up
from paris_assets_tests.fixtures.made_up import SHARD

MODEL = pl.LazyFrame({"level": "coarse", "index": pl.Series([0, 1, 2], dtype=pl.Int32)})
TARS = pl.LazyFrame(schema={"cluster": pl.Int32, "samples": pl.Int64, "size_bytes": pl.Int64})


def test_every_sample_once_with_its_weight_and_concepts(tmp_path: Path) -> None:
    store = made_up.flat_root(tmp_path, **{"concepts.phrases": True})
    names = made_up.publishable(store)
    made_up.publish(store)
    found = samples(tmp_path)
    assert sorted(found) == names
    for number, name in enumerate(names):
        metadata = found[name]["metadata.json"]
        assert set(metadata) == KEYS | {"weight", "concepts"}
        assert metadata["weight"] == 0.5 + number % 4 / 2
        assert metadata["concepts"] == ["dog", "tower"][: number % 3]
    assert store.read("expert_shards", SHARD)["samples"].sum() == len(names)


def test_a_lost_weight_stops_the_shard(tmp_path: Path) -> None:
    store = made_up.flat_root(tmp_path, **{"concepts.phrases": True})
    made_up.publishable(store)
    store.put("sampling_weights", store.read("sampling_weights", SHARD)[2:])
    with pytest.raises(LostRows, match="2 of 24 samples have no row in sampling_weights"):
        made_up.publish(store)


def test_fields_are_described_where_there_are_any() -> None:
    more = set(sample_columns(tiers=False, weighted=True)) - set(sample_columns(tiers=False, weighted=False))
    assert more == {"weight", "concepts"}
    assert more <= METADATA.keys()


def rows(weights: list[float], cluster: int = 0, split: int = 0) -> pl.DataFrame:
    same = {"cluster": pl.Series([cluster], dtype=pl.Int32), "split": pl.Series([split], dtype=pl.UInt8)}
    told = {
        "group_id": ["g"],
        "caption": ["a b"],
        "captioner": ["source_text"],
        "distance": pl.Series([0.5], dtype=pl.Float32),
    }
    return pl.DataFrame({**same, **told}).join(pl.DataFrame({"weight": weights}), how="cross")


def test_effective_samples_are_kishs_of_samples_to_train_on() -> None:
    generator = np.random.default_rng(0)
    weights = [*generator.uniform(0.3, 3.9, 100).round(3).tolist(), 0.25, 4.0, 4.0]
    given = pl.concat([rows(weights), rows([4.0] * 9, split=1), rows([2.0] * 5, cluster=1)])
    table = summarised(MODEL, TARS, given.lazy(), Concepts(phrases=True))
    first, second, empty = table.to_dicts()
    assert first["effective_samples"] == pytest.approx(sum(weights) ** 2 / sum(weight**2 for weight in weights))
    assert (first["train"], first["validation"]) == (103, 9)
    assert (first["min_weight"], first["max_weight"]) == (0.25, 4.0)
    assert first["at_bounds"] == pytest.approx(3 / 103)
    assert second["effective_samples"] == second["train"] == 5, "equal weights lose nothing"
    assert (empty["effective_samples"], empty["min_weight"], empty["at_bounds"]) == (0.0, None, None)
    shuffled = summarised(MODEL, TARS, given.sample(fraction=1, shuffle=True, seed=3).lazy(), Concepts(phrases=True))
    assert shuffled.equals(table)
    stated = weights_per_cluster(table)
    assert stated["1"] == {"effective_samples": 5.0, "min_weight": 2.0, "max_weight": 2.0, "at_bounds": 0.0}


def test_without_weights_the_summary_has_no_such_columns() -> None:
    table = summarised(MODEL, TARS, rows([1.0]).drop("weight").lazy(), Concepts())
    assert "effective_samples" not in table.columns
    assert weights_per_cluster(table) == {}

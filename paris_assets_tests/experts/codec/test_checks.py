"""Each check of the codec fails for its own defect, at the shipped bounds."""

from pathlib import Path

import polars as pl
import pytest

from paris_assets.dag.records import ALL
from paris_assets.experts.codec import checks
from paris_assets_tests.fixtures import made_up
from paris_assets_tests.fixtures.made_up import SHARD, MadeUpRoot

CODED = {"experts.codec": {"latents": {}, "text": {}}, "experts.formats": ["webdataset", "mds"]}


@pytest.fixture
def store(tmp_path: Path) -> MadeUpRoot:
    store = made_up.flat_root(tmp_path, **CODED)
    made_up.publishable(store)
    made_up.put_ranges(store)
    made_up.publish(store)
    assert store.check(checks.codec_error, ALL).passed
    assert store.check(checks.values_in_range, SHARD).passed
    return store


@pytest.mark.parametrize(
    ("column", "kind", "value", "said"),
    [
        ("clipped", "latents", 0.003, "latents: 0.003 of the values are clipped, at most 0.002"),
        ("relative_rmse", "text", 0.06, "text: 0.06 is the relative error, at most 0.05"),
        ("cosine", "text", 0.99, "text: 0.99 is the mean cosine, at least 0.995"),
        ("psnr_db", "latents", 39.5, "latents: 39.5 dB is the mean PSNR after decoding, at least 40"),
    ],
)
def test_a_codec_that_costs_too_much(store: MadeUpRoot, column: str, kind: str, value: float, said: str) -> None:
    store.replace("value_ranges", **{column: pl.when(kind=kind).then(value).otherwise(column)})
    found = store.check(checks.codec_error, ALL)
    assert (found.passed, found.said) == (False, said)
    assert f"experts.codec.{kind}.range" in found.advice


def test_a_bound_of_zero_is_one(store: MadeUpRoot) -> None:
    rows = store.read("value_ranges").with_columns(clipped=pl.lit(1e-6))
    strict = store.profile.checks.model_copy(update={"max_clipped": 0.0})
    found = checks.codec_error(rows.lazy(), strict)
    assert "1e-06 of the values are clipped, at most 0" in found.said
    assert checks.codec_error(rows.with_columns(clipped=pl.lit(0.0)).lazy(), strict).passed


def test_a_shard_whose_values_are_beyond_the_frozen_range(store: MadeUpRoot) -> None:
    made_up.put_ranges(store, latents=2.0)
    made_up.publish(store)
    found = store.check(checks.values_in_range, SHARD)
    assert not found.passed
    assert "of the values of latents are clipped, at most 0.200%" in found.said
    assert 0.02 < float(found.figures["latents_clipped"]) < 0.06
    assert found.figures["text_clipped"] == 0

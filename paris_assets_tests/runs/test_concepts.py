"""Concepts and sampling weights from a list to shards, and when the source grows."""

from __future__ import annotations

import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import dagster as dg
import polars as pl
import pytest

from paris_assets.clusters import reported
from paris_assets.concepts.weights import weighted
from paris_assets.config import Profile
from paris_assets.dag.checks import checks_of
from paris_assets.dag.records import ALL
from paris_assets.dag.s3 import open_location
from paris_assets.definitions import CHECKS, asset_graph, build_definitions, open_catalog
from paris_assets.runs.doctor import missing_for
from paris_assets.verification.command import verify
from paris_assets.verification.manifest_checks import MANIFEST, parse_manifest
from paris_assets_tests.concepts.made import model_of
from paris_assets_tests.concepts.test_weights import images
from paris_assets_tests.experts.test_shards import samples
from paris_assets_tests.fixtures import direct, made_up, small_world
from paris_assets_tests.fixtures.brief import brief_report
from paris_assets_tests.runs.test_changes import table

pytestmark = pytest.mark.long

CONCEPTS: dict[str, Any] = {
    "concepts.labeller": {"implementation": f"{small_world.CHEAP}:Tagger", "batch_size": 4},
    "concepts.phrases": True,
    "concepts.min_df": 3,
    "source.rows_per_shard": 15,
    "clusters.min_caption_diversity": 0.0,
}
ADDED = {"concepts", "concept_counts", "sampling_weights"}


@pytest.fixture(scope="module", autouse=True)
def _brief() -> Iterator[None]:
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(reported, "write_report", brief_report)
        yield


def add(source: Path, name: str, seeds: range) -> None:
    """A further file of a source: pictures whose captions are as unlike as things are in the world."""
    tags = list(images(300).values())
    texts = [f"there is {' and '.join(tags[seed])} here" for seed in seeds]
    pictures = pl.Series([small_world.picture(seed) for seed in seeds], dtype=pl.Binary)
    source.mkdir(exist_ok=True)
    pl.DataFrame({"image": pictures, "text": texts}).write_parquet(source / f"{name}.parquet")


def profile(source: Path, **settings: Any) -> Profile:
    return small_world.profile(source, **CONCEPTS, **settings)


@pytest.mark.slow
def test_weights_reach_samples_summary_and_manifest_and_are_made_anew_by_growth(tmp_path: Path) -> None:
    source, root = tmp_path / "list", tmp_path / "root"
    add(source, "m", range(30))
    direct.bring_up_to_date(profile(source), root)
    dg.Definitions.validate_loadable(build_definitions(open_catalog(str(root))))
    weights, found = table(root, "sampling_weights"), samples(root)
    metadata = {name: sample["metadata.json"] for name, sample in found.items()}
    rows = weights.filter(pl.col("image_id").is_in(list(metadata))).rows(named=True)
    assert len(rows) == len(found) > 20, "each sample is there once"
    assert all(metadata[row["image_id"]]["weight"] == row["weight"] for row in rows)
    assert all(metadata[row["image_id"]]["concepts"] == row["concepts"] for row in rows)
    assert weights["weight"].n_unique() > 3
    manifest = json.loads((root / "pipeline_manifest.json").read_text())
    assert manifest["models"]["concepts.labeller"]["implementation"].endswith("Tagger")
    assert {"weight", "concepts"} <= manifest["format"]["samples"]["members"]["metadata.json"]["fields"].keys()
    assert "| weight | number" in (root / "expert_shards/README.md").read_text()
    effective = {row["cluster"]: row["effective_samples"] for row in table_of_experts(root)}
    assert {int(k): value["effective_samples"] for k, value in manifest["weights_per_cluster"].items()} == effective
    assert 0 < sum(effective.values()) < sum(row["train"] for row in table_of_experts(root))
    add(source, "n", range(30, 42))
    made = direct.bring_up_to_date(profile(source), root)
    assert {shard for asset, shard in made if asset == "sampling_weights"} == {"00000", "00001", "00002"}
    assert {shard for asset, shard in made if asset == "concepts"} == {"00002"}
    assert {shard for asset, shard in made if asset == "router_arrays"} == {"00002"}, "which hold no weight"
    model = pl.read_parquet(root / "concept_counts/all.parquet")
    tags = table(root, "concepts")
    assert model_of({"00000": tags}, profile(source).concepts, tmp_path).equals(model), "however it grew"
    assert weighted(tags.lazy(), model, profile(source).concepts).equals(
        table(root, "sampling_weights").sort("image_id")
    )
    location = open_location(root)
    assert verify(location, parse_manifest(location.read(MANIFEST), MANIFEST)).problems == []
    catalog = open_catalog(str(root))
    store = made_up.MadeUpRoot(catalog)
    judged = [check for check in checks_of(catalog.graph, *CHECKS) if check.asset in ADDED]
    failed = {
        check.name: found.said
        for check in judged
        for shard in (catalog.shards() if check.partitioned else [ALL])
        if not (found := store.check(check.body, shard)).passed
    }
    assert (len(judged), failed) == (7, {})


def table_of_experts(root: Path) -> list[dict[str, Any]]:
    return pl.read_parquet(root / "expert_summary/all.parquet").rows(named=True)


def test_profiles_that_name_no_source_of_tags_have_no_such_assets() -> None:
    without = asset_graph(small_world.profile("x"))
    for setting in ("labeller", "phrases"):
        graph = asset_graph(small_world.profile("x", **{f"concepts.{setting}": CONCEPTS[f"concepts.{setting}"]}))
        assert graph.keys() - without.keys() == ADDED
        assert "sampling_weights" in graph["expert_shards"].inputs
    assert not any(ADDED & set(spec.inputs) for spec in without.values())
    phrases = asset_graph(small_world.profile("x", **{"concepts.phrases": True}))
    assert phrases["concepts"].inputs == ("captions", "curated_images"), "no picture is decoded for words"
    labels = asset_graph(small_world.profile("x", **{"concepts.labeller": CONCEPTS["concepts.labeller"]}))
    assert labels["concepts"].inputs == ("curated_images", "raw_images")


def test_doctor_names_a_class_that_is_no_labeller() -> None:
    wrong = {"implementation": f"{small_world.CHEAP}:Letters"}
    (problem,) = missing_for(small_world.profile("x", **{"concepts.labeller": wrong}))
    assert problem.startswith("concepts.labeller: paris_assets_tests.models.cheap:Letters has no preprocess")
    assert missing_for(small_world.profile("x", **CONCEPTS)) == []

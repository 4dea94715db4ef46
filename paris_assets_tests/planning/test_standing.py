"""What an asset of all shards says of the set that it holds."""

from types import SimpleNamespace
from typing import Any

import pytest

from paris_assets.planning.standing import standing, standing_keys
from paris_assets_tests.fixtures.direct import GRAPH

SHARDS = ["00000", "00001", "00002"]


def said(asset: str, *not_done: str, made: bool = True, some_missing: bool = False) -> tuple[bool, str]:
    """Of a root of three shards, of which the partitions ``asset/shard`` are not done."""
    record = SimpleNamespace(facts={"shards": SHARDS[:2]}) if made else None
    profile = SimpleNamespace(allow_missing_shards=some_missing)
    catalog: Any = SimpleNamespace(
        graph=GRAPH, profile=profile, shards=lambda: SHARDS, record=lambda name, shard="all": record
    )
    found = standing(catalog, asset, lambda name, shard: f"{name}/{shard}" not in not_done)
    return found["passed"], found["description"]


def test_a_whole_set_is_named() -> None:
    assert said("pipeline_manifest") == (True, "Speaks of 3 of 3 shards.")


@pytest.mark.parametrize("asset", ["duplicate_groups", "latent_report", "expert_summary", "pipeline_manifest"])
def test_an_older_set_is_called_so_by_what_came_first(asset: str) -> None:
    behind = [f"{name}/00002" for name, spec in GRAPH.items() if spec.partitioned and name != "source_rows"]
    passed, words = said(asset, *behind, *(f"{key.asset_key.to_user_string()}/all" for key in standing_keys(GRAPH)))
    assert not passed
    assert words.startswith(
        "Holds an older set: since then raw_images/00002 came or changed, and is not made. `paris run`"
    )


def test_other_settings_alone_make_an_older_set() -> None:
    assert said("cluster_values", "cluster_values/all")[1].startswith("Holds an older set: its inputs or settings have")


def test_what_was_never_made_is_no_green() -> None:
    passed, words = said("pipeline_manifest", "latents/00001", "pipeline_manifest/all", made=False)
    assert not passed
    assert words.startswith("Has not been made: latents/00001 is missing or out of date. `paris run` makes it")


def test_a_fitted_model_that_is_kept_says_on_what_it_was_fitted() -> None:
    passed, words = said("cluster_model", "image_embeddings/00002", "raw_images/00002")
    assert passed
    assert words.startswith("Fitted on 2 of 3 shards and kept when others come (00002)")
    assert "unsynced" in words
    assert not said("cluster_model", "cluster_model/all")[0], "other settings do fit it again"


def test_shards_that_may_be_missing_are_named() -> None:
    missing = [f"{name}/00001" for name, spec in GRAPH.items() if spec.partitioned]
    assert said("pipeline_manifest", *missing, some_missing=True) == (True, "Speaks of 2 of 3 shards, without 00001.")
    assert not said("pipeline_manifest", *missing)[0]

"""Each check of concepts and weights fails for its own defect, at the shipped bounds."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import polars as pl
import pytest

from paris_assets.concepts import checks
from paris_assets.concepts.counts import measured
from paris_assets.concepts.weights import weighted
from paris_assets.dag.checks import checks_of
from paris_assets.definitions import CHECKS, asset_graph
from paris_assets.experts.schema import EXPERT_SUMMARY
from paris_assets.profiles import load_profile
from paris_assets_tests.concepts.made import model_of, table
from paris_assets_tests.fixtures import made_up
from paris_assets_tests.fixtures.made_up import SHARD, MadeUpRoot

SHARDED = [
    checks.ids_joined,
    checks.weights_joined,
    checks.weights_bounded,
    checks.concepts_found,
    checks.weights_apart,
]
GLOBAL = [checks.concepts_varied, checks.counts_add_up, checks.effective_samples]
WORDS = ["dog", "dog", "old dog", "cat", "tower", "beach"]
COUNT = 48


@pytest.fixture
def store(tmp_path: Path) -> MadeUpRoot:
    store = made_up.flat_root(tmp_path, **{"concepts.listed": "text"})
    names = made_up.publishable(store, COUNT)
    tags = table({name: [WORDS[number % len(WORDS)]] for number, name in enumerate(names)})
    model = model_of({SHARD: tags}, store.profile.concepts, tmp_path)
    store.put("concepts", tags)
    store.put("concept_counts", model)
    store.put("sampling_weights", weighted(tags.lazy(), model, store.profile.concepts))
    summary = {"cluster": [0, 1], "train": 20, "effective_samples": 18.0, "min_weight": 0.6, "max_weight": 1.0}
    rows = EXPERT_SUMMARY.frame([dict(zip(summary, row, strict=True)) for row in pl.DataFrame(summary).rows()])
    store.put("expert_summary", rows)
    assert failing(store) == []
    return store


def failing(store: MadeUpRoot) -> list[str]:
    judged = [(check, store.check(check, SHARD)) for check in SHARDED]
    judged += [(check, store.check(check, "all")) for check in GLOBAL]
    return [check.__name__ for check, found in judged if not found.passed]


def first(value: Any, column: str) -> pl.Expr:
    """A column with another value in the first row."""
    return pl.when(pl.int_range(pl.len()) == 0).then(pl.lit(value)).otherwise(column)


def test_a_concept_that_nearly_every_image_shows(store: MadeUpRoot) -> None:
    """As where every caption begins alike."""
    store.replace("concept_counts", share=first(0.81, "share"))
    assert failing(store) == ["concepts_varied"]
    said = store.check(checks.concepts_varied, "all").said
    assert said == "81.0% of the images show `beach`, at most 80% expected"
    store.replace("concept_counts", share=first(0.79, "share"))
    assert failing(store) == []


def test_no_concept_at_all(store: MadeUpRoot) -> None:
    store.put("concept_counts", store.read("concept_counts").clear())
    assert failing(store) == ["concepts_varied"]


@pytest.mark.parametrize(
    "defect",
    [
        {"df": first(COUNT + 1, "df")},
        {"df": first(4, "df"), "images": first(4, "images")},
        {"images": first(COUNT, "images")},
        {"images": first(-1, "images")},
        {"parent": first("unknown", "parent")},
        {"smoothed_df": first(0.0, "smoothed_df")},
        {"rarity": first(float("nan"), "rarity")},
        {"concept": first("cat", "concept")},
    ],
    ids=lambda defect: " ".join(defect),
)
def test_counts_that_cannot_be(store: MadeUpRoot, defect: dict[str, pl.Expr]) -> None:
    store.replace("concept_counts", **defect)
    assert failing(store) == ["counts_add_up"]


def test_an_image_without_tags_row(store: MadeUpRoot) -> None:
    store.put("concepts", store.read("concepts", SHARD)[1:])
    assert "ids_joined" in failing(store)


def test_an_image_without_weight(store: MadeUpRoot) -> None:
    store.put("sampling_weights", store.read("sampling_weights", SHARD)[1:])
    assert failing(store) == ["weights_joined"]


@pytest.mark.parametrize("weight", [0.24, 4.01, float("nan"), None])
def test_a_weight_outside_the_bounds(store: MadeUpRoot, weight: float | None) -> None:
    store.replace("sampling_weights", weight=first(weight, "weight"))
    assert failing(store) == ["weights_bounded"]


def test_an_undecided_image_that_does_not_weigh_one(store: MadeUpRoot) -> None:
    none = pl.lit([], pl.List(pl.String))
    store.replace("sampling_weights", weight=first(1.0, "weight"), concepts=first(None, "concepts").fill_null(none))
    assert failing(store) == []
    store.replace("sampling_weights", weight=first(1.05, "weight"))
    assert failing(store) == ["weights_bounded"]


def test_most_images_show_no_concept(store: MadeUpRoot) -> None:
    """As when df is counted of another spelling than the tags have."""
    few = pl.int_range(pl.len()) < 20
    none = pl.lit([], pl.List(pl.String))
    store.replace(
        "sampling_weights",
        concepts=pl.when(few).then("concepts").otherwise(none),
        weight=pl.when(few).then("weight").otherwise(1.0),
    )
    assert failing(store) == ["concepts_found"]
    assert "20 of 48 images show a concept (41.7%), at least 50%" in store.check(checks.concepts_found, SHARD).said


def test_images_that_show_everything(store: MadeUpRoot) -> None:
    """As when sentences are split into letters."""
    many = pl.lit([f"word {number}" for number in range(51)])
    store.replace("sampling_weights", concepts=many)
    assert failing(store) == ["concepts_found"]


def test_most_weights_are_at_a_bound(store: MadeUpRoot) -> None:
    """As where the median is that of distinct concepts, most of which are rare."""
    most = pl.int_range(pl.len()) < 25
    store.replace("sampling_weights", weight=pl.when(most).then(0.25).otherwise("weight"))
    assert failing(store) == ["weights_apart"]


def test_a_bound_of_one_is_no_sign(tmp_path: Path) -> None:
    store = made_up.flat_root(tmp_path, **{"concepts.listed": "text", "concepts.max_weight": 1.0})
    rows = pl.DataFrame({"image_id": ["a", "b"], "weight": [1.0, 1.0], "concepts": [["x"], ["y"]]})
    store.put("sampling_weights", rows)
    assert store.check(checks.weights_apart, SHARD).passed


def test_an_expert_that_a_few_samples_would_fill(store: MadeUpRoot) -> None:
    store.replace("expert_summary", effective_samples=first(9.9, "effective_samples"))
    assert failing(store) == ["effective_samples"]
    said = store.check(checks.effective_samples, "all").said
    assert said == "experts 0 have fewer effective samples than 50% of those to train on"


@pytest.mark.parametrize(
    "defect", [{"max_weight": first(3.9, "max_weight")}, {"min_weight": first(None, "min_weight")}]
)
def test_an_expert_with_weights_of_another_time(store: MadeUpRoot, defect: dict[str, pl.Expr]) -> None:
    store.replace("expert_summary", **defect)
    assert failing(store) == ["effective_samples"]


def test_an_expert_without_samples_is_left_to_other_checks(store: MadeUpRoot) -> None:
    columns = ("effective_samples", "min_weight", "max_weight")
    store.replace("expert_summary", train=first(0, "train"), **{name: first(None, name) for name in columns})
    assert failing(store) == []


def test_profiles_without_concepts_show_none_of_it() -> None:
    names = {check.name for check in checks_of(asset_graph(load_profile("demo")), *CHECKS)}
    graph = asset_graph(load_profile("demo", {"concepts.phrases": True}))
    added = [check for check in checks_of(graph, *CHECKS) if check.name not in names]
    assert {(check.asset, check.name) for check in added} == {
        ("concept_counts", "concepts_varied"),
        ("concept_counts", "counts_add_up"),
        ("expert_summary", "effective_samples"),
        ("sampling_weights", "concepts_found"),
        ("sampling_weights", "weights_apart"),
        ("sampling_weights", "weights_bounded"),
        ("sampling_weights", "weights_joined"),
    }
    assert len(checks_of(graph, *CHECKS)) - len(names) >= len(added)


def test_smoothing_of_a_made_up_model_is_finite() -> None:
    concepts = pl.DataFrame(
        {"concept": ["a"], "df": [1], "images": [None], "parent": [None]},
        {"concept": str, "df": pl.Int64, "images": pl.Int64, "parent": str},
    )
    assert measured(concepts, 1, 0.5)["images"].to_list() == [0]

"""Concepts of a pool: found, the same in any order of rows and shards, and nothing without a vector gets one."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import numpy as np
import polars as pl
import pytest
from sklearn.metrics import adjusted_rand_score

from paris_assets.errors import BrokenInvariant, UsageError
from paris_assets.pool import concepts, pool_rows
from paris_assets.pool.concepts import CollapsedConcepts, TooFewRows, assigned, concept_count, fitted
from paris_assets.pool.pool_rows import Pool
from paris_assets.pool.schema import CONCEPT_ASSIGNMENTS, CONCEPT_MODEL
from paris_assets.settings.concept_model import ConceptModel
from paris_assets.storage.output import Output
from paris_assets.storage.shards import Shards

DIM, GROUPS = 16, 6


def vectors(n: int = 600, seed: int = 0, scale: float = 3.0) -> tuple[np.ndarray, np.ndarray]:
    """(n, 16) float16 around six directions, of differing lengths; and the group of each."""
    rng = np.random.default_rng(seed)
    groups = rng.choice(GROUPS, n, p=np.arange(1, GROUPS + 1) / 21)
    found = rng.normal(size=(GROUPS, DIM))[groups] + 0.3 * rng.normal(size=(n, DIM))
    return (found * rng.uniform(0.1, scale, (n, 1))).astype(np.float16), groups


def table(text: np.ndarray, start: int = 0, **more: Any) -> pl.DataFrame:
    return pl.DataFrame({"source_row": np.arange(start, start + len(text)), "text": text, **more})


def made(output: Output, scratch: Path) -> pl.DataFrame:
    output.scratch = scratch
    assert not callable(output.rows)
    return pl.concat([pl.DataFrame(chunk) for chunk in output.rows])


def model_of(shards: Shards, scratch: Path, seed: int = 0, **settings: Any) -> tuple[pl.DataFrame, Output]:
    output = fitted(shards, ConceptModel.model_validate({"k": GROUPS, **settings}), seed)
    return made(output, scratch), output


def test_groups_are_found_and_numbered_by_size(tmp_path: Path) -> None:
    found, groups = vectors()
    model, output = model_of(Shards.of({"0": table(found)}), tmp_path)
    rows = made(assigned(table(found).lazy(), model.lazy(), ConceptModel()), tmp_path)
    assert adjusted_rand_score(groups, rows["concept"].to_numpy()) == 1
    assert model["rows"].to_list() == sorted(np.bincount(groups).tolist(), reverse=True)
    assert rows["concept"].value_counts(sort=True)["concept"].to_list() == model["concept"].to_list()
    CONCEPT_MODEL.require(dict(model.schema), "concept_model")
    CONCEPT_ASSIGNMENTS.require(dict(rows.schema), "concept_assignments")
    assert output.rows_in == 600


def test_distances_and_inertia_are_those_of_unit_vectors(tmp_path: Path) -> None:
    found, _ = vectors()
    model, output = model_of(Shards.of({"0": table(found)}), tmp_path)
    rows = made(assigned(table(found).lazy(), model.lazy(), ConceptModel()), tmp_path)
    wide = found.astype(np.float64)
    wide /= np.linalg.norm(wide, axis=1, keepdims=True)
    apart = np.sort(np.linalg.norm(wide[:, None] - model["centroid"].to_numpy(), axis=2), axis=1)
    np.testing.assert_allclose(rows["distance"].to_numpy(), apart[:, 0], rtol=1e-5)
    np.testing.assert_allclose(rows["second_distance"].to_numpy(), apart[:, 1], rtol=1e-5)
    assert output.facts["inertia"] == pytest.approx(float(np.square(apart[:, 0]).sum()), rel=1e-6)
    assert json.loads(model["statistics"][0])["inertia"] == output.facts["inertia"]


@pytest.mark.parametrize("max_train", [None, 250])
def test_order_of_rows_and_size_of_shards_change_no_bit(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, max_train: int | None
) -> None:
    found, _ = vectors()
    found[100:200] = found[0]  # copies, of which a hash alone would take all or none
    settings = {"max_train": max_train, "sweep": [3, 9]}
    whole, first = model_of(Shards.of({"0": table(found)}), tmp_path, **settings)
    monkeypatch.setattr(pool_rows, "BATCH_ROWS", 77)
    mixed = found[np.random.default_rng(1).permutation(len(found))]
    parts = {str(start): table(mixed[start : start + 130], start) for start in range(0, 600, 130)}
    other, second = model_of(Shards.of(dict(reversed(parts.items()))), tmp_path, **settings)
    assert other.equals(whole)
    assert second.facts["sweep"] == first.facts["sweep"]
    assert first.facts["trained_on"] == (max_train or 600)


def test_a_hash_sample_holds_copies_by_their_share(tmp_path: Path) -> None:
    found, _ = vectors(2000)
    found[:1000] = found[0]
    pool = pool_rows.survey(Shards.of({"0": table(found)}), ["text"], 0)
    chosen = np.argsort(pool.keys)[:400]
    assert 150 < (chosen < 1000).sum() < 250
    assert pool.distinct == 1001


def test_rows_without_a_vector_are_counted_and_get_no_concept(tmp_path: Path) -> None:
    found, _ = vectors()
    found[3], found[4, 5], found[5, 0] = 0, np.nan, np.inf
    broken = table(found).with_columns(text=pl.when(pl.col("source_row") != 7).then("text"))
    model, output = model_of(Shards.of({"0": broken}), tmp_path)
    rows = made(assigned(broken.lazy(), model.lazy(), ConceptModel()), tmp_path)
    assert rows.filter(pl.col("concept").is_null())["source_row"].to_list() == [3, 4, 5, 7]
    assert rows.filter(pl.col("distance").is_null())["source_row"].to_list() == [3, 4, 5, 7]
    assert rows["source_row"].to_list() == list(range(600))
    assert output.facts["without_vector"] == {"null": 1, "zero": 1, "not_finite": 2}
    assert output.facts["trained_on"] == 596


def test_each_part_has_length_one_and_they_stand_as_named(tmp_path: Path) -> None:
    text, image = vectors()[0], 40 * np.random.default_rng(2).normal(size=(600, 8)).astype(np.float16)
    both, settings = table(text, image=pl.Series(image)), ConceptModel(features=["image", "text"], k=4)
    model = made(fitted(Shards.of({"0": both}), settings, 0), tmp_path)
    rows = made(assigned(both.lazy(), model.lazy(), settings), tmp_path)
    wide = [part.astype(np.float64) for part in (image, text)]
    joined = np.concatenate([part / np.linalg.norm(part, axis=1, keepdims=True) for part in wide], axis=1)
    apart = np.linalg.norm(joined[:, None] - model["centroid"].to_numpy(), axis=2)
    np.testing.assert_allclose(rows["distance"].to_numpy(), apart.min(axis=1), rtol=1e-5)


@pytest.mark.parametrize(
    ("rows", "settings", "k"),
    [
        (12_800_000, {}, 1280),
        (900_000, {}, 90),
        (100_000_000, {"max_train": None}, 2000),
        (5000, {}, 64),
        (200, {}, 25),
        (5, {}, 1),
        (5000, {"k": 7}, 7),
        (900_000, {"max_train": 400}, 50),
    ],
)
def test_how_many_concepts_a_pool_gets(rows: int, settings: dict[str, Any], k: int) -> None:
    few = np.broadcast_to(np.uint64(0), rows)
    assert concept_count(ConceptModel.model_validate(settings), Pool(rows, few, rows, {}, [DIM])) == k


def test_few_different_vectors_make_few_concepts(tmp_path: Path) -> None:
    found = vectors(40)[0][np.arange(1000) % 40]
    model, _ = model_of(Shards.of({"0": table(found)}), tmp_path, k="auto")
    assert model.height == 5


@pytest.mark.parametrize(
    ("settings", "said"),
    [
        ({"k": 41}, "pool.concepts.k is 41, but the pool has only 40 different vectors"),
        ({"sweep": [41]}, "pool.concepts.sweep is 41"),
        ({"features": ["image"]}, "'image', but the pool has no image vectors"),
    ],
)
def test_what_cannot_be_fitted_is_said(tmp_path: Path, settings: dict[str, Any], said: str) -> None:
    shards = Shards.of({"0": table(vectors(40)[0][np.arange(100) % 40])})
    with pytest.raises(UsageError, match=said):
        model_of(shards, tmp_path, **settings)


def test_a_pool_without_a_single_vector_is_said(tmp_path: Path) -> None:
    with pytest.raises(TooFewRows, match="none of the pool's 9 rows has a vector of text \\(0 null, 9 zero"):
        model_of(Shards.of({"0": table(np.zeros((9, DIM), np.float16))}), tmp_path)


def test_vectors_that_are_all_alike_are_a_collapse(tmp_path: Path) -> None:
    found = np.ones((500, DIM), np.float16)
    found[:, 0] = np.linspace(1, 2, 500)
    found[1:] = found[0] * np.linspace(1, 3, 499)[:, None]  # many vectors, one direction
    with pytest.raises(CollapsedConcepts, match=r"of 6 concepts hold no rows|largest"):
        concepts.fit(pool_rows.UnitHalves(np.repeat(found[:1], 500, axis=0), [DIM]), 6, 10, 0)


def test_shards_of_other_dimensions_are_refused(tmp_path: Path) -> None:
    shards = Shards.of({"0": table(vectors()[0]), "1": table(vectors()[0][:, :8])})
    with pytest.raises(BrokenInvariant, match="shard 1 end at \\[8\\]"):
        model_of(shards, tmp_path)


def test_a_shard_without_rows_has_a_table(tmp_path: Path) -> None:
    found, _ = vectors()
    model, _ = model_of(Shards.of({"0": table(found), "1": table(found[:0])}), tmp_path)
    rows = made(assigned(table(found[:0]).lazy(), model.lazy(), ConceptModel()), tmp_path)
    assert rows.height == 0
    CONCEPT_ASSIGNMENTS.require(dict(rows.schema), "concept_assignments")

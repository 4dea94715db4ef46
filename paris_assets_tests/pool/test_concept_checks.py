"""Each check of concepts fails for its own defect, at the shipped bounds."""

from __future__ import annotations

from pathlib import Path
from types import SimpleNamespace
from typing import Any

import numpy as np
import polars as pl
import pytest

from paris_assets.pool.checks import concept_sizes, concepts_assigned
from paris_assets.pool.concepts import assigned
from paris_assets.settings.checks import Checks
from paris_assets.settings.concept_model import ConceptModel
from paris_assets.storage.shards import Shards
from paris_assets_tests.fixtures.made_up import SHARD
from paris_assets_tests.pool.test_concepts import DIM, made, model_of, table, vectors

Tables = tuple[pl.DataFrame, pl.DataFrame, pl.DataFrame]


@pytest.fixture
def tables(tmp_path: Path) -> Tables:
    rows = table(vectors()[0])
    model, _ = model_of(Shards.of({SHARD: rows}), tmp_path)
    places = made(assigned(rows.lazy(), model.lazy(), ConceptModel()), tmp_path)
    assert said(rows, places, model) is None
    return rows, places, model


def said(rows: pl.DataFrame, places: pl.DataFrame, model: pl.DataFrame) -> str | None:
    """What the check says of a shard when it fails."""
    found = concepts_assigned(SHARD, rows.lazy(), places.lazy(), model.lazy(), Checks())
    return None if found.passed else found.said


def sized(facts: dict[str, Any]) -> bool:
    record: Any = SimpleNamespace(facts=facts)
    return concept_sizes(record, Checks()).passed


def test_a_concept_that_holds_most_rows(tmp_path: Path) -> None:
    found = vectors()[0]
    assert sized(model_of(Shards.of({SHARD: table(found)}), tmp_path)[1].facts)
    found[:400] = found[0]
    assert not sized(model_of(Shards.of({SHARD: table(found)}), tmp_path)[1].facts)
    assert sized({"largest_share": 1.0, "k": 1})


def test_a_row_that_is_missing_or_twice(tables: Tables) -> None:
    rows, places, model = tables
    assert said(rows, places[1:], model) == "599 rows, but they are not the 600 of pool_vectors"
    assert said(rows, pl.concat([places[1:], places[5:6]]), model) is not None


def test_a_concept_that_the_model_lacks(tables: Tables) -> None:
    rows, places, model = tables
    assert said(rows, places, model[:-1]) is not None
    assert "outside 0 to 4" in str(said(rows, places, model[:-1]))


def test_many_rows_without_a_vector(tables: Tables, tmp_path: Path) -> None:
    rows, _, model = tables
    bare = rows.with_columns(text=pl.when(pl.col("source_row") >= 60).then("text"))
    places = made(assigned(bare.lazy(), model.lazy(), ConceptModel()), tmp_path)
    assert said(bare, places, model) == "10.0% of rows have no vector, at most 5% expected"
    assert said(bare[40:], places[40:], model) is None


def test_a_shard_without_rows_passes(tables: Tables, tmp_path: Path) -> None:
    empty = table(np.empty((0, DIM), np.float16))
    assert said(empty, made(assigned(empty.lazy(), tables[2].lazy(), ConceptModel()), tmp_path), tables[2]) is None

"""Each check of what is known of a pool's rows fails for its own defect, at the shipped bounds."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import polars as pl
import pytest

from paris_assets.pool.checks import languages_agree, vectors_complete
from paris_assets_tests.fixtures import made_up
from paris_assets_tests.fixtures.made_up import SHARD, MadeUpRoot

ROWS = 20


@pytest.fixture
def store(tmp_path: Path) -> MadeUpRoot:
    """A pool whose tables are as they should be."""
    store = made_up.flat_root(tmp_path, **{"pool.subsets": {"everything": []}})
    rows = pl.DataFrame({"source_row": range(ROWS), "uid": [f"{row:032x}" for row in range(ROWS)]})
    store.put("source_rows", rows)
    vectors = np.random.default_rng(0).standard_normal((ROWS, 4)).astype(np.float16)
    store.put("pool_vectors", rows.select("source_row", text=pl.Series(vectors), image=pl.Series(vectors)))
    told = rows.select("source_row", words=pl.lit(5), language=pl.lit("en"), second_language=pl.lit("en"))
    store.put("caption_figures", told)
    return store


def test_good_tables_pass(store: MadeUpRoot) -> None:
    assert store.check(vectors_complete, SHARD).said == "20 rows with vectors of text and image"
    assert store.check(languages_agree, SHARD).figures["agreement"] == 1.0


def test_vectors_that_are_not_there(store: MadeUpRoot) -> None:
    store.replace("pool_vectors", image=pl.when(pl.col("source_row") > 0).then("image"))
    assert store.check(vectors_complete, SHARD).passed
    store.replace("pool_vectors", image=pl.when(pl.col("source_row") > 1).then("image"))
    judged = store.check(vectors_complete, SHARD)
    assert not judged.passed
    assert judged.said == "10.0% of the rows have no vector of their image, at most 5% expected"
    assert judged.figures["without_text"] == 0


def test_rows_of_vectors_that_are_lost_or_moved(store: MadeUpRoot) -> None:
    rows = store.read("pool_vectors", SHARD)
    for wrong in (rows[1:], rows.with_columns(pl.col("source_row") + 1)):
        store.put("pool_vectors", wrong)
        assert "not one for each of 20" in store.check(vectors_complete, SHARD).said


def test_detectors_that_disagree(store: MadeUpRoot) -> None:
    other = pl.when(pl.col("source_row") < 7).then(pl.lit("de")).otherwise(pl.lit("en"))
    store.replace("caption_figures", second_language=other)
    judged = store.check(languages_agree, SHARD)
    assert not judged.passed
    assert judged.said == "the detectors agree on 65.0% of 20 captions of more than two words, at least 70% expected"
    store.replace("caption_figures", words=pl.when(pl.col("source_row") < 7).then(2).otherwise(5))
    assert store.check(languages_agree, SHARD).figures["agreement"] == 1.0
    store.replace("caption_figures", second_language=pl.lit(None, pl.String))
    assert store.check(languages_agree, SHARD).said.startswith("there is no second detector")

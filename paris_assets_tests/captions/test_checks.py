"""Each check of the captions stage fails for its own defect, at the shipped bounds."""

from pathlib import Path

import numpy as np
import polars as pl
import pytest

from paris_assets.captions import checks
from paris_assets.dag.store import Store
from paris_assets_tests import worlds
from paris_assets_tests.worlds import SHARD, TEXT_DIM, TOKENS

ALL = [checks.ids_joined, checks.captions_not_empty, checks.captions_differ, checks.embeddings_sane]
IDS, EMPTY, ALIKE, SANE = range(4)


@pytest.fixture
def store(tmp_path: Path) -> Store:
    store = worlds.flat_store(tmp_path)
    worlds.publishable(store)
    assert failing(store) == []
    return store


def failing(store: Store) -> list[int]:
    return [number for number, check in enumerate(ALL) if not check(store, SHARD).passed]


def test_a_lost_caption(store: Store) -> None:
    worlds.put(store, "captions", store.read("captions", SHARD)[1:])
    assert IDS in failing(store)


def test_a_blank_caption(store: Store) -> None:
    blank = pl.when(pl.int_range(pl.len()) == 3).then(pl.lit("  ")).otherwise("caption")
    worlds.replace(store, "captions", caption=blank)
    assert failing(store) == [EMPTY]


def test_a_captioner_that_repeats_itself(store: Store) -> None:
    same = pl.when(pl.int_range(pl.len()) < 15).then(pl.lit("a photo")).otherwise("caption")
    worlds.replace(store, "captions", caption=same)
    assert failing(store) == [ALIKE]


@pytest.mark.parametrize(
    ("column", "defect"), [("embedding", "nan"), ("pooled", "nan"), ("pooled", "huge"), ("pooled", "constant")]
)
def test_embeddings_that_are_no_embeddings(store: Store, column: str, defect: str) -> None:
    shape = (24, TOKENS, TEXT_DIM) if column == "embedding" else (24, TEXT_DIM)
    values = np.random.default_rng(0).standard_normal(shape).astype(np.float16)
    if defect == "nan":
        values[5] = np.nan
    elif defect == "huge":
        values[5] = 60000
    else:
        values[:] = values[0]
    worlds.put(store, "text_embeddings", store.read("text_embeddings", SHARD).with_columns(pl.Series(column, values)))
    assert failing(store) == [SANE]


def test_a_token_count_beyond_the_padding(store: Store) -> None:
    worlds.replace(store, "text_embeddings", tokens=pl.lit(TOKENS + 1, pl.Int32))
    assert failing(store) == [SANE]

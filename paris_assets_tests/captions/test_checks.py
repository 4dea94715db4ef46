"""Each check of the captions stage fails for its own defect, at the shipped bounds."""

from pathlib import Path

import numpy as np
import polars as pl
import pytest

from paris_assets.captions import checks
from paris_assets_tests.fixtures import made_up
from paris_assets_tests.fixtures.made_up import SHARD, TEXT_DIM, TOKENS, MadeUpRoot

ALL = [checks.ids_joined, checks.captions_not_empty, checks.captions_differ, checks.embeddings_sane]
IDS, EMPTY, ALIKE, SANE = range(4)


@pytest.fixture
def store(tmp_path: Path) -> MadeUpRoot:
    store = made_up.flat_root(tmp_path)
    made_up.publishable(store)
    assert failing(store) == []
    return store


def failing(store: MadeUpRoot) -> list[int]:
    return [number for number, check in enumerate(ALL) if not store.check(check, SHARD).passed]


def test_a_lost_caption(store: MadeUpRoot) -> None:
    store.put("captions", store.read("captions", SHARD)[1:])
    assert IDS in failing(store)


def test_a_blank_caption(store: MadeUpRoot) -> None:
    blank = pl.when(pl.int_range(pl.len()) == 3).then(pl.lit("  ")).otherwise("caption")
    store.replace("captions", caption=blank)
    assert failing(store) == [EMPTY]


def test_a_captioner_that_repeats_itself(store: MadeUpRoot) -> None:
    same = pl.when(pl.int_range(pl.len()) < 15).then(pl.lit("a photo")).otherwise("caption")
    store.replace("captions", caption=same)
    assert failing(store) == [ALIKE]


@pytest.mark.parametrize(
    ("column", "defect"), [("embedding", "nan"), ("pooled", "nan"), ("pooled", "huge"), ("pooled", "constant")]
)
def test_embeddings_that_are_no_embeddings(store: MadeUpRoot, column: str, defect: str) -> None:
    shape = (24, TOKENS, TEXT_DIM) if column == "embedding" else (24, TEXT_DIM)
    values = np.random.default_rng(0).standard_normal(shape).astype(np.float16)
    if defect == "nan":
        values[5] = np.nan
    elif defect == "huge":
        values[5] = 60000
    else:
        values[:] = values[0]
    store.put("text_embeddings", store.read("text_embeddings", SHARD).with_columns(pl.Series(column, values)))
    assert failing(store) == [SANE]


def test_a_token_count_beyond_the_padding(store: MadeUpRoot) -> None:
    store.replace("text_embeddings", tokens=pl.lit(TOKENS + 1, pl.Int32))
    assert failing(store) == [SANE]

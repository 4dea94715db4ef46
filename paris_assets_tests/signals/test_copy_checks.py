"""Each check of copy vectors fails for its own defect, at the shipped bounds."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import polars as pl
import pytest

from paris_assets.ingest.schema import RAW_IMAGES
from paris_assets.signals import checks
from paris_assets.signals.schema import IMAGE_SIGNALS
from paris_assets_tests.fixtures import made_up
from paris_assets_tests.fixtures.made_up import SHARD, MadeUpRoot

COUNT = 24
NAMES = made_up.ids(COUNT)


@pytest.fixture
def store(tmp_path: Path) -> MadeUpRoot:
    rules = [{"name": "short_side", "column": "short_side", "min": 160}]
    settings = {"copy_embedder": {"implementation": "efficientnet-lite0"}, "curation.signal_rules": rules}
    store = made_up.flat_root(tmp_path, **settings)
    ledger = [
        {"image_id": name, "source_row": row, "status": "ok", "width": 300, "height": 200}
        for row, name in enumerate(NAMES)
    ]
    store.put("raw_images", RAW_IMAGES.frame(ledger))
    signals = [{"image_id": name, "undecodable": False} for name in NAMES]
    store.put("image_signals", IMAGE_SIGNALS.frame(signals))
    put(store, units())
    assert store.check(checks.copy_vectors_joined, SHARD).passed
    assert store.check(checks.copy_vectors_sane, SHARD).passed
    return store


def units() -> np.ndarray:
    vectors = np.random.default_rng(0).standard_normal((COUNT, 8))
    return (vectors / np.linalg.norm(vectors, axis=1, keepdims=True)).astype(np.float16)


def put(store: MadeUpRoot, vectors: np.ndarray, lacking: int = 0, reason: str | None = "why") -> None:
    """Vectors of the images, of which the first ones have a reason instead."""
    first = pl.int_range(pl.len()) < lacking
    rows = pl.DataFrame({"image_id": NAMES, "embedding": pl.Series(vectors)})
    without = {"embedding": pl.when(~first).then("embedding"), "reason": pl.when(first).then(pl.lit(reason, pl.String))}
    store.put("copy_embeddings", rows.with_columns(**without))


@pytest.mark.parametrize(
    ("change", "said"),
    [
        (lambda vectors: vectors * np.where(np.arange(COUNT) == 3, 1.5, 1)[:, None], "vectors have lengths of"),
        (lambda vectors: np.tile(vectors[:1], (COUNT, 1)), "the vectors are all but equal"),
        (lambda vectors: np.where(np.arange(COUNT)[:, None] == 3, np.nan, vectors), "1 of 24 rows are not finite"),
    ],
    ids=["not of length one", "constant", "not finite"],
)
def test_vectors_that_say_nothing(store: MadeUpRoot, change: object, said: str) -> None:
    put(store, change(units()).astype(np.float16))  # type: ignore[operator]
    found = store.check(checks.copy_vectors_sane, SHARD)
    assert not found.passed
    assert found.said.startswith(said)


def test_images_without_vector_need_a_reason_and_are_few(store: MadeUpRoot) -> None:
    put(store, units(), lacking=1)
    assert store.check(checks.copy_vectors_sane, SHARD).passed
    put(store, units(), lacking=1, reason=None)
    assert store.check(checks.copy_vectors_sane, SHARD).said == "1 images have neither vector nor reason"
    put(store, units(), lacking=2)
    said = store.check(checks.copy_vectors_sane, SHARD).said
    assert said == "2 of 24 images have no vector, at most 5% expected"


def test_an_image_without_row(store: MadeUpRoot) -> None:
    store.put("copy_embeddings", store.read("copy_embeddings", SHARD)[1:])
    assert not store.check(checks.copy_vectors_joined, SHARD).passed

"""Each check of vectors and scores fails for its own defect, at the shipped bounds."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import polars as pl
import pytest

from paris_assets.ingest.schema import RAW_IMAGES
from paris_assets.models.registry import KNOWN
from paris_assets.signals import checks
from paris_assets.signals.schema import IMAGE_SIGNALS
from paris_assets_tests.fixtures import made_up
from paris_assets_tests.fixtures.made_up import SHARD, MadeUpRoot

COUNT, DIM = 24, 6
NAMES = made_up.ids(COUNT)
JUDGED = [checks.vectors_joined, checks.vectors_sane, checks.scores_sane, checks.heads_fit]
RAN = {"implementation": "clip-image", "source": "o/c", "revision": "r", "sha256": "aa", "hidden_act": "quick_gelu"}
ON_CLIP = {"on": "clip", "encoder": {"sha256": "aa", "hidden_act": "quick_gelu"}, "normalisation": "l2"}
HEADS = {"aesthetic": ON_CLIP}


@pytest.fixture
def store(tmp_path: Path) -> MadeUpRoot:
    encoders = {name: {"implementation": "clip-image", "path": name} for name in ("clip", "other")}
    scores = {
        "nsfw": {"implementation": "open-nsfw"},
        "damage": {"implementation": "degradation"},
        "aesthetic": {"implementation": "linear-head", "on": "clip", "path": "x.pth"},
        "similarity": {"on": "clip", "text": "source"},
    }
    settings = {"picture_embeddings": encoders, "scores": scores, "curation.score_rules": []}
    rules = [{"name": "short_side", "column": "short_side", "min": 160}]
    store = made_up.flat_root(tmp_path, **settings, **{"curation.signal_rules": rules})
    ledger = [
        {"image_id": name, "source_row": row, "status": "ok", "width": 300, "height": 200}
        for row, name in enumerate(NAMES)
    ]
    store.put("raw_images", RAW_IMAGES.frame(ledger))
    store.put("image_signals", IMAGE_SIGNALS.frame([{"image_id": name, "undecodable": False} for name in NAMES]))
    put_vectors(store)
    put_scores(store)
    assert failing(store) == []
    return store


def put_vectors(store: MadeUpRoot, values: np.ndarray | None = None, ran: Any = RAN, **columns: pl.Expr) -> None:
    generator = np.random.default_rng(0)
    normal = generator.standard_normal((COUNT, DIM)).astype(np.float16)
    rows = pl.DataFrame(
        {
            "image_id": NAMES,
            "clip": pl.Series(normal if values is None else values),
            "other": pl.Series(generator.standard_normal((COUNT, 3)).astype(np.float16)),
            "reason": pl.Series([None] * COUNT, dtype=pl.String),
        }
    )
    facts = {"models": {"picture_embeddings.clip": ran}}
    store.put("picture_embeddings", rows.with_columns(**columns), facts=facts)


def put_scores(store: MadeUpRoot, heads: Any = HEADS, **columns: pl.Expr) -> None:
    generator = np.random.default_rng(1)
    rows = pl.DataFrame({"image_id": NAMES}).with_columns(
        pl.Series(name, generator.uniform(0, 1, COUNT), pl.Float32)
        for name in ("nsfw", "aesthetic", "similarity", *(f"damage_{part}" for part in KNOWN["degradation"].parts))
    )
    rows = rows.with_columns(scored_text=pl.lit("a text")).with_columns(**columns)
    store.put("content_scores", rows, facts={"heads": heads})


def failing(store: MadeUpRoot) -> list[str]:
    return [check.__name__ for check in JUDGED if not store.check(check, SHARD).passed]


def said(store: MadeUpRoot, check: Any) -> str:
    return store.check(check, SHARD).said


@pytest.mark.parametrize(
    ("defect", "words"),
    [
        ("nan", "clip: 1 of 24 rows are not finite"),
        ("zero", "clip: a vector is all zeros"),
        ("huge", "clip: a vector has norm"),
        ("constant", "clip: the vectors are all but equal"),
    ],
)
def test_vectors_that_are_none(store: MadeUpRoot, defect: str, words: str) -> None:
    values = np.random.default_rng(0).standard_normal((COUNT, DIM)).astype(np.float16)
    if defect == "constant":
        values[:] = values[0]
    else:
        values[5] = {"nan": np.nan, "zero": 0, "huge": 60000}[defect]
    put_vectors(store, values)
    assert failing(store) == ["vectors_sane"]
    assert said(store, checks.vectors_sane).startswith(words)


def test_a_missing_vector_needs_a_reason_and_many_are_too_many(store: MadeUpRoot) -> None:
    first = pl.col("image_id") == NAMES[0]
    gone = pl.when(~first).then("clip")
    put_vectors(store, clip=gone, reason=pl.when(first).then(pl.lit("clip: why")))
    assert failing(store) == [], "1 of 24 is below checks.max_without_vector"
    put_vectors(store, clip=gone)
    assert said(store, checks.vectors_sane) == "clip: 1 images have neither vector nor reason"
    few = pl.int_range(pl.len()) < 3
    put_vectors(store, other=pl.when(~few).then("other"), reason=pl.when(few).then(pl.lit("other: why")))
    assert said(store, checks.vectors_sane) == "other: 3 of 24 images have no vector, at most 5% expected"


def test_an_image_without_row_of_vectors(store: MadeUpRoot) -> None:
    rows = store.read("picture_embeddings", SHARD)
    store.put("picture_embeddings", rows[1:], facts={"models": {"picture_embeddings.clip": RAN}})
    assert failing(store) == ["vectors_joined"]


@pytest.mark.parametrize(
    ("columns", "words"),
    [
        ({"aesthetic": pl.lit(5.5, pl.Float32)}, "aesthetic is 5.5 for all 24 images"),
        ({"nsfw": pl.lit(0.0, pl.Float32)}, "nsfw is 0 for all 24 images"),
        ({"nsfw": pl.lit(None, pl.Float32)}, "nsfw is unknown for all 24 images"),
        ({"similarity": pl.lit(None, pl.Float32)}, "similarity is unknown for all 24 images"),
        ({"nsfw": pl.lit(float("nan"), pl.Float32)}, "nsfw is no finite number for 24 of 24 images"),
        ({"damage_blur": pl.lit(0.5, pl.Float32)}, "damage_blur is 0.5 for all 24 images"),
        ({"damage_noise": pl.col("damage_noise") - 1}, "damage_noise is not within 0 and 1 for 24 of 24 images"),
    ],
    ids=["same", "zero", "unknown", "without vectors", "no number", "a part", "no share"],
)
def test_a_score_that_tells_nothing(store: MadeUpRoot, columns: dict[str, pl.Expr], words: str) -> None:
    put_scores(store, **columns)
    assert failing(store) == ["scores_sane"]
    assert words in said(store, checks.scores_sane)


def test_a_shard_without_texts_has_no_similarity_and_that_is_no_defect(store: MadeUpRoot) -> None:
    put_scores(store, similarity=pl.lit(None, pl.Float32), scored_text=pl.lit(None, pl.String))
    assert failing(store) == []


@pytest.mark.parametrize("other", [{"sha256": "bb"}, {"hidden_act": "gelu"}], ids=str)
def test_a_head_on_vectors_of_another_encoder(store: MadeUpRoot, other: dict[str, str]) -> None:
    put_vectors(store, ran={**RAN, **other})
    assert failing(store) == ["heads_fit"]
    assert said(store, checks.heads_fit).startswith("aesthetic: it is on ")
    put_vectors(store, ran=[RAN, {**RAN, **other}])
    assert failing(store) == ["heads_fit"], "some of the rows"
    put_scores(store, heads={})
    assert failing(store) == []

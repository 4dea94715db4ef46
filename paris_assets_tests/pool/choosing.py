"""A pool made by hand for the tests of selectors."""

from __future__ import annotations

import hashlib
from pathlib import Path
from typing import Any

import numpy as np
import polars as pl
from pydantic import TypeAdapter

from paris_assets.pool.known import Known
from paris_assets.pool.scores import scored
from paris_assets.settings.concept_model import ConceptModel
from paris_assets.settings.judge import Judge
from paris_assets.settings.pool import Pool
from paris_assets.settings.selectors import Step
from paris_assets.storage.shards import Shards

DIM = 8
STEP: TypeAdapter[Any] = TypeAdapter(Step)


def uid(number: int) -> str:
    return hashlib.sha256(f"{number}".encode()).hexdigest()[:32]


def table(count: int = 200, seed: int = 0) -> pl.DataFrame:
    """A row for each number, with every column that a step may read."""
    draw = np.random.default_rng(seed)
    concept = draw.integers(0, 4, count)
    image = draw.normal(size=(count, DIM)) + 3 * np.eye(4, DIM)[concept]
    return pl.DataFrame(
        {
            "source_row": np.arange(count),
            "uid": [uid(number) for number in range(count)],
            "url": [f"http://x.example/{number}" for number in range(count)],
            "locator": pl.Series([None] * count, dtype=pl.String),
            "text": [f"a photo of number {number % 7}" for number in range(count)],
            "source_width": draw.integers(100, 900, count),
            "source_height": draw.integers(100, 900, count),
            "clip_b32": draw.choice(np.linspace(0.1, 0.4, 31), count),
            "clip_l14": draw.choice(np.linspace(0.05, 0.35, 31), count),
            "language": draw.choice(["en", "de"], count),
            "words": pl.Series(draw.integers(1, 9, count), dtype=pl.Int32),
            "characters": pl.Series(draw.integers(1, 50, count), dtype=pl.Int32),
            "wordnet": draw.random(count) < 0.5,
            "concept": pl.Series(concept, dtype=pl.Int32),
            "distance": pl.Series(draw.random(count), dtype=pl.Float32),
            "image": pl.Series(image.astype(np.float16)),
        }
    )


SOURCE = ("uid", "url", "locator", "text", "source_width", "source_height", "clip_b32", "clip_l14")
FIGURES = ("language", "words", "characters", "wordnet")


def known(rows: pl.DataFrame, shards: int = 3, order: int | None = None) -> Known:
    """The tables of a pool, in shards; with `order` shuffled over other shards."""
    if order is not None:
        # Where rows lie changes, and their numbers with it: what they are does not.
        rows = rows.sample(fraction=1, shuffle=True, seed=order).with_columns(source_row=pl.int_range(pl.len()))
    parts = {f"{i:05d}": part for i, part in enumerate(rows.iter_slices(-(-rows.height // shards)))}

    def columns(*names: str) -> Shards:
        return Shards.of({key: part.select("source_row", *names) for key, part in parts.items()})

    model = pl.DataFrame({"concept": np.arange(4, dtype=np.int32)}).with_columns(
        centroid=pl.Series(3 * np.eye(4, DIM, dtype=np.float32) + np.arange(4, dtype=np.float32)[:, None])
    )
    verdicts = pl.DataFrame(
        {"concept": pl.Series([0, 1, 2, 3], dtype=pl.Int32), "verdict": ["keep", "drop", "keep", "drop"]}
    )
    return Known(
        columns(*SOURCE),
        columns("image"),
        columns(*FIGURES),
        model.lazy(),
        columns("concept", "distance"),
        verdicts.lazy(),
    )


def pool(*steps: Any, **more: Any) -> Pool:
    captions = {"wordnet": {"synsets": "asked_for.txt"}}
    given = {"captions": captions, "concepts": ConceptModel(), "judge": Judge(), "select": list(steps)}
    return Pool.model_validate({**given, **more})


def scores(given: Known, settings: Pool, scratch: Path, seed: int = 0) -> tuple[pl.DataFrame, dict[str, Any]]:
    """`pool_scores` and its facts."""
    output = scored(given, settings, seed)
    output.scratch = scratch
    return pl.concat(list(output.rows)), output.facts  # type: ignore[arg-type]


def uids(rows: pl.DataFrame, column: str = "selected") -> set[str]:
    return set(rows.filter(column)["uid"])

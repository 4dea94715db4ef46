"""Scores of heads on stored vectors: no picture is decoded for them and no image network runs."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from typing import Any, NamedTuple

import numpy as np
import polars as pl

from paris_assets.config import SCORED_TEXT
from paris_assets.errors import BrokenInvariant
from paris_assets.models.batches import BatchStats, only, run_padded
from paris_assets.models.heads import Cosine
from paris_assets.models.protocols import Head, TextTower
from paris_assets.models.threads import side_by_side
from paris_assets.signals.scores import require_finite


class OnVectors(NamedTuple):
    """A head, the column of vectors that it reads, and what encodes the texts that it compares them with."""

    head: Head | Cosine
    on: str
    texts: TextTower | None = None


def head_scores(rows: pl.DataFrame, heads: Mapping[str, OnVectors], stats: BatchStats | None = None) -> pl.DataFrame:
    """Scores of every image by every head.

    Args:
        rows: image_id, the vectors that heads read, and, where a head compares with texts, ``scored_text``.
        heads: column -> head.
        stats: counts and out-of-memory halvings are added here.

    Returns:
        image_id, ``scored_text`` where it was given, and one Float32 column per head: null where there is no vector, or
        no text to compare with.

    Raises:
        BrokenInvariant: vectors of another dimension than a head takes, or a score that is no number; names both.
    """
    stats = stats or BatchStats()
    scores = [_column(column, head, rows, stats) for column, head in heads.items()]
    return rows.select("image_id", *([SCORED_TEXT] if SCORED_TEXT in rows.columns else [])).with_columns(scores)


def _column(column: str, scorer: OnVectors, rows: pl.DataFrame, stats: BatchStats) -> pl.Series:
    there = rows[scorer.on].is_not_null()
    if scorer.texts is not None:
        there &= rows[SCORED_TEXT].fill_null("").str.strip_chars() != ""
    seen, values = rows.filter(there), np.full(rows.height, np.nan, np.float32)
    if seen.height:
        vectors = seen[scorer.on].to_numpy().astype(np.float32)
        found = _run(column, scorer, vectors, seen, stats)
        require_finite(found, column, scorer.head.name, seen["image_id"].to_list())
        values[there.to_numpy()] = found
    return pl.Series(column, values).fill_nan(None)


def _run(column: str, scorer: OnVectors, vectors: np.ndarray, seen: pl.DataFrame, stats: BatchStats) -> np.ndarray:
    if isinstance(scorer.head, Cosine):
        assert scorer.texts is not None
        return scorer.head.run(vectors, in_batches(scorer.texts, seen[SCORED_TEXT].to_list(), stats))
    if vectors.shape[1] != scorer.head.dim:
        dims = f"{scorer.head.dim} dimensions, and those of {scorer.on} have {vectors.shape[1]}"
        raise BrokenInvariant(f"scores.{column}: {scorer.head.name} reads vectors of {dims}")
    return in_batches(scorer.head, vectors, stats)


def in_batches(network: Any, rows: np.ndarray | Sequence[str], stats: BatchStats) -> np.ndarray:
    """What a network makes of rows that are all there, in padded batches, several side by side."""

    def run(part: np.ndarray | Sequence[str]) -> np.ndarray:
        return run_padded(network.name, only(network.run), network.batch_size, stats, part)[0]

    def parts() -> Iterator[np.ndarray | Sequence[str]]:
        for start in range(0, len(rows), network.batch_size):
            yield rows[start : start + network.batch_size]

    return np.concatenate(list(side_by_side([network], run, parts())))

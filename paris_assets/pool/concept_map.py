"""The concepts of a pool on a plane: where each stands, how large it is, and what is said of it."""

from __future__ import annotations

from typing import Any

import numpy as np
import polars as pl

from paris_assets.vectors.plane import positions, principal_positions

WIDTH, HEIGHT, MARGIN = 1000, 640, 34
LARGEST, SMALLEST = 26.0, 3.0  # radii
FILLED = 0.16  # share of the map that all circles together cover at most
NEIGHBOURS = 50  # concepts from which on t-SNE places them
CAPTIONS, CAPTION_LENGTH = 5, 100


def points(
    model: pl.DataFrame, evidence: pl.DataFrame, verdicts: pl.DataFrame | None, seed: int
) -> list[dict[str, Any]]:
    """Each concept as ``concept``, ``x``, ``y``, ``r``, ``rows``, ``verdict``,
    ``kind`` (keep, drop or none), ``reason`` and ``captions``; largest first.

    Args:
        model: `concept_model`.
        evidence: `concept_evidence`.
        verdicts: `concept_verdicts`, or None: no verdict.
        seed: of the plane.
    """
    centroids = model["centroid"].to_numpy()
    places = positions(centroids, seed) if len(centroids) >= NEIGHBOURS else principal_positions(centroids)
    spots = MARGIN + places * (np.array([WIDTH, HEIGHT]) - 2 * MARGIN)
    placed = model.select("concept", x=pl.Series(spots[:, 0]).round(1), y=pl.Series(spots[:, 1]).round(1))
    told = evidence.select("concept", "rows", captions=_captions())
    known = placed.join(told, on="concept", how="left").with_columns(pl.col("rows").fill_null(0))
    if verdicts is not None:
        known = known.join(verdicts.select("concept", "verdict", "reason"), on="concept", how="left")
    else:
        known = known.with_columns(verdict=pl.lit(None, pl.String), reason=pl.lit(None, pl.String))
    kind = pl.when(pl.col("verdict").is_in(["keep", "drop"])).then("verdict").otherwise(pl.lit("none"))
    sized = known.with_columns(r=pl.Series(radii(known["rows"].to_numpy())).round(1), kind=kind)
    return sized.sort("rows", "concept", descending=[True, False]).to_dicts()


def radii(rows: np.ndarray) -> np.ndarray:
    """(n,) radii whose circles are as large as the concepts, as far as the smallest can still be seen."""
    area = WIDTH * HEIGHT * FILLED / np.pi
    scale = np.sqrt(area / max(float(rows.sum()), 1.0))
    largest = float(np.sqrt(rows.max(initial=1)))
    return np.maximum(np.sqrt(rows) * min(scale, LARGEST / max(largest, 1.0)), SMALLEST)


def _captions() -> pl.Expr:
    """The captions nearest to the centroid, cut to what a small box shows."""
    nearest = pl.col("nearest").list.head(CAPTIONS)
    text = pl.element()
    cut = pl.when(text.str.len_chars() > CAPTION_LENGTH).then(text.str.head(CAPTION_LENGTH - 1) + "…").otherwise(text)
    return nearest.list.eval(cut)

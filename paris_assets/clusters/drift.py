"""How far images that came after a fit are from those that it was made of, by where the fit puts them."""

from __future__ import annotations

from typing import NamedTuple

import numpy as np
import polars as pl

from paris_assets.clusters.quality import near_boundary

DEVIATIONS = 3.29
"""Standard errors that one comparison in 1,000 exceeds by chance."""
CHANCE = 1e-3


class Drift(NamedTuple):
    """One figure of the later images beside that of the earlier ones.

    Attributes:
        name: what is compared.
        apart: how far the two are apart.
        chance: what so many images of one kind differ by.
    """

    name: str
    apart: float
    chance: float


def drifts(earlier: pl.LazyFrame, later: pl.LazyFrame) -> list[Drift]:
    """Shares of clusters, distances and images at a boundary; empty where one side has no images.

    Args:
        earlier: `cluster_assignments` of the shards that the model was fitted on.
        later: those of the others.

    Returns:
        ``share``: half the sum of the differences of the clusters' shares, 0 to 1 (total variation); chance is its
        mean bound and a margin (McDiarmid). ``distance``: mean distance to the own centroid, relative to the earlier
        one; only a rise counts. ``boundary``: share of images at a boundary, less the earlier one; only a rise counts.
    """
    before, now = _figures(earlier), _figures(later)
    if not len(before.sizes) or not len(now.sizes):
        return []
    n, m = int(before.sizes.sum()), int(now.sizes.sum())
    parts = 1 / n + 1 / m
    k = 1 + int(max(before.clusters.max(), now.clusters.max()))
    shares = [_shares(side, k) for side in (before, now)]
    varied = float(np.abs(shares[0] - shares[1]).sum()) / 2
    by_chance = 0.5 * np.sqrt(k * parts) + np.sqrt(np.log(1 / CHANCE) * parts / 2)
    pooled = (before.near * n + now.near * m) / (n + m)
    mean = max(before.distance, 1e-12)
    error = np.sqrt(before.deviation**2 / n + now.deviation**2 / m) / mean
    return [
        Drift("share", varied, float(by_chance)),
        Drift("distance", now.distance / mean - 1, float(DEVIATIONS * error)),
        Drift("boundary", now.near - before.near, float(DEVIATIONS * np.sqrt(pooled * (1 - pooled) * parts))),
    ]


class _Figures(NamedTuple):
    """Of the clusters that hold images: their numbers and sizes; of all images: mean distance and its deviation, and
    the share at a boundary."""

    clusters: np.ndarray
    sizes: np.ndarray
    distance: float
    deviation: float
    near: float


def _figures(assignments: pl.LazyFrame) -> _Figures:
    distance = pl.col("distance").cast(pl.Float64)
    found = assignments.group_by("cluster").agg(
        images=pl.len(), total=distance.sum(), squares=distance.pow(2).sum(), near=near_boundary().sum()
    )
    rows = found.sort("cluster").collect()
    images = max(1, int(rows["images"].sum()))
    mean = float(rows["total"].sum()) / images
    variance = max(0.0, float(rows["squares"].sum()) / images - mean**2)
    near = int(rows["near"].sum()) / images
    return _Figures(rows["cluster"].to_numpy(), rows["images"].to_numpy(), mean, float(np.sqrt(variance)), near)


def _shares(side: _Figures, k: int) -> np.ndarray:
    shares = np.zeros(k)
    shares[side.clusters] = side.sizes / side.sizes.sum()
    return shares

"""What the report shows: which images stand for each cluster, its words, and the images between clusters."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import polars as pl

from paris_assets.clusters.centroids import ClusterModel
from paris_assets.clusters.words import distinctive_words
from paris_assets.vectors.distances import nearest

GRID_IMAGES = 25
BETWEEN = 12


@dataclass(frozen=True)
class Between:
    """An image almost as close to another cluster as to its own."""

    image_id: str
    cluster: int
    other: int
    ratio: float


@dataclass(frozen=True)
class Contents:
    """What is shown beside the figures.

    Attributes:
        nearest: per cluster the image_ids nearest to its centroid, at most 25, nearest first.
        words: per cluster its distinctive caption words, best first.
        neighbours: per cluster the one with the nearest centroid; itself when it is alone.
        between: images of the sample whose second / own distance is closest to 1.
        captions: image_id -> caption of every image named here or in the sample; absent when it has none.
        sample_ids: (n) the sample.
        labels: (n,) int32, their clusters.
    """

    nearest: list[list[str]]
    words: list[list[str]]
    neighbours: list[int]
    between: list[Between]
    captions: dict[str, str]
    sample_ids: list[str]
    labels: np.ndarray

    def caption(self, image_id: str) -> str:
        """The caption, or an empty text."""
        return self.captions.get(image_id, "")

    def name(self, cluster: int) -> str:
        """The cluster's first words, or an empty text."""
        return " · ".join(self.words[cluster][:3])


def sample_labels(assignments: pl.LazyFrame | pl.DataFrame, sample_ids: Sequence[str]) -> np.ndarray:
    """(n,) int32 clusters of the sample, in its order.

    Raises:
        ValueError: an image of the sample is not assigned.
    """
    wanted = pl.DataFrame({"image_id": list(sample_ids)}, schema={"image_id": pl.String}).lazy()
    found = wanted.join(assignments.lazy().select("image_id", "cluster"), on="image_id", how="left").collect()
    clusters = dict(found.iter_rows())
    lacking = [name for name in sample_ids if clusters[name] is None]
    if lacking:
        raise ValueError(f"{len(lacking)} images of the sample are not in cluster_assignments, first: {lacking[0]}")
    return np.array([clusters[name] for name in sample_ids], dtype=np.int32)


def gather(
    assignments: pl.LazyFrame | pl.DataFrame,
    captions: pl.LazyFrame | pl.DataFrame,
    sample_ids: Sequence[str],
    vectors: np.ndarray,
    model: ClusterModel,
    also: Sequence[str] = (),
) -> Contents:
    """Choose what the report shows.

    Args:
        assignments: ``image_id``, ``cluster``, ``distance`` of the whole set.
        captions: ``image_id``, ``caption``; only those shown are kept.
        sample_ids: (n) image_ids of the sample.
        vectors: (n, d) float32, their places in the fitted space.
        also: further images whose captions are shown.
    """
    labels = sample_labels(assignments, sample_ids)
    closest = _closest(assignments, model.k)
    between = _between(sample_ids, vectors, labels, model)
    shown = sorted({*sample_ids, *also, *(name for names in closest for name in names)})
    wanted = pl.DataFrame({"image_id": shown}, schema={"image_id": pl.String}).lazy()
    texts = captions.lazy().select("image_id", "caption").join(wanted, on="image_id", how="semi").drop_nulls().collect()
    known: dict[str, str] = dict(texts.iter_rows())
    grouped: list[list[str]] = [[] for _ in range(model.k)]
    for name, label in zip(sample_ids, labels.tolist(), strict=True):
        grouped[label].append(known.get(name, ""))
    neighbours = [cluster if model.k == 1 else _neighbour(model.coarse, cluster) for cluster in range(model.k)]
    return Contents(closest, distinctive_words(grouped), neighbours, between, known, list(sample_ids), labels)


def _closest(assignments: pl.LazyFrame | pl.DataFrame, k: int) -> list[list[str]]:
    rows = (
        assignments.lazy()
        .group_by("cluster")
        .agg(pl.struct("distance", "image_id").bottom_k_by(["distance", "image_id"], GRID_IMAGES))
        .collect()
    )
    groups: dict[int, list[dict]] = dict(rows.iter_rows())
    return [
        [row["image_id"] for row in sorted(groups.get(cluster, []), key=lambda row: (row["distance"], row["image_id"]))]
        for cluster in range(k)
    ]


def _between(sample_ids: Sequence[str], vectors: np.ndarray, labels: np.ndarray, model: ClusterModel) -> list[Between]:
    if model.k == 1:
        return []
    to_all = np.stack([nearest(vectors, model.coarse[[cluster]]).own for cluster in range(model.k)], axis=1)
    every = np.arange(len(labels))
    own = to_all[every, labels].copy()
    to_all[every, labels] = np.inf
    other = to_all.argmin(axis=1)
    ratios = np.sqrt(to_all[every, other] / np.maximum(own, np.finfo(np.float64).tiny))
    chosen = sorted(every.tolist(), key=lambda row: (abs(ratios[row] - 1), sample_ids[row]))[:BETWEEN]
    return [Between(sample_ids[row], int(labels[row]), int(other[row]), float(ratios[row])) for row in chosen]


def _neighbour(centroids: np.ndarray, cluster: int) -> int:
    others = np.delete(np.arange(len(centroids)), cluster)
    return int(others[nearest(centroids[[cluster]], centroids[others]).labels[0]])

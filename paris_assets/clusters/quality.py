"""How good a clustering is: separation, balance, and whether another seed would find the same clusters."""

from __future__ import annotations

from dataclasses import dataclass
from itertools import combinations
from typing import Any

import numpy as np
import polars as pl
from sklearn.metrics import adjusted_rand_score, calinski_harabasz_score, davies_bouldin_score, silhouette_samples
from threadpoolctl import threadpool_limits

from paris_assets.clusters.assignment import own_clusters
from paris_assets.clusters.centroids import ClusterModel, CollapsedClustering
from paris_assets.clusters.kmeans import fit
from paris_assets.clusters.schema import CLUSTER_REPORT
from paris_assets.config import Clusters

BOUNDARY_RATIO = 1.2


@dataclass(frozen=True)
class Quality:
    """Figures of a clustering.

    Attributes:
        figures: name -> number or None (undefined, as every separation is for a single cluster). Over all images:
            ``images``, ``k``, ``smallest_share``, ``largest_share``, ``effective_clusters`` (exponential of the entropy
            of the shares), ``dead_clusters``, ``boundary_fraction`` (share with second / own Euclidean distance < 1.2),
            ``mean_distance``. Over the sample: ``sample``, ``silhouette`` (cosine), ``davies_bouldin``,
            ``calinski_harabasz`` (both Euclidean), ``intra_cluster_cosine`` (mean over image pairs of one cluster,
            clusters weighted by their images), ``inter_cluster_cosine`` (mean over pairs of different clusters),
            ``stability_mean``, ``stability_min`` (adjusted Rand of refits), ``stability_seeds`` (refits compared).
        clusters: one per cluster, in order: ``cluster``, ``images``, ``share``, ``mean_distance``,
            ``boundary_fraction``, ``silhouette``, ``cohesion`` (mean cosine of its image pairs).
        silhouettes: (n,) float64 of the sample; NaN for a single cluster.
    """

    figures: dict[str, Any]
    clusters: list[dict[str, Any]]
    silhouettes: np.ndarray


def measure(
    vectors: np.ndarray,
    labels: np.ndarray,
    assignments: pl.LazyFrame | pl.DataFrame,
    model: ClusterModel,
    settings: Clusters,
    seed: int,
) -> Quality:
    """Judge a clustering by all assignments and a sample of vectors.

    Args:
        vectors: (n, D) float32 of ``features.collect`` for ``features.choose(image_ids, settings.sample, seed)``; what
            is measured are their places in the fitted space.
        labels: (n,) int, their ``cluster`` in ``assignments``.
        assignments: ``cluster``, ``distance``, ``second_distance`` of the whole set.

    Raises:
        ValueError: another number of labels than of vectors.
    """
    if len(vectors) != len(labels):
        raise ValueError(f"{len(labels)} labels for {len(vectors)} vectors")
    clusters, figures = _balance(assignments, model.k)
    # One thread: sums must not depend on how many there are.
    with threadpool_limits(limits=1):
        wide = model.placed(vectors).astype(np.float64)
        silhouettes = _silhouettes(wide, labels)
        figures.update(_separation(wide, labels, silhouettes))
        cohesion, figures["intra_cluster_cosine"], figures["inter_cluster_cosine"] = _cosines(wide, labels, model.k)
        figures.update(stability(vectors, settings, seed))
    for number, row in enumerate(clusters):
        own = silhouettes[labels == number]
        row["silhouette"] = _rounded(own.mean()) if len(own) else None
        row["cohesion"] = _rounded(cohesion[number])
    return Quality({name: _rounded(value) for name, value in figures.items()}, clusters, silhouettes)


def metrics_frame(quality: Quality) -> pl.DataFrame:
    """``metric`` str, ``value`` f64: the figures, one row each, sorted by name."""
    rows = sorted(quality.figures.items())
    columns = {"metric": [name for name, _ in rows], "value": [value for _, value in rows]}
    return CLUSTER_REPORT.frame(columns, strict=False)


def stability(vectors: np.ndarray, settings: Clusters, seed: int) -> dict[str, float | int | None]:
    """Adjusted Rand index (Hubert & Arabie 1985) between refits of the sample with ``settings.stability_seeds`` seeds.

    Refits that collapse are left out; with fewer than two left the index is None.
    """
    refit = settings
    if isinstance(settings.fine, int) and settings.fine > len(vectors) // 4:
        refit = settings.model_copy(update={"fine": "auto"})
    partitions = []
    for offset in range(settings.stability_seeds if len(vectors) >= settings.k else 0):
        try:
            model = fit(vectors, refit, seed + offset)
        except CollapsedClustering:
            continue
        partitions.append(own_clusters(vectors, model)[0].labels)
    scores = [float(adjusted_rand_score(one, other)) for one, other in combinations(partitions, 2)]
    mean, least = (float(np.mean(scores)), min(scores)) if scores else (None, None)
    return {"stability_mean": mean, "stability_min": least, "stability_seeds": len(partitions)}


def near_boundary() -> pl.Expr:
    """Whether an image of `cluster_assignments` lies between two clusters."""
    return (pl.col("second_distance") < BOUNDARY_RATIO * pl.col("distance")).fill_null(False)


def _balance(assignments: pl.LazyFrame | pl.DataFrame, k: int) -> tuple[list[dict[str, Any]], dict[str, Any]]:
    near = near_boundary()
    counts = assignments.lazy().group_by("cluster").agg(
        images=pl.len().cast(pl.Int64),
        near=near.sum().cast(pl.Int64),
        mean_distance=pl.col("distance").cast(pl.Float64).sort().mean(),
    )  # fmt: skip
    found = {row["cluster"]: row for row in counts.collect().iter_rows(named=True)}
    sizes = np.array([found[number]["images"] if number in found else 0 for number in range(k)])
    total = max(1, int(sizes.sum()))
    shares = sizes / total
    present = shares[shares > 0]
    clusters = [
        {
            "cluster": number,
            "images": int(sizes[number]),
            "share": _rounded(shares[number]),
            "mean_distance": _rounded(found[number]["mean_distance"]) if number in found else None,
            "boundary_fraction": _rounded(found[number]["near"] / sizes[number]) if number in found else None,
        }
        for number in range(k)
    ]
    figures: dict[str, Any] = {
        "images": int(sizes.sum()),
        "k": k,
        "smallest_share": float(shares.min()),
        "largest_share": float(shares.max()),
        "effective_clusters": float(np.exp(-(present * np.log(present)).sum())),
        "dead_clusters": int((sizes == 0).sum()),
        "boundary_fraction": sum(row["near"] for row in found.values()) / total,
        "mean_distance": sum(row["mean_distance"] * row["images"] for _, row in sorted(found.items())) / total,
    }
    return clusters, figures


def _silhouettes(vectors: np.ndarray, labels: np.ndarray) -> np.ndarray:
    if not 2 <= len(np.unique(labels)) < len(labels):
        return np.full(len(labels), np.nan)
    return np.asarray(silhouette_samples(vectors, labels, metric="cosine"))


def _separation(vectors: np.ndarray, labels: np.ndarray, silhouettes: np.ndarray) -> dict[str, Any]:
    if not 2 <= len(np.unique(labels)) < len(labels):
        return {"sample": len(labels), "silhouette": None, "davies_bouldin": None, "calinski_harabasz": None}
    return {
        "sample": len(labels),
        "silhouette": float(silhouettes.mean()),
        "davies_bouldin": float(davies_bouldin_score(vectors, labels)),
        "calinski_harabasz": float(calinski_harabasz_score(vectors, labels)),
    }


def _cosines(vectors: np.ndarray, labels: np.ndarray, k: int) -> tuple[list[float | None], float | None, float | None]:
    """Mean cosine of image pairs: in each cluster, in clusters (weighted by images), and between clusters.

    The sum over pairs of unit vectors follows from their sum: (|sum|^2 - n) / 2.
    """
    norms = np.linalg.norm(vectors, axis=1, keepdims=True)
    units = vectors / np.where(norms > 0, norms, 1)
    sums = np.stack([units[labels == number].sum(axis=0) for number in range(k)])
    counts = np.bincount(labels, minlength=k).astype(np.float64)
    ones = np.array([(units[labels == number] ** 2).sum() for number in range(k)])
    inside = np.square(sums).sum(axis=1) - ones
    pairs = counts * (counts - 1)
    cohesion = [float(total / number) if number else None for total, number in zip(inside, pairs, strict=True)]
    across = len(labels) * (len(labels) - 1) - pairs.sum()
    outside = np.square(sums.sum(axis=0)).sum() - ones.sum() - inside.sum()
    weighed = [(value, count) for value, count in zip(cohesion, counts, strict=True) if value is not None]
    mean = sum(value * count for value, count in weighed) / sum(count for _, count in weighed) if weighed else None
    return cohesion, mean, float(outside / across) if across else None


def _rounded(value: Any) -> Any:
    """Nine significant digits: what no order of summation changes."""
    if value is None or isinstance(value, int):
        return value
    return float(f"{float(value):.9g}") if np.isfinite(value) else None

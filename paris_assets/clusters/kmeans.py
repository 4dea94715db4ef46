"""The fit: k-means, direct or in two stages.

Always Euclidean, in the space that ``features.join`` and ``clusters.reduce`` made: that is the space in which the
distances of ``cluster_assignments`` are measured, and centroids stay plain means (no spherical projection).

``lloyd`` does the search; ``_refine`` then runs iterations with exact distances to the fixed point, so the result does
not carry the rounding of one machine's products.
"""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import replace
from functools import partial
from typing import Any

import numpy as np

from paris_assets.clusters.assignment import own_clusters_of_blocks
from paris_assets.clusters.balance import capped_labels, capped_lloyd
from paris_assets.clusters.centroids import ClusterModel, CollapsedClustering, TooFewImages
from paris_assets.compute import Compute
from paris_assets.config import Clusters
from paris_assets.vectors.distances import Nearest, means, nearest, nearest_of_blocks
from paris_assets.vectors.lloyd import k_means, k_means_of_rows
from paris_assets.vectors.reduction import Reduction, centring, principal
from paris_assets.vectors.rows import Blocks, InMemory

EXACT_STEPS = 3


def fit(
    vectors: np.ndarray, settings: Clusters, seed: int, images: int | None = None, compute: Compute | None = None
) -> ClusterModel:
    """Cluster the rows of ``vectors`` by ``settings``.

    Direct when ``settings.fine`` is null. Otherwise fine centroids first, then k-means over these, weighted by their
    images; ``settings.restarts`` then apply to the second stage, and the fine one runs once.

    Args:
        vectors: (N, D) float32 of ``features.join``, in image_id order (so the source's order plays no role). All of
            them are used: choose at most ``settings.max_train`` with ``features.choose``.
        images: images of the whole set, for the statistics; N when None.
        compute: who looks for the nearest centroids; by default the threads of this process.

    Returns:
        The model; clusters and fine centroids are numbered by falling size. ``statistics``: ``images``,
        ``trained_on``, ``dimensions``, ``k``, ``fine``, ``inertia`` (sum of squared distances to the own centroid),
        ``mean_distance``, ``iterations``, ``restarts``, ``seed``, ``sizes`` and ``shares`` (of the rows fitted on),
        ``max_share``; with ``settings.reduce`` also ``reduce``, ``reduced_dimensions`` and ``variance_kept``.

    Raises:
        TooFewImages: fewer rows than centroids.
        CollapsedClustering: a cluster without images, one that holds them all, or a cap that cannot be met.
        ValueError: rows that are not a matrix, or not finite.
    """
    _validate(vectors, settings)
    vectors = np.ascontiguousarray(vectors, dtype=np.float32)
    dimensions = vectors.shape[1]
    reduction, reduced = _reduction(vectors, settings)
    vectors = vectors if reduction is None else reduction.apply(vectors)
    fine, blocks, compute = fine_count(len(vectors), settings), Blocks(InMemory(vectors)), compute or Compute()
    if fine is None:
        model, iterations = _direct(vectors, blocks, settings, seed, compute)
    else:
        model, iterations = _two_stage(vectors, blocks, fine, settings, seed, compute)
    found = own_clusters_of_blocks(blocks, model, compute)
    sizes = np.bincount(found.labels, minlength=settings.k)
    _check_sizes(sizes.tolist())
    statistics = {
        "images": len(vectors) if images is None else images,
        "trained_on": len(vectors),
        "dimensions": dimensions,
        "k": settings.k,
        "fine": fine,
        "inertia": float(found.own.sum()),
        "mean_distance": float(np.sqrt(found.own).mean()),
        "iterations": iterations,
        "restarts": settings.restarts,
        "seed": seed,
        "sizes": sizes.tolist(),
        "shares": [size / len(vectors) for size in sizes.tolist()],
        "max_share": settings.max_share,
        **reduced,
    }
    found_out = replace(model, statistics=statistics, reduction=reduction)
    return found_out.reordered(_order(model.coarse, sizes))


def _reduction(vectors: np.ndarray, settings: Clusters) -> tuple[Reduction | None, dict[str, Any]]:
    """What ``settings.reduce`` makes of the rows fitted on, and its figures."""
    if settings.reduce == "none":
        return None, {}
    kept = 1.0
    if settings.reduce == "pca":
        reduction, kept = principal(vectors, settings.dims, settings.normalize)
    else:
        reduction = centring(vectors, settings.normalize)
    figures = {"reduced_dimensions": reduction.width, "variance_kept": float(f"{kept:.6g}")}
    return reduction, {"reduce": settings.reduce, **figures}


def fine_count(n: int, settings: Clusters) -> int | None:
    """Fine centroids of a two-stage fit on ``n`` rows; None for a direct fit.

    ``auto``: 1024 from a million rows on (Decentralized Diffusion Models), fewer by the square root of the rows below
    (102 at 10,000), but at least 4 per expert, as long as four rows remain for each.
    """
    if settings.fine != "auto":
        return settings.fine
    wanted = max(round(1024 * min(1.0, math.sqrt(n / 1_000_000))), 4 * settings.k)
    return max(settings.k, min(wanted, n // 4))


def _validate(vectors: np.ndarray, settings: Clusters) -> None:
    if vectors.ndim != 2:
        raise ValueError(f"vectors must be (N, D), not {vectors.shape}")
    if len(vectors) < settings.k:
        raise TooFewImages(
            f"clusters.k is {settings.k}, but too few images are left to cluster ({len(vectors)}): "
            f"set clusters.k to at most {len(vectors)}, or bring more images: the rejects of raw_images, "
            "filtered_images and duplicate_groups say what dropped the others"
        )
    fine = fine_count(len(vectors), settings)
    if fine is not None and not settings.k <= fine <= len(vectors):
        raise TooFewImages(
            f"clusters.fine is {fine}, but it must lie between clusters.k ({settings.k}) and the {len(vectors)} images "
            "that are left to cluster: change it, or set it to auto"
        )
    if not all(np.isfinite(vectors[start : start + 65536]).all() for start in range(0, len(vectors), 65536)):
        raise ValueError("vectors must be finite")


def _direct(
    vectors: np.ndarray, blocks: Blocks, settings: Clusters, seed: int, compute: Compute
) -> tuple[ClusterModel, int]:
    start = k_means_of_rows(blocks, settings.k, None, settings.iterations, settings.restarts, [seed], compute)
    centroids, _, steps = _refine(vectors, start, partial(nearest_of_blocks, blocks, compute=compute))
    penalties = None
    if settings.max_share is not None:
        # Rows are in image_id order, which is random: evenly spaced ones are a fair sample.
        centroids, _, penalties = capped_lloyd(_spaced(vectors, settings.k), centroids, settings.max_share)
    model = ClusterModel(centroids, None, None, "nearest", settings.normalize, penalties)
    return model, settings.iterations + steps


def _two_stage(
    vectors: np.ndarray, blocks: Blocks, fine: int, settings: Clusters, seed: int, compute: Compute
) -> tuple[ClusterModel, int]:
    start = k_means_of_rows(blocks, fine, None, settings.iterations, 1, [seed], compute)
    small, labels, first = _refine(vectors, start, partial(nearest_of_blocks, blocks, compute=compute))
    sizes = np.bincount(labels, minlength=fine)
    _check_sizes(sizes.tolist())
    order = _order(small, sizes)
    small, weights = np.ascontiguousarray(small[order]), sizes[order].astype(np.float64)
    starts = k_means(small, settings.k, weights, settings.iterations, settings.restarts, [seed, 1])
    centroids, groups, second = _refine(small, starts, partial(nearest, small), weights)
    penalties = None
    if settings.max_share is not None:
        centroids, groups, _ = capped_lloyd(small, centroids, settings.max_share, weights)
        if settings.assignment == "nearest":
            sample = _spaced(vectors, settings.k)
            _, penalties = capped_labels(sample, centroids, settings.max_share, np.ones(len(sample)))
    model = ClusterModel(centroids, small, groups, settings.assignment, settings.normalize, penalties)
    return model, 2 * settings.iterations + first + second


def _spaced(vectors: np.ndarray, k: int) -> np.ndarray:
    """Evenly spaced rows, as many as penalties need: 20,000, or 50 per cluster (their cost grows with K^2)."""
    wanted = max(50 * k, 20_000)
    if len(vectors) <= wanted:
        return vectors
    return vectors[np.linspace(0, len(vectors) - 1, wanted).astype(np.int64)]


def _refine(
    vectors: np.ndarray, centroids: np.ndarray, near: Callable[..., Nearest], weights: np.ndarray | None = None
) -> tuple[np.ndarray, np.ndarray, int]:
    """Lloyd's iterations with exact distances, from converged centroids to the fixed point (at most ``EXACT_STEPS``).

    Args:
        near: centroids -> what is nearest to each of the vectors.

    Returns:
        centroids (K, D) float32, labels (N,) int32, iterations.
    """
    labels = near(centroids).labels
    steps = 0
    while steps < EXACT_STEPS:
        steps += 1
        _check_sizes(np.bincount(labels, minlength=len(centroids)).tolist())
        centroids = means(vectors, labels, len(centroids), weights)
        before, labels = labels, near(centroids).labels
        if np.array_equal(before, labels):
            break
    return centroids, labels, steps


def _order(centroids: np.ndarray, sizes: np.ndarray) -> np.ndarray:
    """(K,) clusters by falling size, equal sizes by their centroid's coordinates."""
    return np.array(sorted(range(len(sizes)), key=lambda cluster: (-sizes[cluster], centroids[cluster].tolist())))


def _check_sizes(sizes: list[int]) -> None:
    dead = [cluster for cluster, size in enumerate(sizes) if size == 0]
    if dead or (len(sizes) > 1 and max(sizes) == sum(sizes)):
        raise CollapsedClustering(
            f"{len(dead)} of {len(sizes)} clusters hold no images (largest: {max(sizes)} of {sum(sizes)}); "
            "too many vectors are alike: lower clusters.k or clusters.fine, or cluster on other clusters.features",
            sizes,
        )

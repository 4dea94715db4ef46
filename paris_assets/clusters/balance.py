"""A cap on cluster sizes, by penalties.

Every cluster gets a penalty that is added to the squared distances to its centroid, just high enough that no cluster
holds more than its cap: the dual of the transportation problem, found by raising that of the fullest cluster until
enough of its members prefer another (an auction, Bertsekas 1988). Those who leave are those that lose least. The result
is a power diagram (Aurenhammer, Hoffmann, Aronov 1998): an image's cluster still depends on its own vector alone, so
shards are assigned one by one and new images need no refit; over all images the cap holds up to sampling.
"""

from __future__ import annotations

import math

import numpy as np

from paris_assets.clusters.centroids import CollapsedClustering
from paris_assets.vectors.distances import means

ROUNDS = 20_000
LLOYD = 20
STEP = 0.01


def capped_lloyd(
    vectors: np.ndarray, centroids: np.ndarray, max_share: float, weights: np.ndarray | None = None
) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Lloyd's iterations in which no cluster may hold more than ``max_share`` of the weight.

    Args:
        vectors: (N, D) float32.
        centroids: (K, D) float32 to start from.
        weights: (N,) images that a row stands for, 1 when None.

    Returns:
        centroids (K, D) float32, labels (N,) int32, penalties (K,) float64. Both belong to these centroids.

    Raises:
        CollapsedClustering: the cap cannot be met.
    """
    mass = np.ones(len(vectors)) if weights is None else weights
    labels, penalties = capped_labels(vectors, centroids, max_share, mass)
    for _ in range(LLOYD):
        centroids = means(vectors, labels, len(centroids), weights)
        before = labels
        labels, penalties = capped_labels(vectors, centroids, max_share, mass)
        if np.array_equal(before, labels):
            break
    return centroids, labels, penalties


def capped_labels(
    vectors: np.ndarray, centroids: np.ndarray, max_share: float, mass: np.ndarray
) -> tuple[np.ndarray, np.ndarray]:
    """Labels (N,) int32 under the cap for fixed centroids, and the penalties (K,) float64 that give them."""
    cap = math.ceil(max_share * mass.sum())
    if cap * len(centroids) < mass.sum() or mass.max() > cap:
        raise CollapsedClustering(
            f"clusters.max_share {max_share} cannot be met by {len(centroids)} clusters of {int(mass.sum())} images "
            f"in lumps of up to {int(mass.max())}: raise it",
            [],
        )
    penalised = _squared(vectors, centroids)
    penalties = np.zeros(len(centroids))
    nearest_two = np.partition(penalised, 1, axis=1)
    step = STEP * float((nearest_two[:, 1] - nearest_two[:, 0]).mean())
    for _ in range(ROUNDS):
        labels = penalised.argmin(axis=1)
        load = np.bincount(labels, weights=mass, minlength=len(centroids))
        fullest = int(load.argmax())
        if load[fullest] <= cap:
            return labels.astype(np.int32), penalties
        rise = _rise(penalised, labels == fullest, fullest, mass, load[fullest] - cap, step)
        penalties[fullest] += rise
        penalised[:, fullest] += rise
    raise CollapsedClustering(
        f"clusters.max_share {max_share} cannot be met: images too alike to be told apart; raise it", []
    )


def _rise(
    penalised: np.ndarray, members: np.ndarray, cluster: int, mass: np.ndarray, excess: float, step: float
) -> float:
    """How much dearer ``cluster`` must become for ``excess`` of its members' mass to prefer another."""
    others = np.delete(penalised[members], cluster, axis=1).min(axis=1)
    margin = others - penalised[members, cluster]
    order = np.argsort(margin, kind="stable")
    last = int(np.searchsorted(np.cumsum(mass[members][order]), excess))
    stays = margin[order[last + 1]] if last + 1 < len(order) else margin[order[last]]
    return max(float(margin[order[last]] + stays) / 2, float(margin[order[last]]) + step * 1e-3, step)


def _squared(vectors: np.ndarray, centroids: np.ndarray) -> np.ndarray:
    """(N, K) float64 squared distances."""
    wide = centroids.astype(np.float64)
    return np.stack([np.square(vectors - centroid).sum(axis=1, dtype=np.float64) for centroid in wide], axis=1)

"""How many clusters: what fits of several numbers are compared by, and the elbow."""

from __future__ import annotations

from typing import Any, NamedTuple

import numpy as np
from sklearn.metrics import adjusted_rand_score, silhouette_score
from threadpoolctl import threadpool_limits

from paris_assets.vectors.distances import nearest
from paris_assets.vectors.lloyd import k_means_of_rows
from paris_assets.vectors.rows import Rows, Some

FLAT = 0.05  # least distance of a knee from the chord, in units of the curve's height


class Recommended(NamedTuple):
    """Which k to take, and why.

    Attributes:
        k: one of those compared.
        knee: how far the curve lies below its chord there, as a share of its height; None without a knee.
        reason: a sentence.
    """

    k: int
    knee: float | None
    reason: str


def silhouette(sample: np.ndarray, centroids: np.ndarray) -> float | None:
    """Mean silhouette (Euclidean) of rows (n, D) float32 at their nearest of centroids (K, D); None where undefined."""
    labels = nearest(sample, centroids).labels
    if not 2 <= len(np.unique(labels)) < len(labels):
        return None
    with threadpool_limits(1):  # sums must not depend on how many there are
        return float(silhouette_score(sample.astype(np.float64), labels))


def stability(vectors: Rows, sample: np.ndarray, k: int, iterations: int, seed: int) -> float | None:
    """Adjusted Rand index of a sample (n, D) between fits on the two halves of the rows; None with fewer than 2 k."""
    n = vectors.shape[0]
    if n < 2 * k:
        return None
    halves = [Some(vectors, np.arange(begin, n, 2)) for begin in (0, 1)]
    fits = [k_means_of_rows(half, k, None, iterations, 1, [seed, 1 + at]) for at, half in enumerate(halves)]
    return float(adjusted_rand_score(*(nearest(sample, centroids).labels for centroids in fits)))


def recommended(figures: list[dict[str, Any]], default: int, unit: str) -> Recommended:
    """The elbow of inertia over log k by Kneedle (Satopaa et al. 2011), the interior point furthest below the chord.

    Args:
        figures: ``k`` and ``inertia``, by rising k.
        default: what to recommend where the curve has no knee.
        unit: what there are k of, for the reason.
    """
    ks, inertia = (np.array([row[name] for row in figures], np.float64) for name in ("k", "inertia"))
    if len(ks) < 3:
        return Recommended(default, None, f"k = {default} stays: an elbow needs three numbers of {unit} or more.")
    height = inertia.max() - inertia.min()
    along = (np.log(ks) - np.log(ks[0])) / (np.log(ks[-1]) - np.log(ks[0]))
    below = 1 - along - (inertia - inertia.min()) / height if height > 0 else np.zeros(len(ks))
    at = 1 + int(below[1:-1].argmax())
    knee, k = float(below[at]), int(ks[at])
    if knee < FLAT:
        reason = (
            f"k = {default} stays: inertia over log k has no knee between {int(ks[0])} and {int(ks[-1])} (at k = {k} "
            f"it lies {knee:.1%} of its height below the chord, at least {FLAT:.0%} asked for)."
        )
        return Recommended(default, None, reason)
    saved = (inertia[0] - inertia[at]) / height
    reason = (
        f"k = {k}: from {int(ks[0])} up to it inertia falls by {saved:.0%} of what {int(ks[-1])} {unit} save, and "
        f"then more slowly (Kneedle: {knee:.1%} of the height below the chord)."
    )
    return Recommended(k, knee, reason)

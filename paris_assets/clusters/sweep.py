"""How many experts: fits of several numbers of clusters, compared on the sample of the report."""

from __future__ import annotations

from typing import Any

import numpy as np

from paris_assets.clusters.centroids import TooFewImages
from paris_assets.config import Clusters
from paris_assets.vectors.distances import nearest
from paris_assets.vectors.lloyd import k_means_of_rows
from paris_assets.vectors.rows import InMemory
from paris_assets.vectors.sweep import recommended, silhouette, stability

PANELS = {
    "inertia": "inertia",
    "silhouette": "silhouette",
    "stability": "stability: adjusted Rand index of two halves",
}


def swept(places: np.ndarray, settings: Clusters, seed: int) -> dict[str, Any] | None:
    """Figures of each k of ``settings.sweep`` and of ``settings.k``, and which to take; None where no sweep is set.

    All are direct fits (no fine centroids, no cap) of the sample, so that they differ in k alone.

    Args:
        places: (n, d) float32 of the sample, in the fitted space.

    Returns:
        ``figures``, by rising k: ``k``, ``inertia``, ``silhouette`` (Euclidean) and ``stability`` (adjusted Rand index
        between fits on two halves), the latter None where undefined; ``k``, ``knee`` and ``reason`` of
        ``vectors.sweep.recommended``.

    Raises:
        TooFewImages: the sample has fewer images than the sweep asks clusters for.
    """
    if not settings.sweep:
        return None
    ks = sorted({settings.k, *settings.sweep})
    if ks[-1] > len(places):
        raise TooFewImages(
            f"clusters.sweep asks for {ks[-1]} clusters, but the report's sample has {len(places)} images "
            f"(clusters.sample is {settings.sample}): lower it, or bring more images"
        )
    rows = InMemory(np.ascontiguousarray(places))
    figures = [_figures(rows, places, k, settings, seed) for k in ks]
    return {"figures": figures, **recommended(figures, settings.k, "clusters")._asdict()}


def _figures(rows: InMemory, places: np.ndarray, k: int, settings: Clusters, seed: int) -> dict[str, Any]:
    centroids = k_means_of_rows(rows, k, None, settings.iterations, settings.restarts, [seed])
    found = {
        "inertia": float(nearest(places, centroids).own.sum()),
        "silhouette": silhouette(places, centroids),
        "stability": stability(rows, places, k, settings.iterations, seed),
    }
    return {"k": k, **{name: None if value is None else float(f"{value:.9g}") for name, value in found.items()}}

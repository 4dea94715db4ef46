"""How many concepts: fits of several numbers, compared by what the whole pool says of each."""

from __future__ import annotations

from typing import Any

import numpy as np

from paris_assets.pool.pool_rows import batches
from paris_assets.settings.concept_model import ConceptModel
from paris_assets.storage.shards import Shards
from paris_assets.vectors.distances import nearest
from paris_assets.vectors.lloyd import k_means_of_rows
from paris_assets.vectors.rows import Rows
from paris_assets.vectors.sweep import silhouette, stability

FIXED_POINT = 2.0**32  # whole numbers add up to the same sum in any order


def swept(
    pool: Shards, vectors: Rows, known: dict[int, np.ndarray], settings: ConceptModel, seed: int
) -> list[dict[str, Any]]:
    """Figures of each k of ``settings.sweep`` and of those known, by rising k.

    Args:
        pool: `pool_vectors`.
        vectors: the rows fitted on, in an order that says nothing of them.
        known: k -> (k, D) centroids that need not be fitted again.

    Returns:
        ``k``; ``inertia``, sum of squared distances of all rows of the pool that have a vector; ``separation``, their
        mean of 1 - distance to the own centroid / distance to the next (a silhouette of centroids, 0 to 1);
        ``silhouette`` (Euclidean) of a sample; ``stability``, adjusted Rand index of that sample between fits on the
        two halves of the rows fitted on. None where undefined.
    """
    fits = dict(known)
    for k in settings.sweep:
        if k not in fits:
            fits[k] = k_means_of_rows(vectors, k, None, settings.iterations, 1, [seed])
    ks = sorted(fits)
    sample = vectors.take(np.arange(min(settings.sample, vectors.shape[0])))
    whole = _over_the_pool(pool, [fits[k] for k in ks], settings)
    return [
        {
            "k": k,
            **over_all,
            "silhouette": silhouette(sample, fits[k]),
            "stability": stability(vectors, sample, k, settings.iterations, seed),
        }
        for k, over_all in zip(ks, whole, strict=True)
    ]


def _over_the_pool(pool: Shards, fits: list[np.ndarray], settings: ConceptModel) -> list[dict[str, float | None]]:
    """Inertia and separation of each fit, over all rows, the same in any order of rows."""
    totals, rows = [[0, 0] for _ in fits], 0
    for shard in pool.keys:
        for batch in batches(pool[shard], settings.features):
            units = batch.units()
            rows += len(units)
            for total, centroids in zip(totals, fits, strict=True):
                found = nearest(units, centroids)
                apart = 1 - np.sqrt(found.own / np.where(found.other > 0, found.other, np.inf))
                total[0] += int(np.rint(found.own * FIXED_POINT).astype(np.int64).sum())
                total[1] += int(np.rint(apart * FIXED_POINT).astype(np.int64).sum())
    return [
        {"inertia": inertia / FIXED_POINT, "separation": apart / FIXED_POINT / rows if len(centroids) > 1 else None}
        for (inertia, apart), centroids in zip(totals, fits, strict=True)
    ]

"""Vectors on a plane, for maps that people look at."""

from __future__ import annotations

import numpy as np
from sklearn.decomposition import PCA
from sklearn.manifold import TSNE
from threadpoolctl import threadpool_limits


def positions(vectors: np.ndarray, seed: int) -> np.ndarray:
    """(n, 2) float64 in [0, 1]: neighbours of the vectors as neighbours on a plane (PCA to 50, then t-SNE).

    Args:
        vectors: (n, D) float32, about 2000 at most (its cost grows faster than n).
    """
    n = len(vectors)
    if n < 3:
        return np.column_stack([np.linspace(0.25, 0.75, n), np.full(n, 0.5)])
    # One thread: t-SNE sums its forces in the order in which threads finish, and small differences grow.
    with threadpool_limits(limits=1):
        reduced = PCA(min(50, n - 1, vectors.shape[1]), svd_solver="full").fit_transform(vectors.astype(np.float64))
        perplexity = min(30.0, max(1.0, (n - 1) / 4))
        start = reduced[:, :2] * _scale(reduced)
        placed = TSNE(perplexity=perplexity, init=start, random_state=seed).fit_transform(reduced)
    return _stretched(placed)


def principal_positions(vectors: np.ndarray) -> np.ndarray:
    """(n, 2) float64 in [0, 1]: the two directions in which the vectors (n, D) float32 vary most (PCA); for few of
    them, which give t-SNE no neighbourhoods. D is at least two."""
    if len(vectors) < 3:
        return positions(vectors, 0)
    with threadpool_limits(limits=1):
        return _stretched(PCA(2, svd_solver="full").fit_transform(vectors.astype(np.float64)))


def _stretched(placed: np.ndarray) -> np.ndarray:
    low, high = placed.min(axis=0), placed.max(axis=0)
    return (placed - low) / np.where(high > low, high - low, 1)


def _scale(reduced: np.ndarray) -> float:
    """Factor that gives the first component the deviation 1e-4 that t-SNE wants to start from."""
    return 1e-4 / max(float(reduced[:, 0].std()), 1e-12)

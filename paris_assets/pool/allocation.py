"""How many rows each concept keeps."""

from __future__ import annotations

import numpy as np

HALVINGS = 200


def water_filled(weights: np.ndarray, least: np.ndarray, sizes: np.ndarray, total: int) -> np.ndarray:
    """(K,) int64 that sum to `total`: each concept gets a level times its weight, but no less than `least` and no more
    than its size.

    The level is found by bisection; what rounding leaves goes to the largest remainders, ties to the lower number.

    Args:
        weights: (K,) above 0.
        least: (K,) int64, at most `sizes`, whose sum is at most `total`.
        sizes: (K,) int64.
        total: at most the sum of `sizes`.
    """
    low, high = 0.0, float(sizes.max(initial=1)) / float(weights.min(initial=1.0)) + 1.0
    for _ in range(HALVINGS):
        level = (low + high) / 2
        low, high = (level, high) if np.clip(level * weights, least, sizes).sum() < total else (low, level)
    exact = np.clip(low * weights, least, sizes)
    quota = np.floor(exact + 1e-9).astype(np.int64)
    remainders = np.where(quota < sizes, exact - quota, -np.inf)
    quota[np.argsort(-remainders, kind="stable")[: total - int(quota.sum())]] += 1
    return quota


def floors(sizes: np.ndarray, total: int, floor: float) -> np.ndarray:
    """(K,) int64: the share `floor` of an even split of `total` over the concepts that have rows, or all they have."""
    even = total / max(int((sizes > 0).sum()), 1)
    return np.minimum(sizes, int(np.floor(floor * even)))

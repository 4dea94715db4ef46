"""Cosines of stored vectors, exact enough that no order of rows, block or machine moves a verdict."""

from __future__ import annotations

import numpy as np
import torch

SLACK = 1e-4
"""More than the rounding of a product of float32 unit vectors: what comes so near to a bound is computed again."""

EXACT = 1 << 12
"""Pairs computed in full at a time."""


def cosines(left: np.ndarray, right: np.ndarray) -> np.ndarray:
    """Cosine of each row with the row beside it, by that row alone.

    In float64, which holds the products of half-precision values exactly. Exchanging the sides changes nothing.

    Args:
        left, right: (N, D), not normalised.

    Returns:
        (N,) float64, -1 to 1; 0 where a vector is zero, which has no direction.
    """
    a, b = (side.astype(np.float32, copy=False).astype(np.float64) for side in (left, right))
    lengths = np.sqrt(np.square(a).sum(axis=1) * np.square(b).sum(axis=1))
    products = (a * b).sum(axis=1)
    return np.divide(products, lengths, out=np.zeros_like(products), where=lengths > 0).clip(-1, 1)


def cosines_of_pairs(left: np.ndarray, right: np.ndarray, pairs: np.ndarray) -> np.ndarray:
    """Cosines of rows of `left` with rows of `right`, a block in memory at a time: however many pairs there are.

    Args:
        left, right: (N, D) and (M, D), not normalised; they may lie in a file.
        pairs: (P, 2) positions, one in each.

    Returns:
        (P,) float64.
    """
    found = np.empty(len(pairs))
    for start in range(0, len(pairs), EXACT):
        at, met = pairs[start : start + EXACT].T
        found[start : start + EXACT] = cosines(left[at], right[met])
    return found


def unit_rows(vectors: np.ndarray) -> torch.Tensor:
    """(N, D) -> float32 of length one; rows of zeros stay. Torch widens half precision fastest."""
    wide = _wide(vectors)
    return wide / _lengths(wide)


def rough_cosines(vectors: np.ndarray, units: torch.Tensor) -> torch.Tensor:
    """(N, D) with each of (Q, D) unit vectors -> (N, Q) float32, within ``SLACK`` of the cosines."""
    wide = _wide(vectors)
    return (wide @ units.T) / _lengths(wide)


def _wide(vectors: np.ndarray) -> torch.Tensor:
    return torch.from_numpy(np.require(vectors, requirements=["C", "W"])).float()


def _lengths(wide: torch.Tensor) -> torch.Tensor:
    return torch.linalg.vector_norm(wide, dim=1, keepdim=True).clamp_min(1e-30)

"""What can be known without training: cluster means at t = 1, and a linear router on clean latents."""

from __future__ import annotations

from typing import Any

import numpy as np

from paris_assets.proof.networks import Scale
from paris_assets.proof.written import Written

RIDGE = 1.0
"""Of the mean squared length of the latents."""


def controls(written: Written, train: np.ndarray, held_out: np.ndarray, seed: int) -> dict[str, Any]:
    """Figures of one hold-out, means over its images.

    At t = 1 the best velocity of an expert is noise less the mean of its latents, so that what the own cluster's mean
    leaves of an image, against the means of other clusters, is what experts can differ by there.

    Returns:
        ``own``, ``others``, ``all``: mean squared distance from the mean of the own cluster, of the others (their
        average), and of all images; ``own_below_others``: share of images; ``permuted_below_others``: the same with
        permuted labels of what is trained on; ``ridge``: accuracy of a ridge regression on one-hot labels.
    """
    scale = Scale.of(written.latents[train])
    known, wanted = (scale.applied(written.latents[rows]).flatten(1).double().numpy() for rows in (train, held_out))
    labels, own = written.experts[train], written.experts[held_out]
    permuted = np.random.default_rng([seed, 8]).permutation(labels)
    found, mixed = (_from_means(known, each, wanted, len(written.clusters)) for each in (labels, permuted))
    at_own, others = _sides(found, own)
    permuted_own, permuted_others = _sides(mixed, own)
    return {
        "own": float(at_own.mean()),
        "others": float(others.mean()),
        "all": float(np.square(wanted - known.mean(0)).mean()),
        "own_below_others": float((at_own < others).mean()),
        "permuted_below_others": float((permuted_own < permuted_others).mean()),
        "ridge": float((_ridge(known, labels, wanted, len(written.clusters)) == own).mean()),
    }


def _from_means(known: np.ndarray, labels: np.ndarray, wanted: np.ndarray, count: int) -> np.ndarray:
    """(n, K) mean squared distance from the mean of each cluster."""
    means = [known[labels == number].mean(0) for number in range(count)]
    return np.stack([np.square(wanted - mean).mean(1) for mean in means], 1)


def _sides(distances: np.ndarray, own: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    at_own = distances[np.arange(len(own)), own]
    return at_own, (distances.sum(1) - at_own) / (distances.shape[1] - 1)


def _ridge(known: np.ndarray, labels: np.ndarray, wanted: np.ndarray, count: int) -> np.ndarray:
    products = known @ known.T
    products[np.diag_indices_from(products)] += RIDGE * float(np.square(known).sum(1).mean())
    targets = (labels[:, None] == np.arange(count)) - np.bincount(labels, minlength=count) / len(labels)
    return (wanted @ known.T @ np.linalg.solve(products, targets)).argmax(1)

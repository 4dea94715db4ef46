"""Whether a router can learn the clusters, before any is trained: what probes make of embeddings and of latents."""

from __future__ import annotations

from typing import Any

import numpy as np

from paris_assets.clusters.probes import (
    Accuracy,
    Judged,
    accuracy,
    confusion,
    judged,
    most_confused,
    predicted,
    ridge,
    small_network,
)

PAIRS, MATRIX = 12, 20
"""Pairs of clusters listed, and clusters up to which the whole matrix is told."""


def learnability(
    vectors: np.ndarray, labels: np.ndarray, groups: np.ndarray, latents: tuple[np.ndarray, np.ndarray], seed: int
) -> dict[str, Any]:
    """What linear and small probes find, as JSON values.

    Args:
        vectors: (n, D) float32, what was clustered.
        labels: (n,) int, clusters.
        groups: (n,) int, groups of copies, which are held out together.
        latents: rows (m,) of the images with a latent, and what is known of it, (m, L) float32.

    Returns:
        ``embeddings`` and ``latents``, each of ``_probed``.
    """
    linear, network = {"linear": ridge}, {"small network": small_network(seed)}
    rows, pooled = latents
    return {
        "embeddings": _probed(vectors, labels, groups, linear, seed),
        "latents": _probed(pooled, labels[rows], groups[rows], {**linear, **network}, seed),
    }


def _probed(
    vectors: np.ndarray, labels: np.ndarray, groups: np.ndarray, probes: dict[str, Any], seed: int
) -> dict[str, Any]:
    """``images`` and ``groups`` judged, ``clusters`` of them, those ``left_out`` as too small, ``chance``, its error
    and the least accuracy ``visible``; ``probes``: name -> ``accuracy``, ``low``, ``high``; ``best`` of them;
    ``permuted``: accuracy of the linear one on permuted labels; ``confused``: the worst pairs of the best one, and for
    few clusters ``confusion``, its matrix by their ``numbers``. Where nothing can be judged: ``refused``, why.
    """
    images = judged(labels, groups, seed) if len(labels) else None
    if images is None:
        present = len(np.unique(labels))
        return {"images": len(labels), "refused": f"of {present} clusters of {len(labels)} images fewer than two have "
                "five groups of copies or single images, and probes are taught and judged by fifths"}  # fmt: skip
    held = vectors[images.rows]
    found = {name: predicted(held, images, probe) for name, probe in probes.items()}
    scores = {name: accuracy(guesses, images) for name, guesses in found.items()}
    best = max(scores, key=lambda name: scores[name].mean)
    counts = confusion(found[best], images)
    few = len(counts) <= MATRIX
    matrix = {"numbers": images.clusters.tolist(), "confusion": counts.tolist()} if few else {}
    pairs = most_confused(counts, images.clusters, PAIRS)
    return {
        "images": len(images.rows),
        "groups": len(np.unique(images.groups)),
        "clusters": len(counts),
        "left_out": images.left_out,
        "chance": _rounded(images.chance),
        "chance_error": _rounded(images.chance_error),
        "visible": _rounded(images.visible),
        "probes": {name: _told(score) for name, score in scores.items()},
        "best": best,
        "permuted": _rounded(_on_permuted(held, images, seed).mean),
        "confused": [
            {"one": one, "other": other, "share": _rounded(share), "error": _rounded(error)}
            for one, other, share, error in pairs
        ],
        **matrix,
    }


def _on_permuted(vectors: np.ndarray, images: Judged, seed: int) -> Accuracy:
    """A linear probe that is taught and judged by labels which mean nothing: what looks like success without any."""
    drawn = np.random.default_rng([seed, 4]).permutation(images.labels)
    nonsense = Judged(images.rows, images.clusters, drawn, images.groups, images.folds, images.left_out)
    return accuracy(predicted(vectors, nonsense, ridge), nonsense)


def _told(score: Accuracy) -> dict[str, float]:
    return {"accuracy": _rounded(score.mean), "low": _rounded(score.low), "high": _rounded(score.high)}


def _rounded(value: float) -> float:
    return float(f"{value:.6g}")

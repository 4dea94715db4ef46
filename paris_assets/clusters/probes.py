"""Linear and small probes that learn clusters from vectors: how much a router can know, before one is trained.

No image is judged by a probe that saw it, or a copy of it: groups of copies are held out together, in turn.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import NamedTuple

import numpy as np
from sklearn.model_selection import StratifiedGroupKFold
from threadpoolctl import threadpool_limits

FOLDS = 5
RIDGE = 1.0
"""Of the mean variance of a value: what is added to the diagonal."""
HIDDEN, BATCH, STEPS, RATE, DECAY = 64, 128, 400, 2e-3, 0.05
Z, POWER = 1.96, 2.8
"""Standard errors of an interval of 95 %, and those of an effect that a test at 5 % sees four times in five."""

Predict = Callable[[np.ndarray, np.ndarray, np.ndarray], np.ndarray]
"""Training vectors (n, D), their clusters (n,), held-out vectors (m, D) -> clusters (m,)."""


class Accuracy(NamedTuple):
    """Balanced accuracy, the mean over clusters of the share of their images that are found, and its standard error."""

    mean: float
    error: float

    @property
    def low(self) -> float:
        """Lower end of the interval of 95 %."""
        return max(0.0, self.mean - Z * self.error)

    @property
    def high(self) -> float:
        """Upper end."""
        return min(1.0, self.mean + Z * self.error)


@dataclass(frozen=True)
class Judged:
    """The images that probes are taught and judged by.

    Attributes:
        rows: (n,) positions of these images in the sample.
        clusters: (C,) the clusters judged, ascending: those with as many groups as there are folds.
        labels: (n,) position of each image's cluster in these.
        groups: (n,) number of its group of copies.
        folds: (n,) the fold that it is held out in.
        left_out: clusters of the sample that are too small to be judged.
    """

    rows: np.ndarray
    clusters: np.ndarray
    labels: np.ndarray
    groups: np.ndarray
    folds: np.ndarray
    left_out: int

    @property
    def chance(self) -> float:
        """Balanced accuracy of guesses."""
        return 1 / len(self.clusters)

    @property
    def chance_error(self) -> float:
        """Its standard error by so many images."""
        counts = np.bincount(self.labels)
        return float(np.sqrt((self.chance * (1 - self.chance) / counts).sum()) / len(counts))

    @property
    def visible(self) -> float:
        """The least balanced accuracy that can be told from chance, four times in five."""
        return min(1.0, self.chance + POWER * self.chance_error)


def judged(labels: np.ndarray, groups: np.ndarray, seed: int) -> Judged | None:
    """The images of clusters that are large enough, divided into folds; None where fewer than two clusters are.

    Args:
        labels: (N,) cluster of each image.
        groups: (N,) int, its group of copies.
    """
    present = np.unique(labels)
    large = np.array([label for label in present if len(np.unique(groups[labels == label])) >= FOLDS], labels.dtype)
    if len(large) < 2:
        return None
    rows = np.flatnonzero(np.isin(labels, large))
    numbers, of = np.searchsorted(large, labels[rows]), groups[rows]
    folds = np.empty(len(rows), int)
    split = StratifiedGroupKFold(FOLDS, shuffle=True, random_state=seed).split(rows, numbers, of)
    for fold, (_, held_out) in enumerate(split):
        folds[held_out] = fold
    return Judged(rows, large, numbers, of, folds, len(present) - len(large))


def predicted(vectors: np.ndarray, images: Judged, probe: Predict) -> np.ndarray:
    """(n,) what a probe that was taught the other folds takes each image for, as a position in ``images.clusters``.

    Args:
        vectors: (n, D) of ``images.rows``; each value is centred and scaled by the images that the probe is taught.
    """
    found = np.empty(len(vectors), int)
    with threadpool_limits(limits=1):  # sums must not depend on how many there are
        for fold in range(FOLDS):
            held_out = images.folds == fold
            taught = vectors[~held_out].astype(np.float64)
            mean, scale = taught.mean(0), np.maximum(taught.std(0), 1e-9)
            asked = (vectors[held_out] - mean) / scale
            found[held_out] = probe((taught - mean) / scale, images.labels[~held_out], asked)
    return found


def ridge(taught: np.ndarray, labels: np.ndarray, asked: np.ndarray) -> np.ndarray:
    """Least squares on one-hot clusters with a ridge, in closed form; every cluster weighs the same."""
    counts = np.bincount(labels)
    weights = (len(labels) / len(counts) / np.maximum(counts, 1))[labels]
    targets = np.eye(len(counts))[labels] - 1 / len(counts)
    root = np.sqrt(weights)[:, None]
    left, right = taught * root, targets * root
    penalty = RIDGE * len(labels)
    if left.shape[0] >= left.shape[1]:
        solved = np.linalg.solve(left.T @ left + penalty * np.eye(left.shape[1]), left.T @ right)
    else:  # the same by as many equations as there are images
        solved = left.T @ np.linalg.solve(left @ left.T + penalty * np.eye(len(left)), right)
    return (asked @ solved).argmax(1)


def small_network(seed: int) -> Predict:
    """A network of one hidden layer (ReLU), taught a fixed number of steps by Adam (Kingma & Ba 2014) on the cross
    entropy; every cluster is shown as often."""

    def probe(taught: np.ndarray, labels: np.ndarray, asked: np.ndarray) -> np.ndarray:
        drawn, wide = np.random.default_rng([seed, 3]), int(labels.max()) + 1
        order = np.argsort(labels, kind="stable")
        counts = np.bincount(labels)
        starts, present = np.cumsum(counts) - counts, np.flatnonzero(counts)
        shape = ((taught.shape[1], HIDDEN), (HIDDEN,), (HIDDEN, wide), (wide,))
        weights = [drawn.standard_normal(size, np.float32) * (len(size) - 1) * (2 / size[0]) ** 0.5 for size in shape]
        moments = [(np.zeros_like(part), np.zeros_like(part)) for part in weights]
        wide_rows = taught.astype(np.float32)
        for step in range(1, STEPS + 1):
            shown = present[drawn.integers(len(present), size=BATCH)]
            rows = order[starts[shown] + (drawn.random(BATCH) * counts[shown]).astype(int)]
            _adam(weights, _gradients(weights, wide_rows[rows], shown), moments, step)
        return _layers(weights, asked.astype(np.float32))[1].argmax(1)

    return probe


def _layers(weights: list[np.ndarray], vectors: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """The hidden layer and the logits."""
    hidden = np.maximum(vectors @ weights[0] + weights[1], 0)
    return hidden, hidden @ weights[2] + weights[3]


def _gradients(weights: list[np.ndarray], vectors: np.ndarray, labels: np.ndarray) -> list[np.ndarray]:
    hidden, logits = _layers(weights, vectors)
    chances = np.exp(logits - logits.max(1, keepdims=True))
    wrong = chances / chances.sum(1, keepdims=True)
    wrong[np.arange(len(labels)), labels] -= 1
    wrong /= len(labels)
    back = (wrong @ weights[2].T) * (hidden > 0)
    return [vectors.T @ back, back.sum(0), hidden.T @ wrong, wrong.sum(0)]


def _adam(
    weights: list[np.ndarray], gradients: list[np.ndarray], moments: list[tuple[np.ndarray, np.ndarray]], step: int
) -> None:
    for part, gradient, (first, second) in zip(weights, gradients, moments, strict=True):
        first += 0.1 * (gradient - first)
        second += 0.001 * (np.square(gradient) - second)
        part -= RATE * (first / (1 - 0.9**step) / (np.sqrt(second / (1 - 0.999**step)) + 1e-8) + DECAY * part)


def accuracy(found: np.ndarray, images: Judged) -> Accuracy:
    """Balanced accuracy of what was predicted; its error counts groups of copies, not images, and is never below that
    of guesses."""
    hits, wide = (found == images.labels).astype(float), len(images.clusters)
    counts = np.bincount(images.labels, minlength=wide)
    rates = np.bincount(images.labels, hits, wide) / counts
    _, of = np.unique(images.groups, return_inverse=True)
    parts = np.bincount(of, (hits - rates[images.labels]) / counts[images.labels])
    error = float(np.sqrt(np.square(parts).sum()) / wide)
    return Accuracy(float(rates.mean()), max(error, images.chance_error))


def confusion(found: np.ndarray, images: Judged) -> np.ndarray:
    """(C, C) images of cluster x what they were taken for."""
    wide = len(images.clusters)
    return np.bincount(images.labels * wide + found, minlength=wide * wide).reshape(wide, wide)


class Confused(NamedTuple):
    """Two clusters that are taken for each other.

    Attributes:
        share: mean of the shares of either's images that are taken for the other: a half where a coin decides.
        error: its standard error.
    """

    one: int
    other: int
    share: float
    error: float


def most_confused(counts: np.ndarray, clusters: np.ndarray, most: int) -> list[Confused]:
    """The pairs of clusters that are taken for each other most, worst first.

    Args:
        counts: (C, C) of ``confusion``.
        clusters: (C,) their numbers.
    """
    images = counts.sum(1, keepdims=True)
    rates = counts / images
    both = (rates + rates.T) / 2
    variance = rates * (1 - rates) / images
    errors = np.sqrt(variance + variance.T) / 2
    one, other = np.triu_indices(len(counts), 1)
    worst = np.argsort(-both[one, other], kind="stable")[:most]
    return [
        Confused(int(clusters[a]), int(clusters[b]), float(both[a, b]), float(errors[a, b]))
        for a, b in zip(one[worst], other[worst], strict=True)
        if both[a, b] > 0
    ]

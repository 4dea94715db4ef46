"""Intervals over duplicate groups, and whether experts fit their own clusters more than others: never one draw as if it
were independent of the next."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

RESAMPLES, PERMUTATIONS = 2000, 2000
POWER = 2.8
"""Standard errors of an effect that a two-sided test at 5 % sees four times in five: 1.96 + 0.84."""


@dataclass(frozen=True)
class Interval:
    """A mean over images, its bootstrap interval and standard error."""

    mean: float
    low: float
    high: float
    error: float


class Bootstrap:
    """Means over images whose duplicate groups are drawn again, within clusters (Efron 1979): the images of a group are
    drawn together.

    Args:
        groups: (N,) of each image.
        clusters: (N,) int.
    """

    def __init__(self, groups: np.ndarray, clusters: np.ndarray, confidence: float, seed: int) -> None:
        drawn, self._ends = np.random.default_rng([seed, 5]), (50 * (1 - confidence), 50 * (1 + confidence))
        names, of_image = np.unique(groups, return_inverse=True)
        strata = np.full(len(names), -1)
        strata[of_image[::-1]] = clusters[::-1]  # of a group in several, that of its first image
        weights = np.zeros((RESAMPLES, len(names)), np.float32)
        for stratum in np.unique(strata):
            own = np.flatnonzero(strata == stratum)
            weights[:, own] = drawn.multinomial(len(own), np.full(len(own), 1 / len(own)), RESAMPLES)
        self._weights = weights[:, of_image]

    def of(self, values: np.ndarray) -> Interval:
        """The interval of the mean of values (N,)."""
        return self.ratio(values, np.ones(len(values)))

    def ratio(self, above: np.ndarray, below: np.ndarray) -> Interval:
        """The same of sum(above) / sum(below), both (N,)."""
        means = (self._weights @ above) / (self._weights @ below)
        low, high = np.percentile(means, self._ends)
        return Interval(float(above.sum() / below.sum()), float(low), float(high), float(means.std()))

    def balanced(self, hits: np.ndarray, clusters: np.ndarray) -> Interval:
        """The same of the mean over clusters of the mean of hits (N,) in each."""
        own = clusters[:, None] == np.unique(clusters)
        rates = (self._weights @ (hits[:, None] * own)) / (self._weights @ own)
        means = rates.mean(1)
        low, high = np.percentile(means, self._ends)
        return Interval(float(_rates(hits, own).mean()), float(low), float(high), float(means.std()))


@dataclass(frozen=True)
class Diagonal:
    """How far experts fit their own clusters beyond what expert and cluster are like in general.

    Attributes:
        matrix: (C, K) mean loss of cluster x expert.
        centred: the same less the means of its rows and columns.
        statistic: mean of the diagonal of ``centred``; negative where experts specialise.
        null_mean, null_error: of the statistic under permuted labels of the held-out images.
        p: share of permutations that are as low, the found one included; one-sided.
        p_experts: (K,) the same of each diagonal value.
    """

    matrix: np.ndarray
    centred: np.ndarray
    statistic: float
    null_mean: float
    null_error: float
    p: float
    p_experts: np.ndarray

    @property
    def z(self) -> float:
        """Standard errors from the mean of permutations."""
        return (self.statistic - self.null_mean) / self.null_error if self.null_error else float("nan")

    @property
    def visible(self) -> float:
        """The least loss of own experts below others that is seen four times in five. The means of rows and columns
        take 1 / K of such a difference out of the diagonal."""
        kept = 1 - 1 / len(self.matrix)
        return POWER * self.null_error / kept if kept else float("inf")


def diagonal_of(losses: np.ndarray, own: np.ndarray, folds: np.ndarray, seed: int) -> Diagonal:
    """The permutation test of the double-centred diagonal.

    Experts differ in quality and clusters in difficulty, so that an own expert may be better than others by chance of
    these alone: both are taken out. Labels are permuted within a fold, whose experts are the same.

    Args:
        losses: (N, K) of each held-out image by each expert.
        own: (N,) number of its own; every expert has an image.
        folds: (N,).
    """
    drawn, found = np.random.default_rng([seed, 6]), np.diag(_centred(_by_cluster(losses, own)))
    null = np.empty((PERMUTATIONS, losses.shape[1]))
    parts = [np.flatnonzero(folds == fold) for fold in np.unique(folds)]
    for turn in range(PERMUTATIONS):
        permuted = own.copy()
        for part in parts:
            permuted[part] = drawn.permutation(own[part])
        null[turn] = np.diag(_centred(_by_cluster(losses, permuted)))
    matrix, means = _by_cluster(losses, own), null.mean(1)
    each = (1 + (null <= found).sum(0)) / (1 + PERMUTATIONS)
    p = (1 + int((means <= found.mean()).sum())) / (1 + PERMUTATIONS)
    error = float(means.std())
    return Diagonal(matrix, _centred(matrix), float(found.mean()), float(means.mean()), error, p, each)


def holm(p: np.ndarray) -> np.ndarray:
    """p values (K,) of a family, so adjusted that the chance of any false one stays below the level (Holm 1979)."""
    order, adjusted = np.argsort(p, kind="stable"), np.empty(len(p))
    adjusted[order] = np.minimum(np.maximum.accumulate(p[order] * (len(p) - np.arange(len(p)))), 1)
    return adjusted


def calibration_error(confidence: np.ndarray, hits: np.ndarray, bins: int = 10) -> float:
    """Expected calibration error: mean distance of hits from confidence over bins of equal width (Guo et al. 2017)."""
    places = np.minimum((confidence * bins).astype(int), bins - 1)
    gaps = [abs(float((hits - confidence)[places == place].sum())) for place in range(bins)]
    return sum(gaps) / max(len(hits), 1)


def chance_error(clusters: np.ndarray) -> float:
    """Standard error of the balanced accuracy of a router that guesses, by images of each cluster (N,) int."""
    counts = np.unique(clusters, return_counts=True)[1]
    rate = 1 / len(counts)
    return float(np.sqrt((rate * (1 - rate) / counts).sum()) / len(counts))


def _by_cluster(losses: np.ndarray, own: np.ndarray) -> np.ndarray:
    members = own == np.arange(losses.shape[1])[:, None]
    return members @ losses / members.sum(1, keepdims=True)


def _centred(matrix: np.ndarray) -> np.ndarray:
    return matrix - matrix.mean(0) - matrix.mean(1, keepdims=True) + matrix.mean()


def _rates(hits: np.ndarray, own: np.ndarray) -> np.ndarray:
    return (hits[:, None] * own).sum(0) / own.sum(0)

"""Intervals and tests of the proof against known answers, and against what a naive comparison says."""

from __future__ import annotations

import numpy as np
import pytest

from paris_assets.proof.statistics import POWER, Bootstrap, calibration_error, chance_error, diagonal_of, holm

IMAGES, EXPERTS = 80, 4


def losses(fit: float, seed: int = 0) -> tuple[np.ndarray, np.ndarray]:
    """(N, K) losses in which experts differ in quality, clusters in difficulty, and own experts are better by ``fit``;
    the best expert has most of the images."""
    drawn = np.random.default_rng(seed)
    own = np.repeat(np.arange(EXPERTS), [44, 16, 12, 8])
    found = np.array([1.0, 1.1, 1.2, 1.3]) + 0.2 * own[:, None] + 0.05 * drawn.standard_normal((IMAGES, EXPERTS))
    found[np.arange(IMAGES), own] -= fit
    return found, own


def test_a_better_expert_with_more_images_is_no_specialist() -> None:
    found, own = losses(0.0)
    at_own = found[np.arange(IMAGES), own]
    others = (found.sum(1) - at_own) / (EXPERTS - 1)
    drawn = Bootstrap(np.arange(IMAGES), own, 0.95, 0)
    assert drawn.of(others - at_own).low > 0, "a naive comparison finds that own experts are better"
    diagonal = diagonal_of(found, own, np.zeros(IMAGES), 0)
    assert diagonal.p > 0.05
    assert abs(diagonal.z) < 2.5


def test_specialists_are_found_and_named() -> None:
    found, own = losses(0.1)
    diagonal = diagonal_of(found, own, np.zeros(IMAGES), 0)
    assert diagonal.p == pytest.approx(1 / 2001)
    assert diagonal.z < -5
    assert (diagonal.p_experts < 0.05).all()
    np.testing.assert_allclose(diagonal.centred.sum(0), 0, atol=1e-12)
    np.testing.assert_allclose(diagonal.centred.sum(1), 0, atol=1e-12)
    assert diagonal.statistic == pytest.approx(-0.1 * (1 - 1 / EXPERTS), abs=0.02)


@pytest.mark.parametrize("experts", [2, 4])
def test_a_difference_that_can_be_seen_is_so_many_standard_errors(experts: int) -> None:
    drawn, own = np.random.default_rng(2), np.arange(IMAGES) % experts
    found = drawn.standard_normal((IMAGES, experts))
    before = diagonal_of(found, own, np.zeros(IMAGES), 0)
    found[np.arange(IMAGES), own] -= before.visible
    after = diagonal_of(found, own, np.zeros(IMAGES), 0)
    assert before.statistic - after.statistic == pytest.approx(POWER * before.null_error)


def test_labels_are_permuted_within_folds() -> None:
    """Each fold holds images of one cluster alone: no permutation can change anything."""
    found, own = losses(0.1)
    diagonal = diagonal_of(found, own, own, 0)
    assert (diagonal.p, diagonal.null_error) == (1.0, pytest.approx(0, abs=1e-12))


def test_false_alarms_are_as_rare_as_the_level_says() -> None:
    drawn = np.random.default_rng(1)
    own = np.arange(24) % 3
    p = [diagonal_of(drawn.standard_normal((24, 3)), own, np.zeros(24), seed).p for seed in range(40)]
    assert np.mean(np.array(p) < 0.2) < 0.45
    assert min(p) > 0.0005 or np.mean(np.array(p) < 0.01) < 0.15


def test_an_interval_holds_the_mean_and_counts_groups_not_images() -> None:
    values = np.random.default_rng(0).standard_normal(100)
    strata = np.zeros(100, int)
    alone = Bootstrap(np.arange(100), strata, 0.95, 0).of(values)
    assert alone.mean == pytest.approx(values.mean())
    assert alone.error == pytest.approx(values.std() / 10, rel=0.1)
    assert alone.high - alone.low == pytest.approx(3.92 * alone.error, rel=0.1)
    four = Bootstrap(np.repeat(np.arange(100), 4), np.zeros(400, int), 0.95, 0).of(np.repeat(values, 4))
    assert four.error == pytest.approx(alone.error, rel=0.1), "copies are no further evidence"


def test_differences_between_clusters_are_no_noise() -> None:
    strata = np.repeat([0, 1], 50)
    assert Bootstrap(np.arange(100), strata, 0.95, 0).of(strata.astype(float)).error == pytest.approx(0)


def test_balanced_accuracy_counts_every_cluster_the_same() -> None:
    clusters = np.repeat([0, 1], [90, 10])
    hits = (clusters == 0).astype(float)
    found = Bootstrap(np.arange(100), clusters, 0.95, 0).balanced(hits, clusters)
    assert (found.mean, found.low, found.high) == (0.5, 0.5, 0.5)
    drawn = np.random.default_rng(0)
    guesses = [(drawn.integers(0, 2, 100) == clusters).astype(float) for _ in range(400)]
    rates = [np.mean([hit[clusters == cluster].mean() for cluster in (0, 1)]) for hit in guesses]
    assert chance_error(clusters) == pytest.approx(np.std(rates), rel=0.15)


def test_holm_adjusts_in_steps() -> None:
    np.testing.assert_allclose(holm(np.array([0.01, 0.04, 0.03, 0.005])), [0.03, 0.06, 0.06, 0.02])
    assert holm(np.array([0.9, 0.8])).max() == 1


def test_calibration_is_the_distance_of_hits_from_confidence() -> None:
    assert calibration_error(np.full(10, 0.75), np.array([1.0] * 5 + [0.0] * 5)) == pytest.approx(0.25)
    assert calibration_error(np.array([1.0, 1.0]), np.array([1.0, 1.0])) == 0

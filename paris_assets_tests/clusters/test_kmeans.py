from __future__ import annotations

import numpy as np
import pytest
from sklearn.cluster import KMeans
from sklearn.metrics import adjusted_rand_score, silhouette_score
from threadpoolctl import threadpool_limits

from paris_assets.clusters.assignment import own_clusters
from paris_assets.clusters.centroids import CollapsedClustering
from paris_assets.clusters.kmeans import fine_count, fit
from paris_assets.compute import Compute
from paris_assets.config import Clusters
from paris_assets.vectors import lloyd, rows

SIZES = (140, 100, 60, 40, 30)
FIVE = Clusters(k=5, restarts=3, iterations=20)


def _groups(spread: float = 0.1, dimensions: int = 16, sizes: tuple[int, ...] = SIZES) -> tuple[np.ndarray, np.ndarray]:
    """Unit vectors around as many directions as sizes, shuffled; and their groups."""
    rng = np.random.default_rng(5)
    centres = rng.normal(size=(len(sizes), dimensions))
    truth = rng.permutation(np.repeat(np.arange(len(sizes)), sizes))
    centres /= np.linalg.norm(centres, axis=1, keepdims=True)
    vectors = centres[truth] + spread * rng.normal(size=(len(truth), dimensions))
    return (vectors / np.linalg.norm(vectors, axis=1, keepdims=True)).astype(np.float32), truth


@pytest.mark.parametrize(
    "settings",
    [FIVE, FIVE.model_copy(update={"fine": 25}), FIVE.model_copy(update={"fine": 25, "assignment": "inherit"})],
    ids=["direct", "two_stage", "inherit"],
)
def test_finds_separate_groups_and_numbers_them_by_size(settings: Clusters) -> None:
    vectors, truth = _groups()
    model = fit(vectors, settings, 0)
    labels = own_clusters(vectors, model)[0].labels
    np.testing.assert_array_equal(labels, truth)  # the groups are numbered by size, too
    assert model.statistics["sizes"] == list(SIZES)
    if settings.fine is None:
        np.testing.assert_allclose(model.coarse[0], vectors[truth == 0].mean(axis=0), atol=1e-6)


def test_inertia_is_the_sum_of_squares_and_as_low_as_sklearns() -> None:
    vectors, _ = _groups(spread=0.5)
    model = fit(vectors, Clusters(k=6, restarts=10), 0)
    labels = own_clusters(vectors, model)[0].labels
    expected = np.square(vectors.astype(np.float64) - model.coarse[labels]).sum()
    assert model.statistics["inertia"] == pytest.approx(expected, rel=1e-9)
    reference = KMeans(6, n_init=10, random_state=0).fit(vectors)  # type: ignore[arg-type]
    assert reference.inertia_ is not None
    assert expected <= 1.01 * reference.inertia_


def test_settled_centroids_are_the_means_of_their_images() -> None:
    vectors, _ = _groups(spread=0.4)
    model = fit(vectors, FIVE, 0)
    labels = own_clusters(vectors, model)[0].labels
    for cluster in range(5):
        np.testing.assert_allclose(model.coarse[cluster], vectors[labels == cluster].mean(axis=0), atol=1e-6)


@pytest.mark.parametrize("fine", [None, 30])
def test_cores_change_no_bit_before_the_fixed_point(monkeypatch: pytest.MonkeyPatch, fine: int | None) -> None:
    vectors, _ = _groups(spread=0.4)
    settings = FIVE.model_copy(update={"fine": fine, "iterations": 2})
    monkeypatch.setattr(rows, "BLOCK_ROWS", 64)
    monkeypatch.setattr(lloyd, "SAMPLE_ROWS", 40)
    found = []
    for cores in (1, 2, 4):
        monkeypatch.setattr(lloyd, "cores", lambda cores=cores: cores)
        with threadpool_limits(cores):
            found.append(fit(vectors, settings, 3, compute=Compute(cores)))
    for other in found[1:]:
        np.testing.assert_array_equal(other.coarse, found[0].coarse)
        assert other.statistics == found[0].statistics


def test_inherit_and_nearest_are_different_rules() -> None:
    vectors, _ = _groups(spread=0.6)
    near = fit(vectors, FIVE.model_copy(update={"fine": 20}), 0)
    inherit = fit(vectors, FIVE.model_copy(update={"fine": 20, "assignment": "inherit"}), 0)
    assert inherit.fine is not None
    assert inherit.fine_to_coarse is not None
    distances = np.linalg.norm(vectors[:, None] - inherit.fine, axis=2)
    expected = inherit.fine_to_coarse[distances.argmin(axis=1)]
    labels = own_clusters(vectors, inherit)[0].labels
    np.testing.assert_array_equal(labels, expected)
    plain = np.linalg.norm(vectors[:, None] - near.coarse, axis=2).argmin(axis=1)
    np.testing.assert_array_equal(own_clusters(vectors, near)[0].labels, plain)
    assert 0.5 < adjusted_rand_score(labels, plain) < 1


def test_coarse_stage_weighs_fine_centroids_by_their_images() -> None:
    """A few far images must not win clusters of their own over the many."""
    rng = np.random.default_rng(0)
    crowd = np.concatenate([rng.normal(at, 0.3, size=(300, 2)) for at in (0.0, 4.0, 8.0)])
    stragglers = np.array([[30.0, 0.0], [30.0, 9.0]])
    vectors = np.concatenate([crowd, stragglers]).astype(np.float32)
    model = fit(vectors, Clusters(k=3, fine=12, normalize=False, restarts=10), 0)
    assert min(model.statistics["sizes"]) > 250


@pytest.mark.parametrize("assignment", ["nearest", "inherit"])
@pytest.mark.parametrize("fine", [None, 40])
def test_max_share_caps_the_largest_cluster(assignment: str, fine: int | None) -> None:
    vectors, _ = _groups(spread=0.25)
    settings = FIVE.model_copy(update={"max_share": 0.25, "fine": fine, "assignment": assignment})
    free = fit(vectors, settings.model_copy(update={"max_share": None}), 0)
    capped = fit(vectors, settings, 0)
    assert max(free.statistics["shares"]) > 0.35
    assert max(capped.statistics["sizes"]) <= np.ceil(0.25 * len(vectors))
    assert capped.statistics["inertia"] > free.statistics["inertia"]


def test_cap_that_cannot_be_met_says_so() -> None:
    vectors, _ = _groups()
    with pytest.raises(ValueError, match=r"max_share 0\.15 cannot be met by 5 clusters of 370 images"):
        fit(vectors, FIVE.model_copy(update={"max_share": 0.15}), 0)


def test_collapsed_fits_raise_with_sizes() -> None:
    with pytest.raises(CollapsedClustering, match="hold no images") as caught:
        fit(np.ones((50, 4), np.float32), FIVE, 0)
    assert sum(caught.value.sizes) == 50
    assert 0 in caught.value.sizes
    three = np.repeat(np.eye(3, 4, dtype=np.float32), 20, axis=0)
    with pytest.raises(CollapsedClustering):
        fit(three, FIVE, 0)


def test_unusable_input_is_named() -> None:
    vectors, _ = _groups()
    with pytest.raises(
        ValueError,
        match=r"clusters\.k is 5, but too few images are left to cluster \(4\): set clusters\.k to at most 4",
    ):
        fit(vectors[:4], FIVE, 0)
    with pytest.raises(ValueError, match=r"clusters\.fine is 500"):
        fit(vectors, FIVE.model_copy(update={"fine": 500}), 0)
    broken = vectors.copy()
    broken[7, 3] = np.inf
    with pytest.raises(ValueError, match="must be finite"):
        fit(broken, FIVE, 0)


def test_a_single_cluster_and_one_image_each_are_no_collapse() -> None:
    vectors, _ = _groups()
    assert fit(vectors, Clusters(k=1), 0).statistics["sizes"] == [len(vectors)]
    every = fit(vectors[:6], Clusters(k=6), 0)
    assert every.statistics["sizes"] == [1] * 6
    assert every.statistics["inertia"] == pytest.approx(0, abs=1e-12)


def test_auto_fine_scales_with_the_images() -> None:
    auto = Clusters(k=8, fine="auto")
    assert [fine_count(n, auto) for n in (20, 200, 10_000, 1_000_000, 11_000_000)] == [8, 32, 102, 1024, 1024]
    assert fine_count(1000, Clusters()) is None


def test_groups_stand_out_once_the_rest_is_taken_out() -> None:
    """Groups a few degrees apart around one direction, among much else that says nothing of them."""
    rng = np.random.default_rng(1)
    truth = rng.permutation(np.repeat(np.arange(4), 60))
    spread = np.concatenate([2 * np.eye(4)[truth], rng.normal(size=(240, 60)) * 0.5], axis=1)
    vectors = spread + 20 * np.ones(64)
    vectors = (vectors / np.linalg.norm(vectors, axis=1, keepdims=True)).astype(np.float32)
    found = {}
    for reduce in ("none", "pca"):
        settings = Clusters(k=4, reduce=reduce, dims=4, restarts=1)
        model = fit(vectors, settings, 0)
        labels = own_clusters(vectors, model)[0].labels
        found[reduce] = silhouette_score(model.placed(vectors), labels, metric="cosine")
        assert ("reduced_dimensions" in model.statistics) == (reduce == "pca")
    assert adjusted_rand_score(labels, truth) > 0.9
    assert found["pca"] > 2 * found["none"]
    assert 0 < model.statistics["variance_kept"] < 1

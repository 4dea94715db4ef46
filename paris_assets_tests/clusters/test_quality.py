from __future__ import annotations

from itertools import combinations

import numpy as np
import polars as pl
import pytest
from scipy.spatial.distance import cosine
from sklearn.metrics import calinski_harabasz_score, davies_bouldin_score, silhouette_score

from paris_assets.clusters.assignment import assign
from paris_assets.clusters.kmeans import fit
from paris_assets.clusters.quality import Quality, measure, metrics_frame, stability
from paris_assets.config import Clusters

SETTINGS = Clusters(k=4, restarts=2, stability_seeds=3)


def _blobs(spread: float, n: int = 160) -> np.ndarray:
    rng = np.random.default_rng(0)
    vectors = rng.normal(size=(4, 8))[np.arange(n) % 4] + spread * rng.normal(size=(n, 8))
    return (vectors / np.linalg.norm(vectors, axis=1, keepdims=True)).astype(np.float32)


def _measure(vectors: np.ndarray, settings: Clusters = SETTINGS) -> tuple[Quality, pl.DataFrame]:
    model = fit(vectors, settings, 0)
    table = assign([f"{row:04d}" for row in range(len(vectors))], vectors, model)
    return measure(vectors, table["cluster"].to_numpy(), table.lazy(), model, settings, 0), table


def test_separation_agrees_with_sklearn_and_with_plain_loops() -> None:
    vectors = _blobs(0.5)
    quality, table = _measure(vectors)
    labels, wide = table["cluster"].to_numpy(), vectors.astype(np.float64)
    figures = quality.figures
    assert figures["silhouette"] == pytest.approx(float(silhouette_score(wide, labels, metric="cosine")))
    assert figures["davies_bouldin"] == pytest.approx(davies_bouldin_score(wide, labels))
    assert figures["calinski_harabasz"] == pytest.approx(calinski_harabasz_score(wide, labels))
    assert quality.silhouettes.shape == (160,)
    pairs = [(labels[a] == labels[b], 1 - cosine(wide[a], wide[b])) for a, b in combinations(range(160), 2)]
    assert figures["inter_cluster_cosine"] == pytest.approx(np.mean([value for same, value in pairs if not same]))
    for row in quality.clusters:
        rows = np.flatnonzero(labels == row["cluster"])
        own = [1 - cosine(wide[a], wide[b]) for a, b in combinations(rows, 2)]
        assert row["cohesion"] == pytest.approx(np.mean(own))
        assert row["silhouette"] == pytest.approx(quality.silhouettes[rows].mean())
    weighted = sum(row["cohesion"] * row["images"] for row in quality.clusters) / 160
    assert figures["intra_cluster_cosine"] == pytest.approx(weighted)


def test_balance_and_boundary_by_hand() -> None:
    vectors = _blobs(0.3)
    model = fit(vectors, SETTINGS, 0)
    table = pl.DataFrame(
        {
            "cluster": [0, 0, 0, 0, 0, 0, 1, 3],
            "distance": [1.0, 1.0, 1.0, 1.0, 2.0, 0.0, 1.0, 5.0],
            # 1.1 on squared distances would be 1.21: it lies at the boundary only when distances are not squared.
            "second_distance": [1.1, 1.19, 1.21, 3.0, 1.0, 0.5, 1.2, 9.0],
        }
    )
    quality = measure(vectors, np.arange(160) % 4, table, model, SETTINGS, 0)
    figures = quality.figures
    assert [row["images"] for row in quality.clusters] == [6, 1, 0, 1]
    assert (figures["images"], figures["dead_clusters"]) == (8, 1)
    assert (figures["smallest_share"], figures["largest_share"]) == (0, 0.75)
    assert figures["boundary_fraction"] == pytest.approx(3 / 8)
    assert quality.clusters[0]["boundary_fraction"] == pytest.approx(0.5)
    assert figures["mean_distance"] == pytest.approx(12 / 8)
    shares = np.array([0.75, 0.125, 0.125])
    assert figures["effective_clusters"] == pytest.approx(np.exp(-(shares * np.log(shares)).sum()))


def test_stability_tells_structure_from_noise() -> None:
    clear = stability(_blobs(0.05), SETTINGS, 0)
    noise = np.random.default_rng(3).normal(size=(160, 30)).astype(np.float32)
    vague = stability(noise, SETTINGS, 0)
    assert clear == {"stability_mean": 1.0, "stability_min": 1.0, "stability_seeds": 3}
    assert vague["stability_mean"] is not None
    assert vague["stability_mean"] < 0.7
    assert vague["stability_min"] <= vague["stability_mean"]  # type: ignore[operator]


def test_stability_without_refits_is_unknown() -> None:
    assert stability(np.ones((20, 3), np.float32), SETTINGS, 0)["stability_mean"] is None
    assert stability(_blobs(0.1)[:3], SETTINGS, 0)["stability_seeds"] == 0


def test_a_single_cluster_has_no_separation() -> None:
    quality, _ = _measure(_blobs(0.3), Clusters(k=1, stability_seeds=2))
    assert quality.figures["silhouette"] is None
    assert quality.figures["boundary_fraction"] == 0
    assert np.isnan(quality.silhouettes).all()
    table = metrics_frame(quality)
    assert table.filter(metric="silhouette")["value"].to_list() == [None]
    assert table.filter(metric="images")["value"].to_list() == [160.0]


def test_row_order_of_the_assignments_changes_nothing() -> None:
    vectors = _blobs(0.6)
    model = fit(vectors, SETTINGS, 0)
    table = assign([f"{row:04d}" for row in range(160)], vectors, model)
    labels = table["cluster"].to_numpy()
    one = measure(vectors, labels, table, model, SETTINGS, 0)
    other = measure(vectors, labels, table.sample(fraction=1, shuffle=True, seed=1).lazy(), model, SETTINGS, 0)
    assert one.figures == other.figures
    assert one.clusters == other.clusters

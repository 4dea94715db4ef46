"""Fit and assignment against scikit-learn: python -m paris_assets_tests.benchmarks.bench_clusters [images]

One run of each on the same vectors: noisy groups of unequal size, 256-d, L2-normalised. Our time holds the fit (the
search, then exact iterations) and the assignment with both distances; scikit-learn's the fit alone, which gives labels.
"""

from __future__ import annotations

import sys
import time
from collections.abc import Callable

import numpy as np
from sklearn.cluster import KMeans, MiniBatchKMeans

from paris_assets.clusters.assignment import assign
from paris_assets.clusters.kmeans import fit
from paris_assets.config import Clusters

DIMENSIONS, GROUPS, K, RESTARTS = 256, 200, 8, 3


def vectors(n: int) -> np.ndarray:
    """(n, 256) float32 unit vectors."""
    rng = np.random.default_rng(0)
    groups = rng.choice(GROUPS, n, p=rng.dirichlet(np.ones(GROUPS)))
    found = rng.normal(size=(GROUPS, DIMENSIONS))[groups] + 1.5 * rng.normal(size=(n, DIMENSIONS))
    return (found / np.linalg.norm(found, axis=1, keepdims=True)).astype(np.float32)


def inertia(data: np.ndarray, labels: np.ndarray) -> float:
    """Sum of squared distances to the means of the labels."""
    total = 0.0
    for label in np.unique(labels):
        members = data[labels == label].astype(np.float64)
        total += float(np.square(members - members.mean(axis=0)).sum())
    return total


def main() -> None:
    n = int(sys.argv[1]) if len(sys.argv) > 1 else 50_000
    data = vectors(n)
    ids = [f"{row:032x}" for row in range(n)]

    def ours(**settings: object) -> Callable[[], np.ndarray]:
        chosen = Clusters.model_validate({"k": K, "restarts": RESTARTS, **settings})
        return lambda: assign(ids, data, fit(data, chosen, 0))["cluster"].to_numpy()

    full = KMeans(K, n_init=RESTARTS, max_iter=50, random_state=0)  # type: ignore[arg-type]
    batched = MiniBatchKMeans(K, n_init=RESTARTS, random_state=0)  # type: ignore[arg-type]
    contenders: dict[str, Callable[[], np.ndarray]] = {
        "ours, direct": ours(),
        "ours, two-stage nearest": ours(fine="auto"),
        "ours, two-stage inherit": ours(fine="auto", assignment="inherit"),
        "sklearn KMeans": lambda: full.fit_predict(data),
        "sklearn MiniBatchKMeans": lambda: batched.fit_predict(data),
    }
    print(f"{n} x {DIMENSIONS}, k = {K}, {RESTARTS} restarts")
    print(f"{'':26}{'seconds':>9}{'CPU s':>8}{'CPU ratio':>11}{'inertia':>11}{'largest':>9}{'smallest':>9}")
    first = None
    for name, run in contenders.items():
        start, used = time.perf_counter(), time.process_time()
        labels = run()
        seconds, work = time.perf_counter() - start, time.process_time() - used
        first = first or work
        shares = np.bincount(labels, minlength=K) / n
        times = f"{seconds:9.2f}{work:8.2f}{work / first:11.2f}"
        print(f"{name:26}{times}{inertia(data, labels):11.1f}{shares.max():9.1%}{shares.min():9.1%}", flush=True)


if __name__ == "__main__":
    main()

"""Maps of vectors."""

from __future__ import annotations

import numpy as np

from paris_assets.vectors.plane import positions, principal_positions


def test_neighbours_stay_neighbours_on_the_map() -> None:
    vectors = np.concatenate([np.eye(4, 12, k) * 5 for k in (0, 4)]).astype(np.float32)
    vectors = np.repeat(vectors, 15, axis=0) + 0.01 * np.random.default_rng(0).normal(size=(120, 12)).astype(np.float32)
    places = positions(vectors, 0)
    assert places.min() == 0
    assert places.max() == 1
    distances = np.linalg.norm(places[:, None] - places, axis=2) + np.eye(120) * 9
    groups = np.arange(120) // 15
    assert (groups[distances.argmin(axis=1)] == groups).mean() > 0.98
    assert [positions(vectors[:n], 0).shape for n in range(4)] == [(0, 2), (1, 2), (2, 2), (3, 2)]


def test_few_vectors_are_placed_by_what_they_vary_in_most() -> None:
    vectors = np.array([[0, 0, 0], [9, 0, 0], [0, 4, 0], [9, 4, 0.1]], np.float32)
    places = principal_positions(vectors)
    assert set(places.round(1).ravel()) == {0.0, 1.0}
    assert len({tuple(place) for place in places.round(1)}) == 4
    assert [principal_positions(vectors[:n]).shape for n in range(4)] == [(0, 2), (1, 2), (2, 2), (3, 2)]

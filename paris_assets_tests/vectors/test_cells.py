from __future__ import annotations

import numpy as np
import pytest

from paris_assets.compute import Compute
from paris_assets.vectors import cells
from paris_assets.vectors.cells import neighbourhoods
from paris_assets.vectors.pairs import ClosePairs

LEAST = 0.75


def with_copies(count: int, dimensions: int, seed: int = 0) -> np.ndarray:
    """(N, D) float16 vectors in loose groups, a quarter of them copies with a cosine of 0.75 to 1 with another."""
    random = np.random.default_rng(seed)
    centres = random.standard_normal((count // 60, dimensions))
    own = centres[random.integers(0, len(centres), count)] + 1.5 * random.standard_normal((count, dimensions))
    own /= np.linalg.norm(own, axis=1, keepdims=True)
    copied = own[random.integers(0, count * 3 // 4, count // 4)]
    aside = random.standard_normal(copied.shape)
    aside -= (aside * copied).sum(axis=1, keepdims=True) * copied
    aside /= np.linalg.norm(aside, axis=1, keepdims=True)
    cosine = random.uniform(LEAST, 1, (len(copied), 1))
    own[-len(copied) :] = cosine * copied + np.sqrt(1 - cosine**2) * aside
    return own[random.permutation(count)].astype(np.float16)


def met(vectors: np.ndarray, probes: int, count: int | None) -> set[tuple[int, ...]]:
    """Close pairs among the candidates."""
    close = ClosePairs(vectors, LEAST)
    blocks = close.among(neighbourhoods(vectors, probes, count))
    return {tuple(pair) for block in blocks for pair in block[close.close(block)].tolist()}


def test_recall_against_all_pairs() -> None:
    """Of copies with cosines evenly from 0.75 to 1, some 40 cells: the nearest alone misses a seventh of the pairs."""
    vectors = with_copies(6000, 64)
    every = {tuple(pair) for block in ClosePairs(vectors, LEAST) for pair in block.tolist()}
    assert len(every) > 1400
    recall = {probes: len(met(vectors, probes, 40)) / len(every) for probes in (1, 2, 4, 40)}
    assert recall[40] == 1
    assert recall[4] >= 0.98
    assert recall[2] >= 0.94
    assert recall[1] < recall[2] < recall[4]


def test_few_vectors_all_meet_and_those_of_zeros_meet_none() -> None:
    vectors = with_copies(300, 16)
    vectors[[3, 7]] = 0
    ((left, right),) = neighbourhoods(vectors, 2)
    assert np.array_equal(left, right)
    assert set(range(300)) - set(left.tolist()) == {3, 7}
    assert not list(neighbourhoods(np.zeros((4, 8), np.float16), 2))


def test_every_vector_lies_in_one_cell_and_is_met_by_its_probes_on_any_number_of_cores(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    vectors = with_copies(2000, 32)
    vectors[5] = 0
    monkeypatch.setattr(cells, "ALL_MEET", 100)
    monkeypatch.setattr(cells, "BLOCK", 64)
    found = list(neighbourhoods(vectors, 3))
    assert len(found) > 50, "square root of 3 x 2,000 x 64 / 32"
    assert sorted(np.concatenate([right for _, right in found]).tolist()) == [*range(5), *range(6, 2000)]
    assert np.bincount(np.concatenate([left for left, _ in found]))[[4, 6, 1999]].tolist() == [3, 3, 3]
    for left, right in found:
        assert (np.diff(left) > 0).all()
        assert set(right.tolist()) <= set(left.tolist())
    again = list(neighbourhoods(vectors, 3, compute=Compute(3)))
    assert all(
        np.array_equal(a, b) for pair, same in zip(found, again, strict=True) for a, b in zip(pair, same, strict=True)
    )

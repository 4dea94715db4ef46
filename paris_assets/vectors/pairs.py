"""All pairs of vectors with a cosine of at least a bound: none missed, most of them without comparing every dimension.

A pair's cosine is at most its product in a few dimensions plus the product of what is left of the two (Cauchy and
Schwarz). In the directions in which embeddings differ most, a tenth of the dimensions rules out nearly every pair; what
remains is computed in full. The work stays quadratic: see the benchmark ``bench_vectors`` for how far that goes.
"""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np
import torch

from paris_assets.vectors.cosine import SLACK, cosines, unit_rows

DIRECTIONS = 64
SAMPLE = 1 << 13  # vectors that the directions are found from; any choice gives the same pairs
ROWS, COLUMNS = 1 << 9, 1 << 11  # compared at a time: a block stays in the cache
CROWDED = 1 / 400  # share of a block from which on a product of whole vectors is faster than one by one
EXACT = 1 << 12  # pairs computed in full at a time


class ClosePairs:
    """Pairs among (N, D) vectors, which may lie in a file: a few at a time are read.

    Args:
        vectors: half or single precision, not normalised; rows of zeros are near to nothing.
        least: smallest cosine, above 0.
    """

    def __init__(self, vectors: np.ndarray, least: float) -> None:
        self._vectors, self._least = vectors, least
        self._bounds = _bounds(vectors, _directions(vectors))

    def __iter__(self) -> Iterator[np.ndarray]:
        """Blocks of (P, 2) int64 positions, the smaller one first, each close pair once."""
        for pairs in self.candidates():
            yield pairs[self.close(pairs)]

    def candidates(self) -> Iterator[np.ndarray]:
        """As the pairs themselves, with some that only may be close: for who needs not all of them."""
        count = len(self._vectors)
        for start in range(0, count, ROWS):
            left = np.arange(start, min(start + ROWS, count))
            for pairs in self._hopeful(left, np.arange(start, count)):
                yield pairs[pairs[:, 0] < pairs[:, 1]]

    def between(self, left: np.ndarray, right: np.ndarray) -> Iterator[np.ndarray]:
        """Blocks of (P, 2) close pairs, one of `left` and one of `right`: positions, each distinct."""
        for pairs in self._hopeful(left, right):
            yield pairs[self.close(pairs)]

    def _hopeful(self, left: np.ndarray, right: np.ndarray) -> Iterator[np.ndarray]:
        for start in range(0, len(left), ROWS):
            rows = left[start : start + ROWS]
            bounds = self._bounds[torch.from_numpy(rows)]
            for begin in range(0, len(right), COLUMNS):
                columns = right[begin : begin + COLUMNS]
                hopeful = self._enough(bounds, self._bounds[torch.from_numpy(columns)])
                found = np.count_nonzero(hopeful)
                if found > CROWDED * hopeful.size:
                    hopeful = self._enough(*(unit_rows(self._vectors[side]) for side in (rows, columns)))
                if found:
                    at, met = np.nonzero(hopeful)
                    yield np.stack([rows[at], columns[met]], axis=1)

    def _enough(self, left: torch.Tensor, right: torch.Tensor) -> np.ndarray:
        """(R, C) bool: whether the products are large enough; numpy compares several times as fast as torch."""
        return (left @ right.T).numpy() >= np.float32(self._least - SLACK)

    def close(self, pairs: np.ndarray) -> np.ndarray:
        """(P, 2) positions -> (P,) bool: whether the cosine is large enough; by the pair alone."""
        return self.cosines(pairs) >= self._least

    def cosines(self, pairs: np.ndarray) -> np.ndarray:
        """(P, 2) positions -> (P,) float64."""
        blocks = [pairs[start : start + EXACT] for start in range(0, len(pairs), EXACT)]
        found = [cosines(self._vectors[block[:, 0]], self._vectors[block[:, 1]]) for block in blocks]
        return np.concatenate([np.zeros(0), *found])


def _directions(vectors: np.ndarray) -> torch.Tensor:
    """(D, K) orthonormal: those in which a sample of the unit vectors is longest."""
    some = unit_rows(vectors[:: max(1, len(vectors) // SAMPLE)]).double()
    return torch.linalg.eigh(some.T @ some).eigenvectors[:, -DIRECTIONS:].float()


def _bounds(vectors: np.ndarray, directions: torch.Tensor) -> torch.Tensor:
    """(N, K + 1) float32 whose products are no smaller than the cosines: each unit vector in the directions, and the
    length of what is left of it, rounded up."""
    bounds = torch.empty((len(vectors), directions.shape[1] + 1))
    for start in range(0, len(vectors), SAMPLE):
        units = unit_rows(vectors[start : start + SAMPLE])
        part = units @ directions
        left_over = (units.square().sum(dim=1) - part.square().sum(dim=1)).clamp_min(0)
        rounded = torch.where(units.any(dim=1), (left_over + 1e-6).sqrt(), 0)
        bounds[start : start + SAMPLE] = torch.cat([part, rounded[:, None]], dim=1)
    return bounds

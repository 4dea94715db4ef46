"""All pairs of vectors with a cosine of at least a bound: none missed, most of them without comparing every dimension.

A pair's cosine is at most its product in a few dimensions plus the product of what is left of the two (Cauchy and
Schwarz). In the directions in which embeddings differ most, a tenth of the dimensions rules out nearly every pair; what
remains is computed in full. The work stays quadratic: see the benchmark ``bench_vectors`` for how far that goes.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from pathlib import Path
from typing import IO, NamedTuple

import numpy as np
import torch

from paris_assets.vectors.cosine import SLACK, cosines_of_pairs, unit_rows

DIRECTIONS = 64
SAMPLE = 1 << 13  # vectors that the directions are found from; any choice gives the same pairs
ROWS, COLUMNS = 1 << 9, 1 << 11  # compared at a time: a block stays in the cache
TILE = 1 << 13  # rows on either side of a part of the work
CROWDED = 1 / 400  # share of a block from which on a product of whole vectors is faster than one by one
TRUSTED = 8  # blocks after which bounds are tried again


class Tile(NamedTuple):
    """Vectors some of which meet others: a part of the work that needs nothing else.

    Attributes:
        places: (n,) ascending positions among all vectors.
        close: these n vectors alone, in memory.
        left, right: positions in `places`, each distinct on its side.
    """

    places: np.ndarray
    close: ClosePairs
    left: np.ndarray
    right: np.ndarray

    def candidates(self) -> Iterator[np.ndarray]:
        """Blocks of (P, 2) positions in `places` that may be close, the smaller one first; some more than once."""
        return self.close.among([(self.left, self.right)])


class ClosePairs:
    """Pairs among (N, D) vectors, which may lie in a file: a few at a time are read.

    Args:
        vectors: half or single precision, not normalised; rows of zeros are near to nothing.
        least: smallest cosine, above 0.
        scratch: file for the bounds, 260 bytes a vector, by its path or open to write and read; None: in memory.
        bounds: those of these vectors, where they are known.
    """

    def __init__(
        self,
        vectors: np.ndarray,
        least: float,
        scratch: Path | IO[bytes] | None = None,
        bounds: np.ndarray | None = None,
    ) -> None:
        self._vectors, self._least = vectors, least
        self._bounds = _bounds(vectors, _directions(vectors), scratch) if bounds is None else bounds

    def __iter__(self) -> Iterator[np.ndarray]:
        """Blocks of (P, 2) int64 positions, the smaller one first, each close pair once."""
        for pairs in self.candidates():
            yield pairs[self.close(pairs)]

    def candidates(self) -> Iterator[np.ndarray]:
        """As the pairs themselves, with some that only may be close: for who needs not all of them."""
        count = len(self._vectors)
        for start in range(0, count, ROWS):
            left = np.arange(start, min(start + ROWS, count))
            for pairs, _ in self._hopeful(left, np.arange(start, count)):
                yield pairs[pairs[:, 0] < pairs[:, 1]]

    def tiles(self, sides: Iterable[tuple[np.ndarray, np.ndarray]] | None = None) -> Iterator[Tile]:
        """The work of ``among`` in parts, of at most twice ``TILE`` vectors each.

        Args:
            sides: ascending positions; by default all vectors meet all.
        """
        every = np.arange(len(self._vectors))
        for left, right in [(every, every)] if sides is None else sides:
            for row in range(0, len(left), TILE):
                for column in range(row if left is right else 0, len(right), TILE):
                    yield self._tile(left[row : row + TILE], right[column : column + TILE])

    def _tile(self, left: np.ndarray, right: np.ndarray) -> Tile:
        places = np.union1d(left, right)
        close = ClosePairs(np.array(self._vectors[places]), self._least, bounds=np.array(self._bounds[places]))
        return Tile(places, close, np.searchsorted(places, left), np.searchsorted(places, right))

    def among(self, sides: Iterable[tuple[np.ndarray, np.ndarray]]) -> Iterator[np.ndarray]:
        """As ``candidates``, of the pairs of one on the left and one on the right: some of them more than once.

        Args:
            sides: positions, each distinct on its side.
        """
        for left, right in sides:
            for pairs, _ in self._hopeful(left, right):
                pairs.sort(axis=1)
                yield pairs[pairs[:, 0] < pairs[:, 1]]

    def between(self, left: np.ndarray, right: np.ndarray) -> Iterator[np.ndarray]:
        """Blocks of (P, 2) close pairs, one of `left` and one of `right`: positions, each distinct."""
        for pairs, sure in self._hopeful(left, right):
            sure[~sure] = self.close(pairs[~sure])
            yield pairs[sure]

    def _hopeful(self, left: np.ndarray, right: np.ndarray) -> Iterator[tuple[np.ndarray, np.ndarray]]:
        """Blocks of pairs that may be close, and which of them are so beyond rounding."""
        trust = 0  # blocks that are taken for crowded, as those before were
        kept: dict[int, np.ndarray] = {}
        for start in range(0, len(left), ROWS):
            rows, units = left[start : start + ROWS], None
            bounds = self._bounds[rows]
            for begin in range(0, len(right), COLUMNS):
                columns = right[begin : begin + COLUMNS]
                flat, sure = np.zeros(0, np.int64), np.False_
                if trust == 0:
                    flat = self._enough(bounds @ self._bounds[columns].T)
                    trust = TRUSTED if len(flat) > CROWDED * len(rows) * len(columns) else 0
                if trust:
                    trust -= 1
                    units = unit_rows(self._vectors[rows]).numpy() if units is None else units
                    if begin not in kept:
                        kept = kept if len(right) <= TILE else {}
                        kept[begin] = unit_rows(self._vectors[columns]).numpy()
                    products = units @ kept[begin].T
                    flat = self._enough(products)
                    sure = products.ravel()[flat] > np.float32(self._least + SLACK)
                if len(flat):
                    at, met = np.divmod(flat, len(columns))
                    yield np.stack([rows[at], columns[met]], axis=1), sure | np.zeros(len(flat), bool)

    def _enough(self, products: np.ndarray) -> np.ndarray:
        """Flat positions of products that are large enough; found flat, they are found ten times as fast."""
        return np.flatnonzero(products >= np.float32(self._least - SLACK))

    def close(self, pairs: np.ndarray) -> np.ndarray:
        """(P, 2) positions -> (P,) bool: whether the cosine is large enough; by the pair alone."""
        return self.cosines(pairs) >= self._least

    def cosines(self, pairs: np.ndarray) -> np.ndarray:
        """(P, 2) positions -> (P,) float64."""
        return cosines_of_pairs(self._vectors, self._vectors, pairs)


def _directions(vectors: np.ndarray) -> torch.Tensor:
    """(D, K) orthonormal: those in which a sample of the unit vectors is longest."""
    some = unit_rows(vectors[:: max(1, len(vectors) // SAMPLE)]).double()
    return torch.linalg.eigh(some.T @ some).eigenvectors[:, -DIRECTIONS:].float()


def _bounds(vectors: np.ndarray, directions: torch.Tensor, scratch: Path | IO[bytes] | None) -> np.ndarray:
    """(N, K + 1) float32 whose products are no smaller than the cosines: each unit vector in the directions, and the
    length of what is left of it, rounded up."""
    shape = (max(len(vectors), 1), directions.shape[1] + 1)  # a file holds something
    bounds = np.empty(shape, np.float32) if scratch is None else np.memmap(scratch, np.float32, "w+", shape=shape)
    for start in range(0, len(vectors), SAMPLE):
        units = unit_rows(vectors[start : start + SAMPLE])
        part = units @ directions
        left_over = (units.square().sum(dim=1) - part.square().sum(dim=1)).clamp_min(0)
        rounded = torch.where(units.any(dim=1), (left_over + 1e-6).sqrt(), 0)
        bounds[start : start + SAMPLE] = torch.cat([part, rounded[:, None]], dim=1).numpy()
    return bounds

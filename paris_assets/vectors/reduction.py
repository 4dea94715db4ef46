"""Vectors without their common part, and on the few directions in which they differ most (PCA).

Rows are projected in whole numbers that float64 sums without rounding, so a row's result depends on that row and the
reduction alone, whatever the batch, the number of threads or the processor. Directions are rounded to 16 binary places,
far more coarsely than processors differ in computing them.
"""

from __future__ import annotations

from typing import NamedTuple

import numpy as np
from scipy.linalg import eigh
from threadpoolctl import threadpool_limits

from paris_assets.vectors.distances import means

FITTED_ROWS = 100_000
BLOCK_ROWS = 4096
PLACES, DIGITS = 16, 22  # binary ones, of directions and of rows: products of D < 2^15 of them add up below 2^53
FLAT = 1e-10  # share of the first direction's variance below which a direction is rounding


class Reduction(NamedTuple):
    """What is done to vectors.

    Attributes:
        mean: (D,) float32, subtracted.
        components: (d, D) float32 orthonormal directions by falling variance, multiples of 2^-16; None: all D stay.
        unit: whether results are L2-normalised; one of length zero stays zero.
    """

    mean: np.ndarray
    components: np.ndarray | None
    unit: bool

    @property
    def width(self) -> int:
        """Values of a result."""
        return len(self.mean) if self.components is None else len(self.components)

    def apply(self, vectors: np.ndarray) -> np.ndarray:
        """(N, d) float32 of vectors (N, D) float32.

        Raises:
            ValueError: vectors of another width.
        """
        if vectors.ndim != 2 or vectors.shape[1] != len(self.mean):
            raise ValueError(f"vectors {vectors.shape} do not fit a reduction of {len(self.mean)} values")
        reduced = np.empty((len(vectors), self.width), np.float32)
        for start in range(0, len(vectors), BLOCK_ROWS):
            rows = slice(start, start + BLOCK_ROWS)
            centred = vectors[rows].astype(np.float64) - self.mean
            placed = centred if self.components is None else _projected(centred, self.components)
            reduced[rows] = _units(placed) if self.unit else placed
        return reduced


def centring(vectors: np.ndarray, unit: bool) -> Reduction:
    """Subtract the mean of the rows (N, D) float32."""
    return Reduction(means(vectors, np.zeros(len(vectors), np.int64), 1)[0], None, unit)


def principal(vectors: np.ndarray, dims: int, unit: bool) -> tuple[Reduction, float]:
    """Principal components of the rows, and the share of their variance that these keep.

    Args:
        vectors: (N, D) float32 in an order that says nothing of them; of more than 100,000 rows as many, evenly spaced.
        dims: most components; fewer where the rows vary in fewer directions.
        unit: see ``Reduction``.

    The sign of a direction is that which makes its largest coordinate positive.
    """
    if len(vectors) > FITTED_ROWS:
        vectors = vectors[np.linspace(0, len(vectors) - 1, FITTED_ROWS).astype(np.int64)]
    mean = centring(vectors, unit).mean
    width = vectors.shape[1]
    scatter = np.zeros((width, width))
    with threadpool_limits(1):  # sums must not depend on how many there are
        for start in range(0, len(vectors), BLOCK_ROWS):
            centred = vectors[start : start + BLOCK_ROWS].astype(np.float64) - mean
            scatter += centred.T @ centred
        wanted = max(1, min(dims, width, len(vectors) - 1))
        values, directions = eigh(scatter, subset_by_index=[width - wanted, width - 1])
    values, directions = values[::-1], directions.T[::-1]
    known = max(1, int((values > FLAT * values[0]).sum()))
    components = np.rint(directions[:known] * 2.0**PLACES) / 2.0**PLACES
    largest = np.abs(components).argmax(axis=1)
    components *= np.where(components[np.arange(known), largest] < 0, -1.0, 1.0)[:, None]
    total = float(np.trace(scatter))
    kept = float(values[:known].sum()) / total if total > 0 else 1.0
    return Reduction(mean, components.astype(np.float32), unit), min(1.0, kept)


def _projected(centred: np.ndarray, components: np.ndarray) -> np.ndarray:
    """(n, d) float64 products: exact for rows rounded to 22 binary digits below their largest value."""
    exponents = np.frexp(np.abs(centred).max(axis=1, initial=0.0, keepdims=True))[1]
    rows = np.rint(np.ldexp(centred, DIGITS - exponents))
    return np.ldexp(rows @ (components.astype(np.float64).T * 2.0**PLACES), exponents - DIGITS - PLACES)


def _units(vectors: np.ndarray) -> np.ndarray:
    lengths = np.sqrt(np.square(vectors).sum(axis=1, keepdims=True))
    return vectors / np.where(lengths > 0, lengths, 1)

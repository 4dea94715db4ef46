"""Two linear maps into one space, trained so that a text and its image meet: symmetric InfoNCE and Adam, in numpy.

Small on purpose: a training takes about a second on one core, so that subsets can be compared over several seeds.
InfoNCE: van den Oord et al. 2018; the symmetric form is that of CLIP (Radford et al. 2021). Adam: Kingma & Ba 2015.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, field

import numpy as np

from paris_assets.settings.probe import Probe

BLOCK_ROWS = 8192
DECAY, SQUARE_DECAY, EPSILON = 0.9, 0.999, 1e-8


@dataclass
class Side:
    """Vectors of one kind, centred and of deviation one over all dimensions when they are read.

    Attributes:
        stored: (n, D) float16 or float32, as they were given.
    """

    stored: np.ndarray
    mean: np.ndarray = field(init=False)
    scale: np.float32 = field(init=False)

    def __post_init__(self) -> None:
        self.mean = self.stored.mean(0, dtype=np.float64).astype(np.float32)
        blocks = (self.stored[at : at + BLOCK_ROWS] for at in range(0, len(self.stored), BLOCK_ROWS))
        squares = sum(float(np.square(block - self.mean, dtype=np.float32).sum(dtype=np.float64)) for block in blocks)
        self.scale = np.float32(1 / max(np.sqrt(squares / max(self.stored.size, 1)), 1e-12))

    def read(self, rows: np.ndarray) -> np.ndarray:
        """(m,) positions -> (m, D) float32."""
        return self.prepared(self.stored[rows])

    def prepared(self, vectors: np.ndarray) -> np.ndarray:
        """Other vectors (m, D) of the same kind, shifted and scaled as these are, float32."""
        return (vectors.astype(np.float32) - self.mean) * self.scale


@dataclass(frozen=True)
class Pairs:
    """Texts and images of the same rows."""

    text: Side
    image: Side

    @classmethod
    def of(cls, text: np.ndarray, image: np.ndarray) -> Pairs:
        """(n, Dt) and (n, Di) float16 or float32, row by row."""
        return cls(Side(text), Side(image))


@dataclass(frozen=True)
class Maps:
    """What was trained: (Dt, dim) and (Di, dim) float32."""

    text: np.ndarray
    image: np.ndarray

    def texts(self, prepared: np.ndarray) -> np.ndarray:
        """(m, Dt) -> (m, dim) of length one."""
        return _unit(prepared @ self.text)[0]

    def images(self, prepared: np.ndarray) -> np.ndarray:
        """(m, Di) -> (m, dim) of length one."""
        return _unit(prepared @ self.image)[0]


def trained(pairs: Pairs, rows: np.ndarray, settings: Probe, seed: int) -> Maps:
    """Maps trained on some rows for ``settings.samples_seen`` samples, whatever their number.

    Args:
        rows: (m,) positions, at least a batch.

    Returns:
        The same for the same arguments; start and order of rows are drawn by ``seed`` alone, so that trainings on
        other rows under one seed can be compared as a pair.

    Raises:
        ValueError: there are fewer rows than a batch.
    """
    if len(rows) < settings.batch:
        raise ValueError(f"{len(rows)} rows are fewer than a batch of {settings.batch}")
    drawn = np.random.default_rng([seed, 1])
    maps = Maps(*(_start(side, settings.dim, drawn) for side in (pairs.text, pairs.image)))
    steps = (_Adam(maps.text, settings.learning_rate), _Adam(maps.image, settings.learning_rate))
    for batch in _batches(rows, settings, drawn):
        gradients = info_nce(maps, pairs.text.read(batch), pairs.image.read(batch), settings.temperature)
        for step, gradient in zip(steps, gradients, strict=True):
            step.take(gradient)
    return maps


def info_nce(maps: Maps, text: np.ndarray, image: np.ndarray, temperature: float) -> tuple[np.ndarray, np.ndarray]:
    """Gradients of symmetric InfoNCE, the mean over a batch of both directions, by the two maps.

    Args:
        text: (B, Dt) float32.
        image: (B, Di) float32, row by row of the same pairs.
    """
    texts, text_lengths = _unit(text @ maps.text)
    images, image_lengths = _unit(image @ maps.image)
    # No cosine is above one: shifted by that bound, one exponential serves both directions, and none overflows.
    likely = np.exp((texts @ images.T - 1) / temperature)
    wrong = likely / likely.sum(1, keepdims=True) + likely / likely.sum(0, keepdims=True)
    np.einsum("bb->b", wrong)[:] -= 2
    wrong /= 2 * len(text) * temperature
    return (
        text.T @ _through_length(wrong @ images, texts, text_lengths),
        image.T @ _through_length(wrong.T @ texts, images, image_lengths),
    )


def recall_at_1(texts: np.ndarray, images: np.ndarray) -> float:
    """Share of (m, dim) texts whose own image is the nearest of all, and the reverse: the mean of both."""
    cosines, own = texts @ images.T, np.arange(len(texts))
    return float(((cosines.argmax(1) == own).mean() + (cosines.argmax(0) == own).mean()) / 2)


def _start(side: Side, dim: int, drawn: np.random.Generator) -> np.ndarray:
    size = side.stored.shape[1]
    return drawn.standard_normal((size, dim), np.float32) / np.float32(np.sqrt(size))


def _batches(rows: np.ndarray, settings: Probe, drawn: np.random.Generator) -> Iterator[np.ndarray]:
    """Whole batches: the rows in a new order each time round, without what is left over."""
    left = -(-settings.samples_seen // settings.batch)
    while left:
        order, whole = drawn.permutation(rows), len(rows) // settings.batch
        for number in range(min(left, whole)):
            yield order[number * settings.batch : (number + 1) * settings.batch]
        left -= min(left, whole)


def _unit(vectors: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Vectors of length one, and the lengths (m, 1) that they had."""
    lengths = np.maximum(np.sqrt(np.einsum("md,md->m", vectors, vectors))[:, None], np.float32(1e-12))
    return vectors / lengths, lengths


def _through_length(gradient: np.ndarray, unit: np.ndarray, lengths: np.ndarray) -> np.ndarray:
    """Gradient by vectors, from that by the same vectors at length one."""
    return (gradient - unit * np.einsum("md,md->m", gradient, unit)[:, None]) / lengths


class _Adam:
    """Moves weights, in place."""

    def __init__(self, weights: np.ndarray, rate: float) -> None:
        self._weights, self._rate, self._taken = weights, rate, 0
        self._mean, self._square = np.zeros_like(weights), np.zeros_like(weights)

    def take(self, gradient: np.ndarray) -> None:
        self._taken += 1
        self._mean += (1 - DECAY) * (gradient - self._mean)
        self._square += (1 - SQUARE_DECAY) * (np.square(gradient) - self._square)
        rate = self._rate * np.sqrt(1 - SQUARE_DECAY**self._taken) / (1 - DECAY**self._taken)
        self._weights -= (rate * self._mean / (np.sqrt(self._square) + EPSILON)).astype(np.float32)

"""The order in which samples are trained on: batches of one shape, counted over all epochs, for any rank and worker.

Of each shape there is a stream without end: a shuffle of its samples, then another, epoch after epoch. Consecutive
rows of a stream make a batch; a batch that an epoch cannot fill is filled by the next. So where a batch lies follows
from its number alone: nothing is replayed to go on in the middle, and nothing depends on how many processes read.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from functools import lru_cache
from typing import NamedTuple

import numpy as np

from paris_assets.errors import UsageError

SHUFFLES = ("samples", "blocks", "none")
REMAINDERS = ("carry", "short")


class Position(NamedTuple):
    """How many batches of an epoch all ranks together have taken."""

    epoch: int
    batches: int


class Batch(NamedTuple):
    """Samples to be read: their numbers, and the epoch that each belongs to."""

    rows: np.ndarray
    epochs: np.ndarray


@dataclass(frozen=True)
class Order:
    """How samples are ordered.

    Attributes:
        batch_size: samples in a batch.
        seed: of every shuffle and draw.
        shuffle: ``samples``: any order is as likely; ``blocks``: blocks are shuffled, and then samples within every
            ``window`` of them; ``none``: as they lie.
        window: samples that are shuffled with each other under ``blocks``.
        remainder: ``carry``: what does not fill a batch waits for the next epoch, and all ranks take the same number of
            batches; ``short``: the last batch of each shape is short, and an epoch has each sample exactly once.
    """

    batch_size: int
    seed: int = 0
    shuffle: str = "samples"
    window: int = 8192
    remainder: str = "carry"

    def __post_init__(self) -> None:
        for name, known in (("shuffle", SHUFFLES), ("remainder", REMAINDERS)):
            if getattr(self, name) not in known:
                raise UsageError(f"{name}={getattr(self, name)!r}: give one of {', '.join(known)}")
        for name in ("batch_size", "window"):
            if getattr(self, name) < 1:
                raise UsageError(f"{name}={getattr(self, name)}: give 1 or more")
        if self.seed < 0:
            raise UsageError(f"seed={self.seed}: give 0 or more")


@dataclass
class Batches:
    """All batches of some samples, by epoch and number.

    Args:
        order: see ``Order``.
        shape: (N,) of integers: samples of one number may share a batch.
        block: (N,) of integers: what is read together, for ``blocks``.
        weights: (N,) how often to draw each, in proportion; an epoch then has N draws, of a sample as many as its share
            says, rounded up or down at random. None: each once.
    """

    order: Order
    shape: np.ndarray
    block: np.ndarray
    weights: np.ndarray | None = None
    _rows: list[np.ndarray] = field(init=False)
    _draws: list[int] = field(init=False)

    def __post_init__(self) -> None:
        self._rows = [np.flatnonzero(self.shape == each) for each in np.unique(self.shape)]
        self._draws = [len(rows) for rows in self._rows]
        if self.weights is not None:
            total = float(self.weights.sum())
            if not total > 0 or not np.isfinite(total) or self.weights.min() < 0:
                raise UsageError("the weights of samples are not numbers of 0 and more with a sum above 0")
            shares = [float(self.weights[rows].sum()) / total for rows in self._rows]
            self._draws = [round(share * len(self.shape)) for share in shares]
        self._epoch = lru_cache(maxsize=2)(self._epoch_batches)
        self._shuffled = lru_cache(maxsize=2 * len(self._rows))(self._epoch_rows)

    def __len__(self) -> int:
        """Samples of an epoch."""
        return sum(self._draws)

    def count(self, epoch: int) -> int:
        """Batches of an epoch; under ``carry`` those that are full by its end."""
        return sum(stop - start for start, stop in self._cuts(epoch))

    def settled(self, position: Position) -> Position:
        """The same position with fewer batches than its epoch has: under ``carry`` those taken beyond it count in the
        next, under ``short`` nothing is taken beyond it."""
        epoch, batches = position
        if not len(self):
            raise UsageError("there is no sample to make batches of")
        while batches >= (count := self.count(epoch)):
            batches = batches - count if self.order.remainder == "carry" else 0
            epoch += 1
        return Position(epoch, batches)

    def steps(self, position: Position, rank: int, ranks: int) -> int:
        """Batches that a rank still takes in the epoch of a position; under ``carry`` the same for every rank."""
        left = self.count(position.epoch) - position.batches
        return max(0, -(-(left if self.order.remainder == "carry" else left - rank) // ranks))

    def after(self, position: Position, steps: int, ranks: int) -> Position:
        """The position when every rank has taken so many batches more."""
        return Position(position.epoch, position.batches + steps * ranks)

    def batch(self, position: Position) -> Batch:
        """The batch at a position, which may lie beyond the end of its epoch."""
        epoch, number = self.settled(position)
        kind, index = self._epoch(epoch)[number]
        size, draws = self.order.batch_size, self._draws[kind]
        if self.order.remainder == "short":
            rows = self._shuffled(kind, epoch)[index * size : (index + 1) * size]
            return Batch(rows, np.full(len(rows), epoch))
        epochs, places = np.divmod(np.arange(index * size, (index + 1) * size), draws)
        rows = np.empty(size, np.int64)
        for each in np.unique(epochs).tolist():
            chosen = epochs == each
            rows[chosen] = self._shuffled(kind, each)[places[chosen]]
        return Batch(rows, epochs)

    def _cuts(self, epoch: int) -> Iterator[tuple[int, int]]:
        """Numbers of the first batch of each shape in an epoch, and of the first after it."""
        size = self.order.batch_size
        for draws in self._draws:
            if self.order.remainder == "short":
                yield 0, -(-draws // size)
            else:
                yield epoch * draws // size, (epoch + 1) * draws // size

    def _epoch_batches(self, epoch: int) -> Sequence[tuple[int, int]]:
        """(shape, number within it) of the batches of an epoch, shuffled unless samples are not."""
        found = [(kind, index) for kind, (start, stop) in enumerate(self._cuts(epoch)) for index in range(start, stop)]
        if self.order.shuffle == "none" or len(self._rows) == 1:
            return found
        return [found[at] for at in self._generator(epoch, len(self._rows)).permutation(len(found))]

    def _epoch_rows(self, kind: int, epoch: int) -> np.ndarray:
        """Samples of one shape in the order of an epoch."""
        generator, rows = self._generator(epoch, kind), self._rows[kind]
        if self.weights is not None:
            rows = rows[_drawn(self.weights[rows], self._draws[kind], generator)]
        if self.order.shuffle == "none":
            return rows
        if self.order.shuffle == "samples":
            return generator.permutation(rows)
        blocks = self.block[rows]
        _, number = np.unique(blocks, return_inverse=True)
        places = generator.permutation(int(number.max()) + 1)[number]
        rows = rows[np.argsort(places, kind="stable")]
        size = self.order.window
        return np.concatenate([generator.permutation(rows[at : at + size]) for at in range(0, len(rows), size)])

    def _generator(self, epoch: int, purpose: int) -> np.random.Generator:
        return np.random.default_rng((self.order.seed, epoch, purpose))

    def __getstate__(self) -> dict[str, object]:
        return {name: self.__dict__[name] for name in ("order", "shape", "block", "weights")}

    def __setstate__(self, state: dict[str, object]) -> None:
        self.__dict__.update(state)
        self.__post_init__()


def _drawn(weights: np.ndarray, draws: int, generator: np.random.Generator) -> np.ndarray:
    """Numbers of samples, each as often as its share of the weights says, rounded up or down (systematic sampling)."""
    edges = np.cumsum(weights, dtype=np.float64)
    points = (np.arange(draws) + generator.random()) * (edges[-1] / max(draws, 1))
    return np.searchsorted(edges, points, side="right").clip(max=len(weights) - 1)

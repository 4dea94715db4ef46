"""Torch datasets of whole batches, divided over ranks and workers, that go on where they stopped."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from hashlib import sha256
from pathlib import Path
from typing import Any, Protocol

import numpy as np
import torch
from torch import distributed
from torch.utils.data import IterableDataset, get_worker_info

from paris_assets.errors import UsageError
from paris_assets.training.expert_batches import ExpertBatches
from paris_assets.training.order import Batches, Order, Position
from paris_assets.training.router_arrays import RouterArrays
from paris_assets.training.router_batches import RouterBatches
from paris_assets.training.samples import ExpertSamples


class Source(Protocol):
    """Samples that batches are read from.

    Attributes:
        shape, block, weights: see ``order.Batches``; (N,).
        identity: (N,) of bytes: which sample each is.
    """

    shape: np.ndarray
    block: np.ndarray
    weights: np.ndarray

    @property
    def identity(self) -> np.ndarray:
        """See above."""
        ...

    def batch(self, numbers: np.ndarray, epochs: np.ndarray) -> dict[str, Any]:
        """The batch of samples by their numbers, each in an epoch of its own."""
        ...


class BatchDataset(IterableDataset):
    """One epoch of batches per iteration, from where the last one ended.

    Each rank and each of its workers reads batches of its own; together they read every batch once. ``DataLoader``
    takes it with ``batch_size=None``; ``Loader`` does that, and knows the position while workers read ahead.

    Args:
        source: what batches are read from.
        order: of the samples.
        weighted: whether samples are drawn by their weights.
        rank, ranks: this process among those that train together; None: as torch.distributed says, else one alone.
    """

    def __init__(
        self, source: Source, order: Order, weighted: bool = False, rank: int | None = None, ranks: int | None = None
    ) -> None:
        self.source, self.order = source, order
        self.rank, self.ranks = _place(rank, ranks)
        self.batches = Batches(order, source.shape, source.block, source.weights if weighted else None)
        self.batches.settled(Position(0, 0))
        self._weighted = weighted
        self._position = Position(0, 0)
        # Where workers begin, which may outlive an epoch: shared with them, and left alone while they read.
        self._start = torch.zeros(2, dtype=torch.int64).share_memory_()

    @property
    def position(self) -> Position:
        """After the batch that was handed over last. Setting it is for between iterations."""
        return self.batches.settled(self._position)

    @position.setter
    def position(self, position: Position) -> None:
        self._position = self.batches.settled(position)
        self._start.copy_(torch.tensor(self._position))

    def handed_over(self, position: Position) -> None:
        """Keep the position while workers read."""
        self._position = position

    def __len__(self) -> int:
        """Batches that this rank still takes in the present epoch."""
        return self.batches.steps(self.position, self.rank, self.ranks)

    def __iter__(self) -> Iterator[dict[str, Any]]:
        worker = get_worker_info()
        if worker:
            start = Position(*self._start.tolist())
            steps = range(worker.id, self.batches.steps(start, self.rank, self.ranks), worker.num_workers)
            yield from (self._batch(start, step) for step in steps)
            return
        start = self.position
        for step in range(self.batches.steps(start, self.rank, self.ranks)):
            batch = self._batch(start, step)
            self.handed_over(self.batches.after(start, step + 1, self.ranks))
            yield batch
        self.position = self.ended(start)

    def _batch(self, start: Position, step: int) -> dict[str, Any]:
        place = self.batches.after(start, step, self.ranks)
        return self.source.batch(*self.batches.batch(Position(place.epoch, place.batches + self.rank)))

    def ended(self, start: Position) -> Position:
        """Where the epoch after that of ``start`` begins, for all ranks alike."""
        steps = max(self.batches.steps(start, rank, self.ranks) for rank in (0, self.rank))
        past = self.batches.after(start, steps, self.ranks)
        return self.batches.settled(Position(past.epoch, max(past.batches, self.batches.count(start.epoch))))

    def state_dict(self) -> dict[str, Any]:
        """The position, and what it is a position in; the same for all ranks."""
        return {**self.position._asdict(), **self._identity()}

    def load_state_dict(self, state: dict[str, Any]) -> None:
        """Go on from a position, with any number of workers and ranks.

        Raises:
            UsageError: it is one in other samples, or in another order of them.
        """
        for name, here in self._identity().items():
            if state.get(name) != here:
                raise UsageError(
                    f"the position is one of {name} {state.get(name)}, and here it is {here}: go on with the same "
                    "files and settings, or begin anew"
                )
        self.position = Position(state["epoch"], state["batches"])

    def _identity(self) -> dict[str, Any]:
        order, source = self.order, self.source
        decides = [source.identity, source.shape]
        decides += [source.block] if order.shuffle == "blocks" else []
        decides += [source.weights] if self._weighted else []
        return {
            "samples": sha256(b"".join(np.ascontiguousarray(each).tobytes() for each in decides)).hexdigest()[:16],
            "batch_size": order.batch_size,
            "seed": order.seed,
            "order": f"{order.shuffle} {order.window if order.shuffle == 'blocks' else ''}".strip(),
            "remainder": order.remainder,
            "weighted": self._weighted,
        }


def expert_dataset(
    where: str | Path,
    cluster: int,
    batch_size: int,
    *,
    split: str | None = "train",
    resolution: int | None = None,
    caption_dropout: float = 0.0,
    weighted: bool = False,
    seed: int = 0,
    shuffle: str = "auto",
    window: int | None = None,
    remainder: str = "carry",
    positions: int | None = None,
    fields: Sequence[str] = (),
    dtype: torch.dtype | None = None,
    format: str | None = None,
    cache: str | Path | None = None,
    on_corrupt: str = "raise",
    rank: int | None = None,
    ranks: int | None = None,
) -> BatchDataset:
    """Batches of one expert's samples.

    Args:
        where, cluster, split, resolution, format, cache, on_corrupt: see ``ExpertSamples``.
        caption_dropout, positions, fields, dtype: see ``ExpertBatches``, which also says what a batch holds.
        weighted: draw samples by the ``weight`` of their metadata, with repeats.
        batch_size, seed, remainder: see ``Order``.
        window: see ``Order``; None: 8192, or what is in memory at a time of files that are read in blocks.
        shuffle: see ``Order``; ``auto``: ``samples``, or ``blocks`` where reading one costs those around it (Parquet,
            compressed MDS).
        rank, ranks: see ``BatchDataset``.

    Raises:
        MissingFiles, CorruptSample, UsageError: as these say.
    """
    if not 0 <= caption_dropout <= 1:
        raise UsageError(f"caption_dropout={caption_dropout}: give a share from 0 to 1")
    samples = ExpertSamples(
        where, cluster, split=split, resolution=resolution, format=format, cache=cache, on_corrupt=on_corrupt
    )
    source = ExpertBatches(
        samples, caption_dropout=caption_dropout, seed=seed, positions=positions, fields=fields, dtype=dtype
    )
    held = samples.store.held
    shuffled = ("blocks" if held else "samples") if shuffle == "auto" else shuffle
    order = Order(batch_size, seed, shuffled, (held or Order.window) if window is None else window, remainder)
    return BatchDataset(source, order, weighted, rank, ranks)


def router_dataset(
    where: str | Path,
    batch_size: int,
    *,
    split: str | None = "train",
    arrays: Sequence[str] = (),
    seed: int = 0,
    shuffle: str = "samples",
    remainder: str = "carry",
    dtype: torch.dtype | None = None,
    cache: str | Path | None = None,
    rank: int | None = None,
    ranks: int | None = None,
) -> BatchDataset:
    """Batches of clean latents and their experts; noise is the trainer's to add.

    Args:
        where, split, cache: see ``RouterArrays``.
        arrays, dtype: see ``RouterBatches``, which also says what a batch holds.
        batch_size, seed, shuffle, remainder: see ``Order``.
        rank, ranks: see ``BatchDataset``.

    Raises:
        MissingFiles, UsageError: as these say.
    """
    source = RouterBatches(RouterArrays(where, split=split, cache=cache), arrays, dtype)
    return BatchDataset(source, Order(batch_size, seed, shuffle, remainder=remainder), False, rank, ranks)


def _place(rank: int | None, ranks: int | None) -> tuple[int, int]:
    if (rank is None) != (ranks is None):
        raise UsageError("give both rank and ranks, or neither")
    if rank is None or ranks is None:
        together = distributed.is_available() and distributed.is_initialized()
        rank, ranks = (distributed.get_rank(), distributed.get_world_size()) if together else (0, 1)
    if not 0 <= rank < ranks:
        raise UsageError(f"rank {rank} of {ranks}: ranks are counted from 0")
    return rank, ranks

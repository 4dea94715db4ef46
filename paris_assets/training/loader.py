"""Batches read ahead by worker processes, with the position of what was handed over."""

from __future__ import annotations

import logging
import os
from collections.abc import Iterator
from functools import partial
from typing import Any

from torch.utils.data import DataLoader

from paris_assets.training.dataset import BatchDataset
from paris_assets.training.packing import PackedDataset, unpacked

LOG = logging.getLogger(__name__)


class Loader:
    """One epoch of batches per iteration; an iteration that was left early is gone on with by the next.

    Args:
        dataset: of batches.
        workers: processes that read ahead; 0: this one reads. Which batches come, and in which order, is the same.
        options: further ones of ``DataLoader``: ``pin_memory``, ``prefetch_factor``, ``timeout`` ...

    Attributes:
        corrupt: what was said of corrupt samples that were skipped, in the order met.
    """

    def __init__(self, dataset: BatchDataset, workers: int = 0, **options: Any) -> None:
        self.dataset, self.corrupt = dataset, list[str]()
        if workers:
            # A fork server that runs already knows nothing of credentials that were set since.
            environment = partial(_environment, dict(os.environ))
            ours = {"multiprocessing_context": "forkserver", "worker_init_fn": environment, "persistent_workers": True}
            options = ours | options
        source = PackedDataset(dataset) if workers else dataset
        self._batches = DataLoader(source, None, num_workers=workers, collate_fn=_as_it_is, **options)

    def __len__(self) -> int:
        """Batches left in the present epoch."""
        return len(self.dataset)

    def __iter__(self) -> Iterator[dict[str, Any]]:
        dataset, start = self.dataset, self.dataset.position
        dataset.position = start
        batches = iter(self._batches)
        for step in range(1, dataset.batches.steps(start, dataset.rank, dataset.ranks) + 1):
            batch = unpacked(next(batches))
            for said in batch.get("corrupt", ()):
                LOG.warning("skipped: %s", said)
                self.corrupt.append(said)
            dataset.handed_over(dataset.batches.after(start, step, dataset.ranks))
            yield batch
        dataset.position = dataset.ended(start)

    def state_dict(self) -> dict[str, Any]:
        """What ``load_state_dict`` goes on from: after the batch that was handed over last."""
        return self.dataset.state_dict()

    def load_state_dict(self, state: dict[str, Any]) -> None:
        """Go on from a position; see ``BatchDataset``. Not within an iteration."""
        self.dataset.load_state_dict(state)


def _environment(values: dict[str, str], worker: int) -> None:
    os.environ.update(values)


def _as_it_is(batch: Any) -> Any:
    return batch

"""Rows in padded batches through a network, side by side; a batch that does not fit into memory is halved."""

from __future__ import annotations

import logging
from collections.abc import Callable, Iterable, Iterator, Sequence
from contextlib import closing, contextmanager
from dataclasses import dataclass, field
from functools import partial
from itertools import islice
from threading import Lock
from typing import TypeVar

import numpy as np

from paris_assets.compute import Compute
from paris_assets.errors import BrokenInvariant, UserError
from paris_assets.models.decoding import Idle, Images, prepared, row, who_prepares
from paris_assets.models.protocols import ImageNetwork
from paris_assets.models.threads import side_by_side
from paris_assets.spent import CLOCK

LOG = logging.getLogger(__name__)
T = TypeVar("T")

_OUT_OF_MEMORY = (
    "out of memory",
    "can't allocate memory",
    "not enough memory",
    "failed to allocate memory",
    "status_alloc_failed",  # of cuBLAS and cuDNN
)


class OutOfMemory(UserError, RuntimeError):
    """A network does not fit with a single row; the message names it."""


@dataclass
class BatchStats:
    """What happened while batches ran, in whichever threads.

    Attributes:
        rows: images or texts that went through, without padding.
        batches: batches run.
        halved: network -> batch size after running out of memory; bf16 results then differ from an undisturbed run.
    """

    rows: int = 0
    batches: int = 0
    halved: dict[str, int] = field(default_factory=dict)
    _lock: Lock = field(default_factory=Lock, repr=False, compare=False)

    def ran(self, rows: int) -> None:
        """Count one batch of so many rows."""
        with self._lock:
            self.rows, self.batches = self.rows + rows, self.batches + 1

    def halve(self, name: str, size: int) -> int:
        """The size to go on with after ``size`` rows did not fit: half of it, or less where another thread found so."""
        with self._lock:
            before = self.halved.get(name, size)
            self.halved[name] = min(size // 2, before)
            if self.halved[name] < before:
                LOG.warning("%s ran out of memory with batches of %d: it goes on with %d", name, size, size // 2)
            return self.halved[name]


def run_batches(
    images: Images, model: ImageNetwork, compute: Compute | None = None, stats: BatchStats | None = None
) -> Iterator[tuple[list[str], np.ndarray]]:
    """Decode, preprocess and run images through one network, in their order.

    Args:
        images: (image_id, file bytes).
        model: the network; every batch it gets has ``batch_size`` rows.
        compute: who decodes; by default the threads of this process.
        stats: counts and out-of-memory halvings are added here.

    Yields:
        image_ids of a batch and the network's results for them, padding removed.

    Raises:
        Undecodable: names the image; such images should have been filtered before.
    """
    stats, idle = stats or BatchStats(), Idle()

    def run(batch: list[tuple[str, np.ndarray]]) -> tuple[list[str], np.ndarray]:
        ids, rows = [image_id for image_id, _ in batch], np.stack([row for _, row in batch])
        with idle, naming(ids):
            return ids, run_padded(model.name, only(model.run), model.batch_size, stats, rows)[0]

    prepare = partial(row, model.min_side, model.preprocess)
    who = who_prepares([model], compute)
    with closing(prepared(prepare, images, model.batch_size, who, model.name, idle.seconds)) as rows:
        yield from side_by_side([model], run, batched(rows, model.batch_size))


@contextmanager
def naming(image_ids: Iterable[str]) -> Iterator[None]:
    """Add the images of a batch to what a network raises."""
    try:
        yield
    except Exception as error:
        error.add_note(f"in a batch of images {', '.join(image_ids)}")
        raise


def batched(rows: Iterable[T], size: int) -> Iterator[list[T]]:
    """Lists of ``size`` rows; the last may be shorter."""
    iterator = iter(rows)
    while batch := list(islice(iterator, size)):
        yield batch


def run_padded(
    name: str,
    run: Callable[..., tuple[np.ndarray, ...]],
    batch_size: int,
    stats: BatchStats,
    *columns: np.ndarray | Sequence[str],
) -> tuple[np.ndarray, ...]:
    """Run rows in batches that are all padded to one size (zeros, or empty texts); the padding's results are dropped.

    When memory runs out the size is halved, for this and all later calls with the same ``stats``, and that is recorded
    there.

    Raises:
        OutOfMemory: with a single row.
        Exception: any other failure of the network.
    """
    size = min(batch_size, stats.halved.get(name, batch_size))
    rows = len(columns[0])
    results: list[tuple[np.ndarray, ...]] = []
    start = 0
    while start < rows:
        parts = [column[start : start + size] for column in columns]
        result = _if_it_fits(name, run, size, parts)
        if result is None:
            # Only here are the failed call's frames gone, and with them the tensors that they held.
            _free_memory()
            size = stats.halve(name, size)
            continue
        count = len(parts[0])
        results.append(tuple(array[:count] for array in result))
        stats.ran(count)
        start += count
    return results[0] if len(results) == 1 else tuple(np.concatenate(arrays) for arrays in zip(*results, strict=True))


def _if_it_fits(
    name: str, run: Callable[..., tuple[np.ndarray, ...]], size: int, parts: Sequence[np.ndarray | Sequence[str]]
) -> tuple[np.ndarray, ...] | None:
    """Results of one padded batch; None when memory runs out."""
    try:
        with CLOCK.on(name, len(parts[0])):
            return run(*(_pad(part, size) for part in parts))
    except Exception as error:
        if not _out_of_memory(error):
            raise
        if size == 1:
            raise OutOfMemory(
                f"{name} runs out of memory with a batch of one ({_first_line(error)}): use a device with more memory, "
                "or end what else uses it"
            ) from None
        return None


def _first_line(error: BaseException) -> str:
    said = str(error).strip() or type(error).__name__
    return said.splitlines()[0].partition(". ")[0]


def _free_memory() -> None:
    # Processes that load no network know this module, too.
    from paris_assets.models.device import free_memory

    free_memory()


def only(run: Callable[..., np.ndarray]) -> Callable[..., tuple[np.ndarray]]:
    """``run``, whose one result becomes the only one of several, as ``run_padded`` has them."""
    return lambda batch: (run(batch),)


def _pad(rows: np.ndarray | Sequence[str], size: int) -> np.ndarray | list[str]:
    missing = size - len(rows)
    if isinstance(rows, np.ndarray):
        return np.concatenate([rows, np.zeros((missing, *rows.shape[1:]), rows.dtype)]) if missing else rows
    return [*rows, *[""] * missing]


def _out_of_memory(error: BaseException) -> bool:
    # torch raises RuntimeErrors, onnxruntime Exceptions of its own; the message is what they share.
    return isinstance(error, MemoryError) or any(text in str(error).lower() for text in _OUT_OF_MEMORY)


def float16(values: np.ndarray, image_ids: Sequence[str], what: str) -> np.ndarray:
    """(N, ...) float32 -> float16.

    Raises:
        BrokenInvariant: values that float16 cannot hold (nan, infinite, above 65,504), naming the first image.
    """
    with np.errstate(over="ignore"):
        narrow = values.astype(np.float16)
    unfit = ~np.isfinite(narrow).reshape(len(narrow), -1).all(1)
    if unfit.any():
        image_id = image_ids[int(unfit.argmax())]
        message = f"{what}: {unfit.sum()} images have values that are not finite in float16, first {image_id}"
        raise BrokenInvariant(message)
    return narrow

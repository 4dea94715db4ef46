"""Crops of many shapes to batches of one shape, in bounded memory."""

from __future__ import annotations

from collections import deque
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass, field
from typing import NamedTuple

import numpy as np

from paris_assets.latents.crops import Crops
from paris_assets.latents.places import Placed

HELD_BYTES = 256 << 20
"""Crops that wait for company, and what was made of later images meanwhile."""


@dataclass(eq=False)
class Row:
    """An image on its way: ``latents`` by resolution fill up as batches are run."""

    image_id: str
    placed: Placed
    latents: dict[int, np.ndarray] = field(default_factory=dict)

    @property
    def done(self) -> bool:
        """Whether every size has its latent."""
        return len(self.latents) == len(self.placed.places)


class Batch(NamedTuple):
    """Crops of one shape and size, and the rows that they are of."""

    resolution: int
    rows: list[Row]
    pixels: list[np.ndarray]


class _Waiting(NamedTuple):
    """A crop without company, and how many bytes had come before its image."""

    row: Row
    pixels: np.ndarray
    since: int


def same_shape(
    images: Iterable[tuple[str, Crops]],
    rows: deque[Row],
    batch_size: Callable[[int], int],
    row_bytes: int,
    held_bytes: int = HELD_BYTES,
) -> Iterator[Batch]:
    """Batches of crops of one shape and size, full ones as they come about.

    Where too much waits, the batch that the oldest waiting image needs goes off as it is; at the end all that are left.

    Args:
        images: (image_id, crops), in their order.
        rows: every image is added here before a batch holds it.
        batch_size: resolution -> crops of a full batch.
        row_bytes: of what is kept of one image until all images before it are done.
        held_bytes: how much may wait.
    """
    queues: dict[tuple[int, tuple[int, ...]], deque[_Waiting]] = {}
    come = waiting = 0
    for image_id, (placed, pixels) in images:
        row = Row(image_id, placed)
        rows.append(row)
        for resolution, crop in pixels.items():
            queue = queues.setdefault((resolution, crop.shape), deque())
            # A view, as those of rows that have come together from another process, would hold what it is of.
            queue.append(_Waiting(row, crop if crop.flags.owndata else crop.copy(), come))
            waiting += crop.nbytes
            if len(queue) == batch_size(resolution):
                waiting -= len(queue) * crop.nbytes
                yield _taken(queues, (resolution, crop.shape))
        come += row_bytes
        while queues and waiting + come - _oldest(queues)[1][0].since > held_bytes:
            key, queue = _oldest(queues)
            waiting -= sum(one.pixels.nbytes for one in queue)
            yield _taken(queues, key)
    while queues:
        yield _taken(queues, _oldest(queues)[0])


def _oldest(queues: dict[tuple[int, tuple[int, ...]], deque[_Waiting]]) -> tuple:
    return min(queues.items(), key=lambda item: item[1][0].since)


def _taken(queues: dict[tuple[int, tuple[int, ...]], deque[_Waiting]], key: tuple[int, tuple[int, ...]]) -> Batch:
    queue = queues.pop(key)
    return Batch(key[0], [one.row for one in queue], [one.pixels for one in queue])

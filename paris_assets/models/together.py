"""Several networks on the same images, which are decoded once."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from contextlib import closing
from functools import partial
from typing import NamedTuple

import numpy as np

from paris_assets.compute import Compute
from paris_assets.images.decode import Undecodable
from paris_assets.models.batches import BatchStats, batched, naming, only, run_padded
from paris_assets.models.decoding import Idle, Images, decode, prepared, who_prepares
from paris_assets.models.protocols import ImageNetwork
from paris_assets.models.threads import side_by_side


class Together(NamedTuple):
    """A batch of images through several networks.

    Attributes:
        ids: those that could be decoded.
        results: column -> one result for each of them.
        undecodable: image_id -> why it could not be decoded.
    """

    ids: list[str]
    results: dict[str, np.ndarray]
    undecodable: dict[str, str]


class _Step(NamedTuple):
    """How an image becomes a network's row."""

    min_side: int | None
    preprocess: Callable[[np.ndarray], np.ndarray]


def run_together(
    images: Images,
    models: Mapping[str, ImageNetwork],
    compute: Compute | None = None,
    stats: BatchStats | None = None,
) -> Iterator[Together]:
    """Run images through several networks, in their order, each with batches of its own size.

    A file is decoded once for all networks that ask for the same ``min_side``: a result must not depend on which others
    the profile names. An image that cannot be decoded is in no network's batch.

    Args:
        images: (image_id, file bytes).
        models: column -> network; at least one.
        compute: who decodes; by default the threads of this process.
        stats: counts and out-of-memory halvings are added here.
    """
    counted, idle = stats or BatchStats(), Idle()

    def run(batch: list[tuple[str, dict[str, np.ndarray] | Undecodable]]) -> Together:
        good = [(image_id, rows) for image_id, rows in batch if not isinstance(rows, Undecodable)]
        ids, results = [image_id for image_id, _ in good], dict[str, np.ndarray]()
        for column, model in models.items() if good else ():
            rows = np.stack([prepared[column] for _, prepared in good])
            with idle, naming(ids):
                results[column] = run_padded(model.name, only(model.run), model.batch_size, counted, rows)[0]
        failed = {image_id: str(error) for image_id, error in batch if isinstance(error, Undecodable)}
        return Together(ids, results, failed)

    window = max(model.batch_size for model in models.values())
    steps = {column: _Step(model.min_side, model.preprocess) for column, model in models.items()}
    who, names = who_prepares(models.values(), compute), ", ".join(models)
    with closing(prepared(partial(_rows, steps), images, window, who, names, idle.seconds)) as rows:
        yield from side_by_side(models.values(), run, batched(rows, window))


def _rows(steps: Mapping[str, _Step], image_id: str, data: bytes) -> tuple[str, dict[str, np.ndarray] | Undecodable]:
    try:
        pixels = {side: decode(image_id, data, side) for side in {step.min_side for step in steps.values()}}
    except Undecodable as error:
        return image_id, error
    return image_id, {column: step.preprocess(pixels[step.min_side]) for column, step in steps.items()}

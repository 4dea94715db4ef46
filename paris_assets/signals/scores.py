"""Scores of pretrained networks: NSFW and others that the profile names."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence

import numpy as np
import polars as pl

from paris_assets.errors import BrokenInvariant
from paris_assets.images.decode import Undecodable
from paris_assets.models.batches import BatchStats, Images
from paris_assets.models.protocols import ImageScorer
from paris_assets.models.together import run_together


def score(
    images: Images, models: Mapping[str, ImageScorer], threads: int = 0, stats: BatchStats | None = None
) -> Iterator[pl.DataFrame]:
    """Scores of every image by every scorer.

    A scorer's value does not depend on which others the profile names (see ``together.run_together``).

    Args:
        images: (image_id, file bytes), sorted by image_id.
        models: column -> scorer.
        threads: decode threads; 0: one per core.
        stats: counts and out-of-memory halvings are added here.

    Yields:
        image_id and one Float32 column per scorer; at least one frame, which may be empty.

    Raises:
        Undecodable: names the image.
        ValueError: a scorer gives no finite value; names column and image.
    """
    yield pl.DataFrame(schema={"image_id": pl.String, **dict.fromkeys(models, pl.Float32)})
    if not models:
        return
    for batch in run_together(images, models, threads, stats):
        for reason in batch.undecodable.values():
            raise Undecodable(reason)
        for column, values in batch.results.items():
            require_finite(values, column, models[column].name, batch.ids)
        columns = {column: values.astype(np.float32) for column, values in batch.results.items()}
        yield pl.DataFrame({"image_id": batch.ids, **columns})


def require_finite(values: np.ndarray, column: str, what: str, ids: Sequence[str]) -> None:
    """Refuse scores that are no numbers.

    Raises:
        BrokenInvariant: names what gave it, the column and the image.
    """
    unfit = ~np.isfinite(values)
    if unfit.any():
        raise BrokenInvariant(f"{what} gives {column} = {values[unfit][0]} for image {ids[int(unfit.argmax())]}")

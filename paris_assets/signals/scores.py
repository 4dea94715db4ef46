"""Scores of pretrained networks: NSFW and others that the profile names."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from itertools import compress

import numpy as np
import polars as pl

from paris_assets.compute import Compute
from paris_assets.errors import BrokenInvariant
from paris_assets.images.decode import Undecodable
from paris_assets.models.batches import BatchStats
from paris_assets.models.decoding import Images
from paris_assets.models.protocols import ImageScorer
from paris_assets.models.score_columns import part_columns
from paris_assets.models.together import run_together


def score(
    images: Images,
    models: Mapping[str, ImageScorer],
    compute: Compute | None = None,
    stats: BatchStats | None = None,
) -> Iterator[pl.DataFrame]:
    """Scores of every image by every scorer.

    A scorer's value does not depend on which others the profile names (see ``together.run_together``).

    Args:
        images: (image_id, file bytes), sorted by image_id.
        models: column -> scorer.
        compute: who decodes; by default the threads of this process.
        stats: counts and out-of-memory halvings are added here.

    Yields:
        image_id and one Float32 column per scorer, or per part that one tells; at least one frame, which may be empty.

    Raises:
        Undecodable: names the image.
        ValueError: a scorer gives no finite value; names column and image.
    """
    names = {column: part_columns(column, getattr(model, "parts", ())) for column, model in models.items()}
    every = [name for column in models for name in names[column]]
    yield pl.DataFrame(schema={"image_id": pl.String, **dict.fromkeys(every, pl.Float32)})
    if not models:
        return
    for batch in run_together(images, models, compute, stats):
        for reason in batch.undecodable.values():
            raise Undecodable(reason)
        told = [
            _column(name, values, models[column], batch.ids)
            for column in models
            for name, values in zip(names[column], batch.results[column].reshape(len(batch.ids), -1).T, strict=True)
        ]
        yield pl.DataFrame([pl.Series("image_id", batch.ids, pl.String), *told])


def _column(name: str, values: np.ndarray, model: ImageScorer, ids: Sequence[str]) -> pl.Series:
    """A part of a scorer's results, finite or, where it tells the unknown, null."""
    known = ~np.isnan(values) if getattr(model, "tells_unknown", False) else np.full(len(values), True)
    require_finite(values[known], name, model.name, list(compress(ids, known)))
    return pl.Series(name, values.astype(np.float32)).fill_nan(None)


def require_finite(values: np.ndarray, column: str, what: str, ids: Sequence[str]) -> None:
    """Refuse scores that are no numbers.

    Raises:
        BrokenInvariant: names what gave it, the column and the image.
    """
    unfit = ~np.isfinite(values)
    if unfit.any():
        raise BrokenInvariant(f"{what} gives {column} = {values[unfit][0]} for image {ids[int(unfit.argmax())]}")

"""Scores of pretrained networks: NSFW and others that the profile names."""

from __future__ import annotations

from collections.abc import Iterator, Mapping

import numpy as np
import polars as pl

from paris_assets.errors import BrokenInvariant
from paris_assets.models.batches import BatchStats, Images, decode, naming, prepared_batches, run_padded
from paris_assets.models.protocols import ImageScorer
from paris_assets.models.threads import side_by_side


def score(
    images: Images, models: Mapping[str, ImageScorer], threads: int = 0, stats: BatchStats | None = None
) -> Iterator[pl.DataFrame]:
    """Scores of every image by every scorer.

    A file is decoded once for all scorers that ask for the same ``min_side``: a scorer's value must not depend on which
    others the profile names.

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
    stats = stats or BatchStats()
    sides = {model.min_side for model in models.values()}

    def prepare(image_id: str, data: bytes) -> tuple[str, dict[str, np.ndarray]]:
        pixels = {side: decode(image_id, data, side) for side in sides}
        return image_id, {column: model.preprocess(pixels[model.min_side]) for column, model in models.items()}

    def run(batch: list[tuple[str, dict[str, np.ndarray]]]) -> pl.DataFrame:
        ids = [image_id for image_id, _ in batch]
        scores = {
            column: _run(model, column, ids, np.stack([rows[column] for _, rows in batch]), stats)
            for column, model in models.items()
        }
        return pl.DataFrame({"image_id": ids, **scores})

    yield pl.DataFrame(schema={"image_id": pl.String, **dict.fromkeys(models, pl.Float32)})
    if models:
        window = max(model.batch_size for model in models.values())
        yield from side_by_side(models.values(), run, prepared_batches(prepare, images, window, threads))


def _run(model: ImageScorer, column: str, ids: list[str], rows: np.ndarray, stats: BatchStats) -> np.ndarray:
    with naming(ids):
        (values,) = run_padded(model.name, lambda batch: (model.run(batch),), model.batch_size, stats, rows)
    unfit = ~np.isfinite(values)
    if unfit.any():
        raise BrokenInvariant(f"{model.name} gives {column} = {values[unfit][0]} for image {ids[int(unfit.argmax())]}")
    return values.astype(np.float32)

"""Image embeddings of a shard, where earlier rows of the same embedder may be kept."""

from __future__ import annotations

from collections.abc import Iterator

import polars as pl

from paris_assets.clusters.embedding import embed
from paris_assets.config import Model
from paris_assets.images.reader import ShardImages
from paris_assets.models.batches import BatchStats
from paris_assets.models.registry import Models
from paris_assets.storage.output import Output
from paris_assets.storage.reuse import reuse_rows


def embedded(curated: pl.LazyFrame, images: ShardImages, settings: Model, models: Models) -> Output:
    """Rows of `image_embeddings` for the shard's `curated_images`."""
    wanted = curated.select("image_id").sort("image_id").collect()
    output, stats = Output(rows_in=wanted.height), BatchStats()

    def compute(missing: pl.DataFrame) -> Iterator[pl.DataFrame]:
        embedder = models.load(settings)
        yield from embed(images.read(missing), embedder, stats=stats)
        output.facts["models"] = {"embedder": embedder.identity()}
        output.note_halved(stats.halved)

    output.rows = lambda previous: reuse_rows(wanted, previous, compute)
    return output

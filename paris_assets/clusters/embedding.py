"""Image embeddings: what the experts are clustered on."""

from __future__ import annotations

from collections.abc import Iterator

import polars as pl

from paris_assets.clusters.schema import IMAGE_EMBEDDINGS
from paris_assets.compute import Compute
from paris_assets.models.batches import BatchStats, float16, run_batches
from paris_assets.models.decoding import Images
from paris_assets.models.protocols import ImageEmbedder


def embed(
    images: Images, embedder: ImageEmbedder, compute: Compute | None = None, stats: BatchStats | None = None
) -> Iterator[pl.DataFrame]:
    """One vector per image, as the network gives it (not normalised).

    Args:
        images: (image_id, file bytes), sorted by image_id.
        embedder: the network.
        compute: who decodes; by default the threads of this process.
        stats: counts and out-of-memory halvings are added here.

    Yields:
        image_id, embedding Array(Float16, dim); at least one frame, which may be empty.

    Raises:
        Undecodable: names the image.
        ValueError: a value that is not finite in float16; names the image.
    """
    yield pl.DataFrame(schema=IMAGE_EMBEDDINGS.polars(embedding=(embedder.dim,)))
    for ids, vectors in run_batches(images, embedder, compute, stats):
        yield pl.DataFrame({"image_id": ids, "embedding": pl.Series(float16(vectors, ids, embedder.name))})

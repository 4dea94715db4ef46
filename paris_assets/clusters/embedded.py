"""Image embeddings of a shard, where earlier rows of the same embedder may be kept."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any

import polars as pl

from paris_assets.clusters.embedding import embed
from paris_assets.compute import Compute
from paris_assets.config import Model
from paris_assets.errors import BrokenInvariant
from paris_assets.images.reader import ShardImages
from paris_assets.models.batches import BatchStats
from paris_assets.models.registry import Models
from paris_assets.storage.output import Output
from paris_assets.storage.reuse import reuse_rows


def embedded(
    curated: pl.LazyFrame, images: ShardImages, settings: Model, models: Models, compute: Compute | None = None
) -> Output:
    """Rows of `image_embeddings` for the shard's `curated_images`.

    Args:
        compute: who decodes; by default the threads of this process.
    """
    wanted = curated.select("image_id").sort("image_id").collect()
    output, stats = Output(rows_in=wanted.height), BatchStats()

    def made(missing: pl.DataFrame) -> Iterator[pl.DataFrame]:
        embedder = models.load(settings)
        yield from embed(images.read(missing), embedder, compute, stats)
        output.facts["models"] = {"embedder": embedder.identity()}
        output.note_halved(stats.halved)

    output.rows = lambda previous: reuse_rows(wanted, previous, made)
    return output


def taken_over(curated: pl.LazyFrame, vectors: pl.LazyFrame, encoder: str | None, facts: Mapping[str, Any]) -> Output:
    """Rows of `image_embeddings` from those of an encoder that ran before curation.

    Args:
        vectors: the shard's `picture_embeddings`.
        encoder: its column.
        facts: of its commit record, which says what really ran.

    Raises:
        BrokenInvariant: a curated image without vector; names it and the reason.
    """
    wanted = curated.select("image_id").sort("image_id")
    found = vectors.select("image_id", pl.col(str(encoder)).alias("embedding"), "reason")
    rows = wanted.join(found, on="image_id", how="left", maintain_order="left").collect()
    lacking = rows.filter(pl.col("embedding").is_null())
    if lacking.height:
        image_id, _, reason = lacking.row(0)
        raise BrokenInvariant(
            f"{lacking.height} curated images have no vector of {encoder}, first {image_id} ({reason}): a rule on a "
            "score of that encoder rejects such images"
        )
    ran = {"embedder": identity} if (identity := facts.get("models", {}).get(f"picture_embeddings.{encoder}")) else {}
    halved = {"halved_batches": facts["halved_batches"]} if "halved_batches" in facts else {}
    return Output(rows=[rows.drop("reason")], rows_in=rows.height, facts={"models": ran, **halved})

"""Vectors of images by every encoder of the profile: what heads score, before curation."""

from __future__ import annotations

from collections.abc import Iterator, Mapping

import numpy as np
import polars as pl

from paris_assets.compute import Compute
from paris_assets.models.batches import BatchStats
from paris_assets.models.decoding import Images
from paris_assets.models.heads import unit
from paris_assets.models.protocols import ImageEmbedder
from paris_assets.models.together import Together, run_together

REASON = "reason"
_NOT_FINITE = "a value is not finite in float16"
_ZERO = "the vector is zero, which has no direction"


def embed_pictures(
    images: Images,
    encoders: Mapping[str, ImageEmbedder],
    compute: Compute | None = None,
    stats: BatchStats | None = None,
    of_length_one: bool = False,
) -> Iterator[pl.DataFrame]:
    """One vector per image and encoder, as the network gives it.

    An image that cannot be embedded has null and a reason, and changes no bit of others.

    Args:
        images: (image_id, file bytes), sorted by image_id.
        encoders: column -> encoder; at least one.
        compute: who decodes; by default the threads of this process.
        stats: counts and out-of-memory halvings are added here.
        of_length_one: whether each vector is given length one in float32, before it is rounded to float16.

    Yields:
        image_id, one Array(Float16, dim) per encoder, and reason, null where every encoder gave a vector; at least one
        frame, which may be empty.
    """
    yield _empty(encoders)
    for batch in run_together(images, encoders, compute, stats):
        yield _rows(batch, encoders, of_length_one)


def _empty(encoders: Mapping[str, ImageEmbedder]) -> pl.DataFrame:
    vectors = {column: pl.Array(pl.Float16, encoder.dim) for column, encoder in encoders.items()}
    return pl.DataFrame(schema={"image_id": pl.String, **vectors, REASON: pl.String})


def _rows(batch: Together, encoders: Mapping[str, ImageEmbedder], of_length_one: bool) -> pl.DataFrame:
    """The rows of a batch, sorted by image_id; of what cannot be decoded those without vectors."""
    undecodable = pl.DataFrame(
        {"image_id": list(batch.undecodable), REASON: list(batch.undecodable.values())},
        schema={"image_id": pl.String, REASON: pl.String},
    )
    checked = [_checked(column, batch.results[column], of_length_one) for column in encoders if batch.ids]
    embedded = pl.DataFrame([pl.Series("image_id", batch.ids, pl.String), *(vectors for vectors, _ in checked)])
    said = [reasons for _, reasons in checked]
    reason = pl.concat_str(said, separator="; ", ignore_nulls=True).replace("", None) if said else pl.lit(None)
    embedded = embedded.with_columns(reason.cast(pl.String).alias(REASON))
    return pl.concat([_empty(encoders), embedded, undecodable], how="diagonal").sort("image_id")


def _checked(column: str, vectors: np.ndarray, of_length_one: bool) -> tuple[pl.Series, pl.Series]:
    """(N, dim) float32 -> float16, null where a row is no vector, and why it is none."""
    with np.errstate(over="ignore"):
        narrow = (unit(vectors) if of_length_one else vectors).astype(np.float16)
    finite, zero = np.isfinite(narrow).all(axis=1), ~(vectors if of_length_one else narrow).any(axis=1)
    unfit = np.where(zero, f"{column}: {_ZERO}", np.where(finite, "", f"{column}: {_NOT_FINITE}"))
    reasons = pl.Series(unfit, dtype=pl.String).replace("", None)
    return pl.select(pl.when(reasons.is_null()).then(pl.Series(narrow)).alias(column)).to_series(), reasons

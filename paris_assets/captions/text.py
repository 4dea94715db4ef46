"""Text embeddings of the captions."""

from __future__ import annotations

from collections.abc import Iterator
from functools import partial

import numpy as np
import polars as pl

from paris_assets.captions.schema import TEXT_EMBEDDINGS
from paris_assets.models.batches import BatchStats, float16, naming, run_padded
from paris_assets.models.protocols import TextEncoder
from paris_assets.models.threads import side_by_side


def encode(
    rows: pl.DataFrame, encoder: TextEncoder, tokens: int, stats: BatchStats | None = None
) -> Iterator[pl.DataFrame]:
    """Encode captions with fixed padding.

    Args:
        rows: image_id and caption, sorted by image_id; an empty one is encoded as the empty prompt.
        encoder: the network.
        tokens: every caption is cut or padded to this many tokens, special tokens included.
        stats: counts and out-of-memory halvings are added here.

    Yields:
        image_id, caption, embedding Array(Float16, (tokens, dim)), pooled Array(Float16, pooled_dim), tokens Int32
        (true count: the mask is position < tokens); at least one frame, which may be empty.

    Raises:
        BrokenInvariant: values that are not finite in float16; names the image.
    """
    stats = stats or BatchStats()
    columns = TEXT_EMBEDDINGS.polars(embedding=(tokens, encoder.dim), pooled=(encoder.pooled_dim,))
    yield pl.DataFrame(schema=columns)

    def run(part: pl.DataFrame) -> pl.DataFrame:
        ids, texts = part["image_id"].to_list(), part["caption"].to_list()
        with naming(ids):
            embedding, pooled, counts = run_padded(
                encoder.name, partial(encoder.encode, tokens=tokens), encoder.batch_size, stats, texts
            )
        return part.with_columns(
            embedding=pl.Series(float16(embedding, ids, encoder.name)),
            pooled=pl.Series(float16(pooled, ids, encoder.name)),
            tokens=pl.Series(counts.astype(np.int32)),
        )

    parts = rows.select("image_id", "caption").iter_slices(encoder.batch_size)
    yield from side_by_side([encoder], run, parts)

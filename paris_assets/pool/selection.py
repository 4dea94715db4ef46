"""The rows of a shard that are fetched."""

from __future__ import annotations

import polars as pl

from paris_assets.pool.schema import POOL_SELECTION
from paris_assets.storage.output import Output


def selected(pool_scores: pl.LazyFrame) -> Output:
    """`pool_selection` of one shard.

    Args:
        pool_scores: the shard's part of it.
    """
    rows = pool_scores.select(list(POOL_SELECTION.keys())).sort("source_row").collect()
    counts = rows.filter(~pl.col("selected"))["reason"].value_counts().sort("reason")
    facts = {"kept": int(rows["selected"].sum())}
    return Output([rows], rows_in=rows.height, rejects=dict(counts.iter_rows()), facts=facts, rows_of_models=False)

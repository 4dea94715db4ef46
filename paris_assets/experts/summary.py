"""What each expert has to learn from, and the empty prompt that all of them need."""

from __future__ import annotations

import io
from collections.abc import Iterator

import numpy as np
import polars as pl

from paris_assets.config import Text
from paris_assets.experts.schema import EXPERT_SUMMARY
from paris_assets.models.batches import BatchStats
from paris_assets.models.prompt import empty_prompt
from paris_assets.models.registry import Models
from paris_assets.storage.output import Output

EMPTY_PROMPT = "expert_shards/empty_prompt.npy"


def summarised(cluster_model: pl.LazyFrame, tars: pl.LazyFrame, samples: pl.LazyFrame) -> pl.DataFrame:
    """Rows of `expert_summary`, one per cluster, those without samples too.

    Args:
        cluster_model: names the clusters.
        tars: `expert_shards` of all shards.
        samples: `cluster`, `split`, `caption`, `captioner`, `distance` of every published image.
    """
    clusters = cluster_model.filter(level="coarse").select(pl.col("index").alias("cluster"))
    of_tars = tars.group_by("cluster").agg(pl.len().cast(pl.Int64).alias("files"), pl.sum("samples", "size_bytes"))
    of_samples = samples.group_by("cluster").agg(
        (pl.col("split") == 1).sum().cast(pl.Int64).alias("validation"),
        pl.col("caption").str.count_matches(r"\S+").mean().alias("caption_words"),
        (pl.col("captioner") == "source_text").mean().alias("source_captions"),
        pl.col("distance").cast(pl.Float64).sort().mean().alias("mean_distance"),
    )
    rows = clusters.join(of_tars, on="cluster", how="left").join(of_samples, on="cluster", how="left")
    counted = rows.with_columns(pl.col("files", "samples", "size_bytes", "validation").fill_null(0))
    share = pl.col("samples") / pl.max_horizontal(pl.col("samples").sum(), 1)
    return counted.with_columns(share.alias("share")).select(EXPERT_SUMMARY.select()).sort("cluster").collect()


def with_empty_prompt(rows: pl.DataFrame, models: Models, settings: Text) -> Output:
    """The summary, and beside it the embedding of the empty prompt."""
    output = Output(rows_in=int(rows["files"].sum()), facts={"samples": int(rows["samples"].sum())})

    def write() -> Iterator[pl.DataFrame]:
        encoder, stats, buffer = models.load(settings.encoder), BatchStats(), io.BytesIO()
        np.save(buffer, empty_prompt(encoder, settings.tokens, stats), allow_pickle=False)
        output.note_halved(stats.halved)
        output.add_file(EMPTY_PROMPT, buffer.getvalue())
        yield rows

    output.rows = write()
    return output

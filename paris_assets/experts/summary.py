"""What each expert has to learn from, and the empty prompt that all of them need."""

from __future__ import annotations

import io
from collections.abc import Iterator

import numpy as np
import polars as pl

from paris_assets.config import Concepts, Text
from paris_assets.experts.coding import CODEC, Codecs, Coder, codec_bytes
from paris_assets.experts.schema import EXPERT_SUMMARY, WEIGHT_COLUMNS
from paris_assets.models.batches import BatchStats
from paris_assets.models.prompt import empty_prompt
from paris_assets.models.registry import Models
from paris_assets.storage.output import Output
from paris_assets.storage.shards import Shards

EMPTY_PROMPT = "expert_shards/empty_prompt.npy"
SIDES = ("train", "validation")
"""Name of each value of ``split``."""


DIGITS = 9


def of_files(tars: Shards | None, mds: Shards | None) -> tuple[pl.LazyFrame, dict[str, bytes]]:
    """The files that the summary counts (tars; MDS files where there are none), and the lists of tars."""
    if tars is not None:
        return tars.frame(), file_lists(tars.frame().collect())
    assert mds is not None  # a profile has at least one format
    return mds.frame(), {}


def summarised(
    cluster_model: pl.LazyFrame, files: pl.LazyFrame, samples: pl.LazyFrame, bounds: Concepts
) -> pl.DataFrame:
    """Rows of `expert_summary`, one per cluster, those without samples too.

    Args:
        cluster_model: names the clusters.
        files: `expert_shards` or `expert_mds` of all shards.
        samples: `cluster`, `split`, `group_id`, `caption`, `captioner`, `distance` of every published image, and
            `weight` under a profile with sampling weights.
        bounds: ``min_weight`` and ``max_weight``.
    """
    clusters = cluster_model.filter(level="coarse").select(pl.col("index").alias("cluster"))
    of_files = files.group_by("cluster").agg(pl.len().cast(pl.Int64).alias("files"), pl.sum("samples", "size_bytes"))
    weighted = "weight" in samples.collect_schema()
    of_samples = samples.group_by("cluster").agg(
        *(_weights(bounds) if weighted else ()),
        (pl.col("split") == 0).sum().cast(pl.Int64).alias("train"),
        (pl.col("split") == 1).sum().cast(pl.Int64).alias("validation"),
        pl.col("group_id").n_unique().cast(pl.Int64).alias("groups"),
        pl.col("group_id").filter(pl.col("split") == 1).n_unique().cast(pl.Int64).alias("held_out_groups"),
        pl.col("caption").str.count_matches(r"\S+").mean().alias("caption_words"),
        (pl.col("captioner") == "source_text").mean().alias("source_captions"),
        pl.col("distance").cast(pl.Float64).sort().mean().alias("mean_distance"),
    )
    rows = clusters.join(of_files, on="cluster", how="left").join(of_samples, on="cluster", how="left")
    counts = ("files", "samples", "size_bytes", "train", "validation", "groups", "held_out_groups")
    counted = rows.with_columns(pl.col(counts).fill_null(0))
    if weighted:
        counted = counted.with_columns(pl.col("effective_samples").fill_null(0.0))
    share = pl.col("samples") / pl.max_horizontal(pl.col("samples").sum(), 1)
    columns = EXPERT_SUMMARY.select(without=() if weighted else WEIGHT_COLUMNS)
    return counted.with_columns(share.alias("share")).select(columns).sort("cluster").collect()


def _weights(bounds: Concepts) -> Iterator[pl.Expr]:
    """What the sampling weights of samples to train on are like."""
    # Sorted, so that sums depend on no order of rows.
    weight = pl.col("weight").filter(pl.col("split") == 0).sort()
    squares = (weight**2).sum()
    yield pl.when(squares > 0).then(weight.sum() ** 2 / squares).round_sig_figs(DIGITS).alias("effective_samples")
    yield weight.min().alias("min_weight")
    yield weight.max().alias("max_weight")
    yield weight.is_in([bounds.min_weight, bounds.max_weight]).mean().alias("at_bounds")


def weights_per_cluster(summary: pl.DataFrame) -> dict[str, dict[str, float | None]]:
    """Expert -> effective samples, least and largest weight, and share at the bounds, of its samples to train on; empty
    without sampling weights."""
    if not set(WEIGHT_COLUMNS) <= set(summary.columns):
        return {}
    return {str(row["cluster"]): {name: row[name] for name in WEIGHT_COLUMNS} for row in summary.iter_rows(named=True)}


def file_lists(tars: pl.DataFrame) -> dict[str, bytes]:
    """Path below the root -> text of the lists of tars, where each holds one side of the split; else none.

    An expert has both lists, of which one may be empty. Lines are names of files in the list's own folder, sorted.

    Args:
        tars: `expert_shards` of all shards.
    """
    lists: dict[str, bytes] = {}
    apart = tars.drop_nulls("split").sort("path")
    for (cluster,), rows in apart.group_by("cluster", maintain_order=True):
        for side, name in enumerate(SIDES):
            files = [path.rpartition("/")[2] for path in rows.filter(split=side)["path"]]
            lists[f"expert_shards/cluster_{cluster}/{name}.txt"] = "".join(f"{file}\n" for file in files).encode()
    return lists


def with_files(rows: pl.DataFrame, lists: dict[str, bytes], models: Models, settings: Text, codecs: Codecs) -> Output:
    """The summary, and beside it the lists of tars, the embedding of the empty prompt, and how arrays are coded."""
    facts = {name: int(rows[name].sum()) for name in ("samples", *SIDES)}
    if "effective_samples" in rows:
        facts["effective_samples"] = round(float(rows["effective_samples"].sum()))
    output = Output(rows_in=int(rows["files"].sum()), facts=facts)

    def write() -> Iterator[pl.DataFrame]:
        encoder, stats, buffer = models.load(settings.encoder), BatchStats(), io.BytesIO()
        prompt = Coder(codecs).array("text", empty_prompt(encoder, settings, stats))
        np.save(buffer, prompt, allow_pickle=False)
        output.note_halved(stats.halved)
        codec = {f"expert_shards/{CODEC}": codec_bytes(codecs)} if codecs else {}
        for path, data in {**lists, **codec, EMPTY_PROMPT: buffer.getvalue()}.items():
            output.add_file(path, data)
        yield rows

    output.rows = write()
    return output

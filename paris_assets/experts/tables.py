"""The tables of this stage."""

from __future__ import annotations

import io
from collections.abc import Iterator

import numpy as np
import polars as pl

from paris_assets.dag.store import Store
from paris_assets.experts.router import write_router_arrays
from paris_assets.experts.samples import Tables, left_out, sample_table
from paris_assets.experts.shards import write_expert_tars
from paris_assets.models.batches import BatchStats
from paris_assets.models.prompt import empty_prompt
from paris_assets.storage.output import Output

EMPTY_PROMPT = "expert_shards/empty_prompt.npy"


def _samples(store: Store, shard: str) -> tuple[pl.DataFrame, Output]:
    """The shard's samples, and an output that counts what is left out."""
    names = ("curated_images", "captions", "cluster_assignments", "training_selection", "latents")
    tables = Tables(*(store.scan(name, [shard]) for name in names))
    samples = sample_table(tables, store.profile.experts.validation_fraction)
    rejects = left_out(tables, samples.height)
    return samples, Output(rows_in=samples.height + sum(rejects.values()), rejects=rejects)


def expert_shards(store: Store, shard: str) -> Output:
    """The shard's tars and their index."""
    profile = store.profile
    samples, output = _samples(store, shard)

    def write() -> Iterator[pl.DataFrame]:
        latents, texts = store.scan("latents", [shard]), store.scan("text_embeddings", [shard])
        resolution, most = min(profile.latents.resolutions), profile.experts.max_samples
        index, files = write_expert_tars(shard, samples, latents, texts, resolution, most, output.scratch)
        output.files.update(files)
        output.facts["kept"] = output.facts["samples"] = samples.height
        yield index

    output.rows = write()
    return output


def router_arrays(store: Store, shard: str) -> Output:
    """The shard's six arrays and the ids of their rows."""
    samples, output = _samples(store, shard)

    def write() -> Iterator[pl.DataFrame]:
        latents, embeddings, texts = (
            store.scan(name, [shard]) for name in ("latents", "image_embeddings", "text_embeddings")
        )
        resolution = min(store.profile.latents.resolutions)
        files = write_router_arrays(samples, latents, embeddings, texts, resolution, output.scratch)
        output.files.update({f"router_arrays/{shard}/{name}.npy": file for name, file in files.items()})
        yield samples.select("image_id", "cluster", "split")

    output.rows = write()
    return output


def expert_summary(store: Store) -> Output:
    """One row per expert, and the empty prompt's embedding."""
    shards = store.present("expert_shards", "router_arrays", "captions", "cluster_assignments")
    files = store.scan("expert_shards", shards).collect()
    clusters = store.read("cluster_model").filter(level="coarse").select(pl.col("index").alias("cluster"))
    rows = clusters.join(_file_figures(files), on="cluster", how="left").join(
        _sample_figures(store, shards), on="cluster", how="left"
    )
    counted = ("files", "samples", "size_bytes", "validation")
    rows = rows.with_columns(pl.col(counted).fill_null(0)).sort("cluster")
    samples = int(rows["samples"].sum())
    rows = rows.with_columns((pl.col("samples") / max(samples, 1)).alias("share"))
    output = Output(rows_in=files.height, facts={"samples": samples})

    def write() -> Iterator[pl.DataFrame]:
        encoder, stats = store.model(store.profile.text.encoder), BatchStats()
        buffer = io.BytesIO()
        np.save(buffer, empty_prompt(encoder, store.profile.text.tokens, stats), allow_pickle=False)
        output.note_halved(stats.halved)
        output.add_file(EMPTY_PROMPT, buffer.getvalue())
        yield rows.select(
            "cluster",
            "files",
            "samples",
            "share",
            "size_bytes",
            "validation",
            "caption_words",
            "source_captions",
            "mean_distance",
        )

    output.rows = write()
    return output


def _file_figures(files: pl.DataFrame) -> pl.DataFrame:
    return files.group_by("cluster").agg(
        pl.len().cast(pl.Int64).alias("files"), pl.sum("samples"), pl.sum("size_bytes")
    )


def _sample_figures(store: Store, shards: list[str]) -> pl.DataFrame:
    words = pl.col("caption").str.count_matches(r"\S+")
    captions = store.scan("captions", shards).select(
        "image_id", words.alias("words"), (pl.col("captioner") == "source_text").alias("from_source")
    )
    distances = store.scan("cluster_assignments", shards).select("image_id", "distance")
    return (
        store.scan("router_arrays", shards)
        .join(captions, on="image_id")
        .join(distances, on="image_id")
        .group_by("cluster")
        .agg(
            (pl.col("split") == 1).sum().cast(pl.Int64).alias("validation"),
            pl.mean("words").alias("caption_words"),
            pl.mean("from_source").alias("source_captions"),
            pl.col("distance").cast(pl.Float64).mean().alias("mean_distance"),
        )
        .sort("cluster")
        .collect()
    )

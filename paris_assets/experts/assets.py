"""What training reads: expert tars, router arrays, their summary and the manifest."""

from __future__ import annotations

import dagster as dg
import polars as pl

from paris_assets.config import Profile
from paris_assets.storage.output import Output
from paris_assets.storage.store import Store
from paris_assets.storage.table_asset import all_asset, shard_asset

SHARDS = {
    "cluster": ("Int32", "expert"),
    "path": ("String", "tar, relative to the root"),
    "samples": ("Int64", "samples in it"),
    "size_bytes": ("Int64", "bytes"),
    "sha256": ("String", "hash of the tar"),
}
ROUTER = {
    "image_id": ("String", "image of this row in every array"),
    "cluster": ("Int32", "its label"),
    "split": ("UInt8", "0 train, 1 validation"),
}
SUMMARY = {
    "cluster": ("Int32", "expert"),
    "files": ("Int64", "tars"),
    "samples": ("Int64", "samples"),
    "share": ("Float64", "share of all samples"),
    "size_bytes": ("Int64", "bytes of its tars"),
    "validation": ("Int64", "samples held out"),
    "caption_words": ("Float64", "mean words of a caption"),
    "source_captions": ("Float64", "share of captions that are source text"),
    "mean_distance": ("Float64", "mean distance to the centroid"),
}
FILES = {
    "path": ("String", "published file, relative to the root"),
    "size_bytes": ("Int64", "bytes"),
    "sha256": ("String", "hash"),
    "samples": ("Int64", "samples in it, where it holds samples"),
}


@shard_asset(
    group="experts",
    kinds={"webdataset"},
    settings=["experts.max_samples", "experts.validation_fraction", "latents.resolutions"],
    columns=SHARDS,
    data_files=["expert_shards/cluster_*/{shard}-*.tar"],
    pool="io",
)
def expert_shards(
    context: dg.AssetExecutionContext,
    store: dg.ResourceParam[Store],
    curated_images: pl.LazyFrame,
    captions: pl.LazyFrame,
    text_embeddings: pl.LazyFrame,
    cluster_assignments: pl.LazyFrame,
    training_selection: pl.LazyFrame,
    latents: pl.LazyFrame,
) -> Output:
    """One WebDataset tar per expert and image shard, reproducible byte for byte. Each row of this table is one tar."""
    from paris_assets.experts.tables import expert_shards as shard_table

    return shard_table(store, context.partition_key)


@shard_asset(
    group="experts",
    kinds={"numpy"},
    settings=["experts.validation_fraction", "latents.resolutions"],
    columns=ROUTER,
    data_files=["router_arrays/{shard}/*.npy"],
    pool="io",
)
def router_arrays(
    context: dg.AssetExecutionContext,
    store: dg.ResourceParam[Store],
    curated_images: pl.LazyFrame,
    captions: pl.LazyFrame,
    text_embeddings: pl.LazyFrame,
    image_embeddings: pl.LazyFrame,
    cluster_assignments: pl.LazyFrame,
    training_selection: pl.LazyFrame,
    latents: pl.LazyFrame,
) -> Output:
    """What the router is trained on: latents, labels, embeddings, pooled text, ids and split, in one row order."""
    from paris_assets.experts.tables import router_arrays as array_table

    return array_table(store, context.partition_key)


@all_asset(
    group="experts",
    kinds={"polars"},
    settings=["text"],
    columns=SUMMARY,
    data_files=["expert_shards/empty_prompt.npy"],
)
def expert_summary(
    context: dg.AssetExecutionContext,
    store: dg.ResourceParam[Store],
    captions: pl.LazyFrame,
    cluster_assignments: pl.LazyFrame,
    expert_shards: pl.LazyFrame,
    router_arrays: pl.LazyFrame,
) -> Output:
    """One row per expert. Also writes the embedding of the empty prompt once, for classifier-free guidance."""
    from paris_assets.experts.tables import expert_summary as summary_table

    return summary_table(store)


@all_asset(
    group="experts",
    kinds={"json", "numpy"},
    settings=["source.columns", *(name for name in Profile.model_fields if name not in ("source", "checks"))],
    columns=FILES,
    data_files=["router_training/*"],
)
def pipeline_manifest(
    context: dg.AssetExecutionContext,
    store: dg.ResourceParam[Store],
    raw_images: pl.LazyFrame,
    filtered_images: pl.LazyFrame,
    duplicate_groups: pl.LazyFrame,
    cluster_model: pl.LazyFrame,
    cluster_report: pl.LazyFrame,
    latent_report: pl.LazyFrame,
    expert_shards: pl.LazyFrame,
    router_arrays: pl.LazyFrame,
    expert_summary: pl.LazyFrame,
) -> Output:
    """Everything published, with hashes, counts of every stage and the models that ran; and the router files joined."""
    from paris_assets.experts.manifest import pipeline_manifest as manifest_table

    return manifest_table(store)

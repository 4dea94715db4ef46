"""What training reads: expert tars, router arrays, their summary and the manifest."""

from __future__ import annotations

import dagster as dg
import polars as pl

from paris_assets.config import Profile
from paris_assets.dag.assets import all_asset, shard_asset
from paris_assets.dag.columns import every
from paris_assets.dag.store import Store
from paris_assets.storage.output import Output

CHOSEN = ("training_selection.selected", "latents.image_id", "captions.caption")
MEMBERS = (
    *every("curated_images", "image_id", "url", "width", "height", "group_id", "aesthetic"),
    *every("captions", "caption", "captioner", "source_text"),
    *every("text_embeddings", "embedding", "tokens"),
    *every("cluster_assignments", "cluster", "fine_cluster", "distance", "second_distance"),
    *every("latents", "latent_256", "upscaled", "crop_top", "crop_left"),
    "training_selection.selected",
)
SHARDS = {
    "cluster": ("Int32", "expert", "cluster_assignments.cluster"),
    "path": ("String", "tar, relative to the root", "cluster_assignments.cluster"),
    "samples": ("Int64", "samples in it", "cluster_assignments.cluster", *CHOSEN),
    "size_bytes": ("Int64", "bytes of the tar", *MEMBERS),
    "sha256": ("String", "hash of the tar", *MEMBERS),
}
ROUTER = {
    "image_id": ("String", "image of this row in every array", "training_selection.image_id", "latents.image_id"),
    "cluster": ("Int32", "its label", "cluster_assignments.cluster"),
    "split": ("UInt8", "0 train, 1 validation", "curated_images.group_id"),
}
SUMMARY = {
    "cluster": ("Int32", "expert", "expert_shards.cluster"),
    "files": ("Int64", "tars", "expert_shards.path"),
    "samples": ("Int64", "samples", "expert_shards.samples"),
    "share": ("Float64", "share of all samples", "expert_shards.samples"),
    "size_bytes": ("Int64", "bytes of its tars", "expert_shards.size_bytes"),
    "validation": ("Int64", "samples held out", "router_arrays.split"),
    "caption_words": ("Float64", "mean words of a caption", "captions.caption"),
    "source_captions": ("Float64", "share of captions that are source text", "captions.captioner"),
    "mean_distance": ("Float64", "mean distance to the centroid", "cluster_assignments.distance"),
}
FILES = {
    "path": ("String", "published file, relative to the root", "expert_shards.path"),
    "size_bytes": ("Int64", "bytes", "expert_shards.size_bytes"),
    "sha256": ("String", "hash of the file", "expert_shards.sha256"),
    "samples": ("Int64", "samples in it, where it holds samples", "expert_shards.samples"),
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
    """One WebDataset tar per expert and image shard: latent, text embedding, caption and metadata of each sample.

    Tars are reproducible byte for byte; each row of this table is one of them, with its hash.
    """
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
    """What the router is trained on: latents, labels, embeddings, pooled text, ids and split, in one row order.

    They are `.npy` files without pickle, to be memory-mapped, of the same images as the expert tars.
    """
    from paris_assets.experts.tables import router_arrays as array_table

    return array_table(store, context.partition_key)


@all_asset(
    group="experts",
    kinds={"polars"},
    settings=["text"],
    columns=SUMMARY,
    unit="tars",
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
    """One row per expert: its tars, samples, bytes, held-out samples, and what its captions and distances are like.

    The embedding of the empty prompt is written beside it once, for classifier-free guidance.
    """
    from paris_assets.experts.tables import expert_summary as summary_table

    return summary_table(store)


@all_asset(
    group="experts",
    kinds={"json", "numpy"},
    settings=["source.columns", *(name for name in Profile.model_fields if name not in ("source", "checks"))],
    columns=FILES,
    unit="shards",
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
    """Every published file with its hash, the counts and rejects of each stage, the models that ran and the settings.

    It comes last: its version is derived from all of this, and the router arrays of all shards are joined beside it.
    """
    from paris_assets.experts.manifest import pipeline_manifest as manifest_table

    return manifest_table(store)

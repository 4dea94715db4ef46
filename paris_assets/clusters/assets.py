"""Image embeddings, the cluster model fitted on them, and which images each expert is trained on."""

from __future__ import annotations

import dagster as dg
import polars as pl

from paris_assets.storage.output import Output
from paris_assets.storage.store import Store
from paris_assets.storage.table_asset import all_asset, shard_asset

EMBEDDINGS = {
    "image_id": ("String", "image"),
    "embedding": ("Array(Float16, dim)", "vector as the model gave it, not normalised"),
}
MODEL = {
    "level": ("String", "coarse (one per expert) or fine"),
    "index": ("Int32", "number of the centroid"),
    "coarse": ("Int32", "cluster it belongs to"),
    "centroid": ("Array(Float32, dim)", "in the fitted space"),
}
ASSIGNMENTS = {
    "image_id": ("String", "image"),
    "cluster": ("Int32", "expert"),
    "distance": ("Float32", "Euclidean distance to the own coarse centroid, in the fitted space"),
    "second_distance": ("Float32", "Euclidean distance to the nearest other coarse centroid"),
    "fine_cluster": ("Int32", "nearest fine centroid; null for a direct fit"),
}
METRICS = {"metric": ("String", "name"), "value": ("Float64", "figure")}
VALUES = {
    "cluster": ("Int32", "expert"),
    "value": ("String", "high or low"),
    "reason": ("String", "the figure and the bound that decided"),
    "images": ("Int64", "images assigned"),
}
SELECTION = {
    "image_id": ("String", "image"),
    "cluster": ("Int32", "expert"),
    "selected": ("Boolean", "whether it goes into training"),
    "reason": ("String", "why not; null when selected"),
}
TEXT = {"text_embeddings": ("clusters.features", "text")}


@shard_asset(group="clusters", kinds={"pytorch"}, settings=["embedder"], columns=EMBEDDINGS, pool="gpu")
def image_embeddings(
    context: dg.AssetExecutionContext,
    store: dg.ResourceParam[Store],
    raw_images: pl.LazyFrame,
    curated_images: pl.LazyFrame,
) -> Output:
    """One vector per curated image. Clusters, and so experts, are made from these."""
    from paris_assets.clusters.tables import image_embeddings as embedding_table

    return embedding_table(store, context.partition_key, curated_images)


@all_asset(
    group="clusters",
    kinds={"faiss"},
    settings=["seed", "clusters.k", "clusters.features", "clusters.normalize", "clusters.fine", "clusters.assignment",
              "clusters.max_share", "clusters.max_train", "clusters.iterations", "clusters.restarts"],
    columns=MODEL,
    refit_on_settings_only=True,
    reads_if=TEXT,
    pool="fit",
)  # fmt: skip
def cluster_model(
    context: dg.AssetExecutionContext,
    store: dg.ResourceParam[Store],
    image_embeddings: pl.LazyFrame,
    text_embeddings: pl.LazyFrame,
) -> Output:
    """Seeded faiss k-means, direct or in two stages. A growing source does not refit it; changed settings do."""
    from paris_assets.clusters.tables import cluster_model as model_table

    return model_table(store)


@shard_asset(group="clusters", kinds={"numpy"}, settings=[], columns=ASSIGNMENTS, reads_if=TEXT)
def cluster_assignments(
    context: dg.AssetExecutionContext,
    store: dg.ResourceParam[Store],
    image_embeddings: pl.LazyFrame,
    text_embeddings: pl.LazyFrame,
    cluster_model: pl.LazyFrame,
) -> Output:
    """The expert of every image, with distances to its own and the nearest other centroid."""
    from paris_assets.clusters.tables import cluster_assignments as assignment_table

    return assignment_table(store, context.partition_key)


@all_asset(
    group="clusters",
    kinds={"scikitlearn", "matplotlib"},
    settings=["seed", "clusters"],
    columns=METRICS,
    data_files=["analysis/cluster_*"],
    reads_if=TEXT,
)
def cluster_report(
    context: dg.AssetExecutionContext,
    store: dg.ResourceParam[Store],
    raw_images: pl.LazyFrame,
    captions: pl.LazyFrame,
    image_embeddings: pl.LazyFrame,
    text_embeddings: pl.LazyFrame,
    cluster_model: pl.LazyFrame,
    cluster_assignments: pl.LazyFrame,
) -> Output:
    """Quality, sizes, grids and maps of the clusters, as PNG, JSON, Markdown and one HTML page."""
    from paris_assets.clusters.tables import cluster_report as report_table

    return report_table(store)


@all_asset(
    group="clusters",
    kinds={"polars"},
    settings=["clusters.min_images", "clusters.min_caption_diversity", "clusters.keep_fraction", "clusters.prefer"],
    columns=VALUES,
)
def cluster_values(
    context: dg.AssetExecutionContext,
    store: dg.ResourceParam[Store],
    captions: pl.LazyFrame,
    cluster_assignments: pl.LazyFrame,
) -> Output:
    """Whether a cluster is worth training on, with the figure that decided."""
    from paris_assets.clusters.tables import cluster_values as value_table

    return value_table(store)


@shard_asset(
    group="clusters", kinds={"polars"}, settings=["clusters.keep_fraction", "clusters.prefer"], columns=SELECTION
)
def training_selection(
    context: dg.AssetExecutionContext,
    store: dg.ResourceParam[Store],
    cluster_assignments: pl.LazyFrame,
    cluster_values: pl.LazyFrame,
) -> Output:
    """Which images go into training, and why the others do not."""
    from paris_assets.clusters.tables import training_selection as selection_table

    return selection_table(store, context.partition_key)

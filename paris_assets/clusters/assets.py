"""Image embeddings, the cluster model fitted on them, and which images each expert is trained on."""

from __future__ import annotations

import dagster as dg
import polars as pl

from paris_assets.dag.assets import all_asset, shard_asset
from paris_assets.dag.columns import every
from paris_assets.dag.store import Store
from paris_assets.storage.output import Output

EMBEDDINGS = {
    "image_id": ("String", "image", "curated_images.image_id"),
    "embedding": ("Array(Float16, dim)", "vector as the model gave it, not normalised", "curated_images.image_id"),
}
VECTORS = ("image_embeddings.embedding", "text_embeddings.pooled")  # the second where the profile clusters on text
MODEL = {
    "level": ("String", "coarse (one per expert) or fine"),
    "index": ("Int32", "number of the centroid"),
    "coarse": ("Int32", "cluster it belongs to", *VECTORS),
    "price": ("Float64", "added to squared distances, so that no cluster exceeds its cap; null without one", *VECTORS),
    "assignment": ("String", "rule: nearest coarse centroid, or inherit from the fine one"),
    "normalize": ("Boolean", "whether vectors are L2-normalised first"),
    "statistics": ("String", "figures of the fit as JSON, on the first row", *VECTORS),
    "centroid": ("Array(Float32, dim)", "in the fitted space", *VECTORS),
}
NEAREST = (*VECTORS, *every("cluster_model", "centroid", "coarse", "price"))
ASSIGNMENTS = {
    "image_id": ("String", "image", "image_embeddings.image_id"),
    "cluster": ("Int32", "expert", *NEAREST),
    "distance": ("Float32", "Euclidean distance to the own coarse centroid, in the fitted space", *NEAREST),
    "second_distance": ("Float32", "Euclidean distance to the nearest other coarse centroid", *NEAREST),
    "fine_cluster": ("Int32", "nearest fine centroid; null for a direct fit", *NEAREST),
}
PLACES = every("cluster_assignments", "cluster", "distance", "second_distance")
METRICS = {
    "metric": ("String", "name"),
    "value": ("Float64", "figure; null where it is undefined", *VECTORS, "cluster_model.centroid", *PLACES),
}
WORTH = ("cluster_assignments.cluster", "captions.caption")
VALUES = {
    "cluster": ("Int32", "expert", "cluster_assignments.cluster"),
    "value": ("String", "high or low", *WORTH),
    "reason": ("String", "the figure and the bound that decided", *WORTH),
    "images": ("Int64", "images assigned", "cluster_assignments.cluster"),
    "share": ("Float64", "share of all images", "cluster_assignments.cluster"),
    "distinct_captions": ("Float64", "distinct captions per image", *WORTH),
    "mean_distance": ("Float64", "mean distance to the centroid", *every("cluster_assignments", "cluster", "distance")),
    "distance_bound": (
        "Float32",
        "distance of the last image that is kept",
        *every("cluster_assignments", "cluster", "distance"),
    ),
}
CHOICE = ("cluster_assignments.distance", *every("cluster_values", "value", "distance_bound"))
SELECTION = {
    "image_id": ("String", "image", "cluster_assignments.image_id"),
    "cluster": ("Int32", "expert", "cluster_assignments.cluster"),
    "selected": ("Boolean", "whether it goes into training", *CHOICE),
    "reason": ("String", "why not; null when selected", *CHOICE),
}
TEXT = {"text_embeddings": ("clusters.features", "text")}


@shard_asset(group="clusters", kinds={"pytorch"}, settings=["embedder"], columns=EMBEDDINGS, pool="gpu")
def image_embeddings(
    context: dg.AssetExecutionContext,
    store: dg.ResourceParam[Store],
    raw_images: pl.LazyFrame,
    curated_images: pl.LazyFrame,
) -> Output:
    """One vector per curated image, as the image embedder gives it and not normalised.

    Clusters, and so experts, are made from these, and the router learns to find the cluster again.
    """
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
    """The centroids that split the images between experts, by seeded k-means, direct or in two stages.

    A growing source does not refit them, so published experts keep their meaning; changed settings do.
    """
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
    """The expert of every image, with its distances to its own and to the nearest other centroid.

    A new shard is assigned by the centroids as they stand.
    """
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
    """How good the clusters are: separation, balance, stability under other seeds, sizes, and grids of their images.

    The same as a page to read lies in `analysis/cluster_report.html`, with the pictures beside it.
    """
    from paris_assets.clusters.tables import cluster_report as report_table

    return report_table(store)


@all_asset(
    group="clusters",
    kinds={"polars"},
    settings=["clusters.min_images", "clusters.min_caption_diversity", "clusters.keep_fraction", "clusters.prefer"],
    columns=VALUES,
    unit="clusters",
    code_version="2",
)
def cluster_values(
    context: dg.AssetExecutionContext,
    store: dg.ResourceParam[Store],
    captions: pl.LazyFrame,
    cluster_assignments: pl.LazyFrame,
) -> Output:
    """Whether a cluster is worth an expert: enough images, and captions that differ.

    Each row gives the figure that decided; images of low-value clusters are left out of training.
    """
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
    """Which images go into training, and for each of the others why it does not.

    All of a cluster's images do unless the cluster is of low value or `clusters.keep_fraction` leaves some out.
    """
    from paris_assets.clusters.tables import training_selection as selection_table

    return selection_table(store, context.partition_key)

"""Image embeddings, the cluster model fitted on them, and which images each expert is trained on."""

import polars as pl

from paris_assets.clusters.schema import (
    CLUSTER_ASSIGNMENTS,
    CLUSTER_MODEL,
    CLUSTER_REPORT,
    CLUSTER_VALUES,
    IMAGE_EMBEDDINGS,
    TRAINING_SELECTION,
    TRAINING_SPLIT,
)
from paris_assets.compute import Compute
from paris_assets.config import Profile
from paris_assets.dag.assets import all_asset, shard_asset
from paris_assets.dag.flow import account, stage_counts, with_words
from paris_assets.dag.records import Records
from paris_assets.images.reader import ImageTars
from paris_assets.models.registry import Models
from paris_assets.storage.output import Output
from paris_assets.storage.shards import Shards

COUNTED = ("image_signals", "filtered_images", "duplicate_groups")
"""Stages whose rows in, rows out and rejects the report tells, beside those of the tables that it reads."""
READ_BY_REPORT = ("raw_images", "curated_images", "captions", "image_embeddings", "cluster_assignments")
READS_TEXT = {"text_embeddings": lambda profile: "text" in profile.clusters.features}


@shard_asset(
    IMAGE_EMBEDDINGS,
    group="clusters",
    kinds={"pytorch"},
    settings=["embedder"],
    optional_inputs={"picture_embeddings": lambda profile: profile.stored_embedder is not None},
    pool="gpu",
)
def image_embeddings(
    shard: str,
    images: ImageTars,
    models: Models,
    compute: Compute,
    records: Records,
    profile: Profile,
    raw_images: pl.LazyFrame,
    curated_images: pl.LazyFrame,
    picture_embeddings: pl.LazyFrame | None,
) -> Output:
    """One vector per curated image, as the image embedder gives it and not normalised.

    Clusters, and so experts, are made from these, and the router learns to find the cluster again. Where the embedder
    is an encoder of `picture_embeddings`, they are those.
    """
    from paris_assets.clusters.embedded import embedded, taken_over

    if picture_embeddings is not None:
        ran = records.one("picture_embeddings", shard)
        return taken_over(curated_images, picture_embeddings, profile.stored_embedder, ran.facts if ran else {})
    return embedded(curated_images, images.of(shard, raw_images), profile.embedder, models, compute)


@all_asset(
    CLUSTER_MODEL,
    group="clusters",
    kinds={"numba"},
    settings=["seed", "clusters.k", "clusters.features", "clusters.normalize", "clusters.reduce", "clusters.dims",
              "clusters.fine", "clusters.assignment",
              "clusters.max_share", "clusters.keep_numbers", "clusters.max_train", "clusters.iterations",
              "clusters.restarts"],
    refit_on_settings_only=True,
    keeps_rows="when_refitted",
    optional_inputs=READS_TEXT,
    pool="fit",
)  # fmt: skip
def cluster_model(
    profile: Profile, compute: Compute, image_embeddings: Shards, text_embeddings: Shards | None
) -> Output:
    """The centroids that split the images between experts, by seeded k-means, direct or in two stages.

    A growing source does not refit them, so published experts keep their meaning; changed settings do. Numbers then
    follow the clusters before where `clusters.keep_numbers` says so.
    """
    from paris_assets.clusters.fitting import fitted

    return fitted(image_embeddings, text_embeddings, profile.clusters, profile.seed, compute)


@shard_asset(CLUSTER_ASSIGNMENTS, group="clusters", kinds={"numpy"}, optional_inputs=READS_TEXT)
def cluster_assignments(
    profile: Profile,
    image_embeddings: pl.LazyFrame,
    text_embeddings: pl.LazyFrame | None,
    cluster_model: pl.LazyFrame,
) -> Output:
    """The expert of every image, with its distances to its own and to the nearest other centroid.

    A new shard is assigned by the centroids as they stand.
    """
    from paris_assets.clusters.fitting import assigned

    return assigned(image_embeddings, text_embeddings, cluster_model.collect(), profile.clusters)


@all_asset(
    CLUSTER_REPORT,
    group="clusters",
    kinds={"scikitlearn", "matplotlib"},
    settings=["seed", "clusters", "router_resolution"],
    deps=COUNTED,
    data_files=["analysis/cluster_*"],
    optional_inputs=READS_TEXT,
    pages={"Open the report": "analysis/cluster_report.html"},
)
def cluster_report(
    images: ImageTars,
    profile: Profile,
    records: Records,
    raw_images: Shards,
    curated_images: Shards,
    captions: Shards,
    image_embeddings: Shards,
    text_embeddings: Shards | None,
    cluster_model: pl.LazyFrame,
    cluster_assignments: Shards,
    latents: Shards,
) -> Output:
    """How good the clusters are: separation, balance, stability under other seeds, sizes, and grids of their images.

    And whether a router can learn them: probes of embeddings and of latents, and near copies that clusters part. The
    same as a page to read, with a map, lies in `analysis/cluster_report.html`, with the pictures beside it.
    """
    from paris_assets.clusters.reported import Read, reported

    clustered = cluster_assignments.frame()
    read = Read(image_embeddings, text_embeddings, clustered, captions.frame(), curated_images.frame(), latents)
    told = with_words(account(stage_counts(records, [*COUNTED, *READ_BY_REPORT])))
    return reported(read, cluster_model.collect(), images.anywhere(raw_images), profile, told)


@all_asset(
    CLUSTER_VALUES,
    group="clusters",
    kinds={"polars"},
    settings=["clusters.min_images", "clusters.min_caption_diversity", "clusters.keep_fraction", "clusters.prefer"],
    unit="clusters",
    # What is read is the verdict and the bound: other figures move with every image, and would make each shard's
    # selection again when the source grows.
    volatile=["reason", "images", "share", "distinct_captions", "mean_distance"],
    keeps_rows="when_taken_down",
)
def cluster_values(profile: Profile, captions: Shards, cluster_assignments: Shards) -> Output:
    """Whether a cluster is worth an expert: enough images, and captions that differ.

    Each row gives the figure that decided; images of low-value clusters are left out of training.
    """
    from paris_assets.clusters.values import valued

    rows = valued(cluster_assignments.frame(), captions.frame(), profile.clusters)
    low = rows.filter(value="low").height
    return Output(rows=[rows], rows_in=rows.height, facts={"low_value_clusters": low})


@shard_asset(
    TRAINING_SELECTION, group="clusters", kinds={"polars"}, settings=["clusters.keep_fraction", "clusters.prefer"]
)
def training_selection(profile: Profile, cluster_assignments: pl.LazyFrame, cluster_values: pl.LazyFrame) -> Output:
    """Which images go into training, and for each of the others why it does not.

    All of a cluster's images do unless the cluster is of low value or `clusters.keep_fraction` leaves some out.
    """
    from paris_assets.clusters.selection import select

    rows = select(cluster_assignments.collect(), cluster_values.collect(), profile.clusters)
    dropped = rows.filter(~pl.col("selected")).group_by("reason").len().sort("reason").rows()
    kept = int(rows["selected"].sum())
    return Output(rows=[rows], rows_in=rows.height, rejects=dict(dropped), facts={"kept": kept})


@all_asset(
    TRAINING_SPLIT,
    group="clusters",
    kinds={"polars"},
    settings=["experts.validation_fraction", "duplicates.growth", "clusters.keep_fraction", "clusters.prefer"],
    slice_by="shard",
    keeps_rows="when_grown",
)
def training_split(
    profile: Profile,
    curated_images: Shards,
    captions: Shards,
    latents: Shards,
    cluster_assignments: Shards,
    cluster_values: pl.LazyFrame,
) -> Output:
    """Which training samples are held out for validation: the same share of every expert, and at least one.

    Whole duplicate groups are held out, so no copy of a validation sample is trained on. A growing source moves none.
    """
    from paris_assets.clusters.split import split

    return split(curated_images, captions, latents, cluster_assignments, cluster_values, profile)

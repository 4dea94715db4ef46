"""The tables of this stage."""

import polars as pl

from paris_assets.storage.schema import ArrayOf, Schema, every

IMAGE_EMBEDDINGS = Schema(
    {
        "image_id": (pl.String, "image", "curated_images.image_id"),
        "embedding": (
            ArrayOf(pl.Float16, ("dim",)),
            "vector as the model gave it, not normalised",
            "curated_images.image_id",
        ),
    }
)
_VECTORS = ("image_embeddings.embedding", "text_embeddings.pooled")  # the second where the profile clusters on text
CLUSTER_MODEL = Schema(
    {
        "level": (pl.String, "coarse (one per expert) or fine; mean or component of the reduction"),
        "index": (pl.Int32, "number of the centroid"),
        "coarse": (pl.Int32, "cluster it belongs to", *_VECTORS),
        "penalty": (
            pl.Float64,
            "added to squared distances, so that no cluster exceeds its cap; null without one",
            *_VECTORS,
        ),
        "assignment": (pl.String, "rule: nearest coarse centroid, or inherit from the fine one"),
        "normalize": (pl.Boolean, "whether vectors are L2-normalised first"),
        "statistics": (pl.String, "figures of the fit as JSON, on the first row", *_VECTORS),
        "centroid": (ArrayOf(pl.Float32, ("dim",)), "in the fitted space", *_VECTORS),
        "basis": (
            ArrayOf(pl.Float32, ("joined_dim",)),
            "mean or direction that brings vectors into the fitted space; only where clusters.reduce asks for it",
            *_VECTORS,
        ),
    },
    by_profile={"basis"},
)
_NEAREST = (*_VECTORS, *every("cluster_model", "centroid", "basis", "coarse", "penalty"))
CLUSTER_ASSIGNMENTS = Schema(
    {
        "image_id": (pl.String, "image", "image_embeddings.image_id"),
        "cluster": (pl.Int32, "expert", *_NEAREST),
        "distance": (pl.Float32, "Euclidean distance to the own coarse centroid, in the fitted space", *_NEAREST),
        "second_distance": (pl.Float32, "Euclidean distance to the nearest other coarse centroid", *_NEAREST),
        "fine_cluster": (pl.Int32, "nearest fine centroid; null for a direct fit", *_NEAREST),
    }
)
_PLACES = every("cluster_assignments", "cluster", "distance", "second_distance")
CLUSTER_REPORT = Schema(
    {
        "metric": (pl.String, "name"),
        "value": (pl.Float64, "figure; null where it is undefined", *_VECTORS, "cluster_model.centroid", *_PLACES),
    }
)
_WORTH = ("cluster_assignments.cluster", "captions.caption")
_DISTANCES = every("cluster_assignments", "cluster", "distance")
CLUSTER_VALUES = Schema(
    {
        "cluster": (pl.Int32, "expert", "cluster_assignments.cluster"),
        "value": (pl.String, "high or low", *_WORTH),
        "reason": (pl.String, "the figure and the bound that decided", *_WORTH),
        "images": (pl.Int64, "images assigned", "cluster_assignments.cluster"),
        "share": (pl.Float64, "share of all images", "cluster_assignments.cluster"),
        "distinct_captions": (pl.Float64, "distinct captions per image", *_WORTH),
        "mean_distance": (pl.Float64, "mean distance to the centroid", *_DISTANCES),
        "distance_bound": (pl.Float32, "distance of the last image that is kept", *_DISTANCES),
    }
)
_CHOICE = ("cluster_assignments.distance", *every("cluster_values", "value", "distance_bound"))
TRAINING_SELECTION = Schema(
    {
        "image_id": (pl.String, "image", "cluster_assignments.image_id"),
        "cluster": (pl.Int32, "expert", "cluster_assignments.cluster"),
        "selected": (pl.Boolean, "whether it goes into training", *_CHOICE),
        "reason": (pl.String, "why not; null when selected", *_CHOICE),
    }
)
TRAINING_SPLIT = Schema(
    {
        "image_id": (pl.String, "training sample", "cluster_assignments.image_id", "latents.image_id"),
        "shard": (pl.String, "its shard"),
        "cluster": (pl.Int32, "expert", "cluster_assignments.cluster"),
        "group_id": (pl.String, "duplicate group: never on both sides", "curated_images.group_id"),
        "split": (pl.UInt8, "0 train, 1 validation", "curated_images.group_id", "cluster_assignments.cluster"),
    }
)

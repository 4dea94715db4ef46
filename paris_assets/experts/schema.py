"""The tables of this stage."""

import polars as pl

from paris_assets.storage.schema import Schema, every

_CHOSEN = ("training_selection.selected", "latents.image_id", "captions.caption")
_MEMBERS = (
    *every("curated_images", "image_id", "url", "width", "height", "group_id", "aesthetic"),
    *every("captions", "caption", "captioner", "source_text", "kind", "kinds", "captions"),
    *every("text_embeddings", "embedding", "tokens"),
    *every("cluster_assignments", "cluster", "fine_cluster", "distance", "second_distance"),
    *every("latents", "latent_256", "upscaled", "crop_top", "crop_left"),
    "training_selection.selected",
    "training_split.split",
    *every("sampling_weights", "weight", "concepts"),
)
_WEIGHT = ("sampling_weights.weight", "router_arrays.split")
WEIGHT_COLUMNS = ("effective_samples", "min_weight", "max_weight", "at_bounds")
EXPERT_SHARDS = Schema(
    {
        "cluster": (pl.Int32, "expert", "cluster_assignments.cluster"),
        "split": (pl.UInt8, "0 train, 1 validation; null: both, by `metadata.json`", "training_split.split"),
        "path": (pl.String, "tar, relative to the root", "cluster_assignments.cluster"),
        "samples": (pl.Int64, "samples in it", "cluster_assignments.cluster", *_CHOSEN),
        "size_bytes": (pl.Int64, "bytes of the tar", *_MEMBERS),
        "sha256": (pl.String, "hash of the tar", *_MEMBERS),
    }
)
ROUTER_ARRAYS = Schema(
    {
        "image_id": (pl.String, "image of this row in every array", "training_selection.image_id", "latents.image_id"),
        "cluster": (pl.Int32, "its label", "cluster_assignments.cluster"),
        "split": (pl.UInt8, "0 train, 1 validation", "training_split.split"),
    }
)
EXPERT_SUMMARY = Schema(
    {
        "cluster": (pl.Int32, "expert", "expert_shards.cluster"),
        "files": (pl.Int64, "tars", "expert_shards.path"),
        "samples": (pl.Int64, "samples", "expert_shards.samples"),
        "share": (pl.Float64, "share of all samples", "expert_shards.samples"),
        "size_bytes": (pl.Int64, "bytes of its tars", "expert_shards.size_bytes"),
        "train": (pl.Int64, "samples to train on", "router_arrays.split"),
        "validation": (pl.Int64, "samples held out", "router_arrays.split"),
        "groups": (pl.Int64, "duplicate groups of its samples", "training_split.group_id"),
        "held_out_groups": (pl.Int64, "those of them that are held out", "training_split.split"),
        "caption_words": (pl.Float64, "mean words of a caption", "captions.caption"),
        "source_captions": (pl.Float64, "share of captions that are source text", "captions.captioner"),
        "mean_distance": (pl.Float64, "mean distance to the centroid", "cluster_assignments.distance"),
        "effective_samples": (
            pl.Float64,
            "(sum of weights)^2 / sum of squared weights of its samples to train on (Kish 1965)",
            *_WEIGHT,
        ),
        "min_weight": (pl.Float64, "their smallest sampling weight; null without samples", *_WEIGHT),
        "max_weight": (pl.Float64, "their largest", *_WEIGHT),
        "at_bounds": (pl.Float64, "share of them at a bound of weights; null without samples", *_WEIGHT),
    },
    by_profile=WEIGHT_COLUMNS,
)
PIPELINE_MANIFEST = Schema(
    {
        "path": (pl.String, "published file, relative to the root", "expert_shards.path"),
        "size_bytes": (pl.Int64, "bytes", "expert_shards.size_bytes"),
        "sha256": (pl.String, "hash of the file", "expert_shards.sha256"),
        "samples": (pl.Int64, "samples in it, where it holds samples", "expert_shards.samples"),
    }
)

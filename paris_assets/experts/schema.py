"""The tables of this stage."""

import polars as pl

from paris_assets.storage.schema import Schema, every

_CHOSEN = ("training_selection.selected", "latents.image_id", "captions.caption")
_MEMBERS = (
    *every("curated_images", "image_id", "uid", "url", "width", "height", "group_id", "aesthetic"),
    *every("captions", "caption", "captioner", "source_text", "kind", "kinds", "captions"),
    *every("text_embeddings", "embedding", "tokens", "truncated"),
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
_CODED = (*every("value_ranges", "kind", "channel", "scale"), "text_embeddings.pooled")
EXPERT_MDS = Schema(
    {
        "cluster": (pl.Int32, "expert", "cluster_assignments.cluster"),
        "sizes": (pl.String, "resolutions of the latents that its samples have: `256-768`", "latents.latent_256"),
        "split": (pl.UInt8, "0 train, 1 validation; null: both, by the column `split`", "training_split.split"),
        "path": (pl.String, "MDS file, relative to the root", "cluster_assignments.cluster"),
        "samples": (pl.Int64, "samples in it", "cluster_assignments.cluster", *_CHOSEN),
        "size_bytes": (pl.Int64, "bytes of the file as it is stored", *_MEMBERS, *_CODED),
        "sha256": (pl.String, "hash of it", *_MEMBERS, *_CODED),
        "entry": (pl.String, "JSON: what the index of its folder says of it", *_MEMBERS, *_CODED),
    }
)
_OF_FILES = every("expert_mds", "cluster", "sizes", "split")
MDS_INDEX = Schema(
    {
        "cluster": (pl.Int32, "expert", "expert_mds.cluster"),
        "sizes": (pl.String, "resolutions of the latents that its samples have", "expert_mds.sizes"),
        "split": (pl.UInt8, "0 train, 1 validation; null: both", "expert_mds.split"),
        "path": (pl.String, "index of a folder, relative to the root", *_OF_FILES),
        "files": (pl.Int64, "MDS files that it lists", "expert_mds.path", "expert_mds.entry"),
        "samples": (pl.Int64, "samples in them", "expert_mds.samples"),
        "size_bytes": (pl.Int64, "bytes of them", "expert_mds.size_bytes"),
    }
)
_VALUES = ("latents.latent_256", "text_embeddings.embedding")
VALUE_RANGES = Schema(
    {
        "kind": (pl.String, "kind of arrays: latents or text"),
        "channel": (pl.Int32, "channel; null: all of them"),
        "scale": (pl.Float64, "one step of the uint8 codec, a float32 value", *_VALUES),
        "range": (pl.Float64, "largest magnitude that is kept: 127 steps", *_VALUES),
        "images": (pl.Int64, "images that the figures are taken from", *_VALUES),
        "values": (pl.Int64, "their values other than zero", *_VALUES),
        "clipped": (pl.Float64, "share of these beyond the range", *_VALUES),
        "rmse": (pl.Float64, "root mean square error of them", *_VALUES),
        "relative_rmse": (pl.Float64, "the same, over their root mean square", *_VALUES),
        "cosine": (pl.Float64, "mean cosine of a text position with itself after coding", "text_embeddings.embedding"),
        "lowest_cosine": (pl.Float64, "the lowest", "text_embeddings.embedding"),
        "psnr_db": (pl.Float64, "mean PSNR of decoded codes against decoded float16 latents", "latents.latent_256"),
        "lowest_psnr_db": (pl.Float64, "the lowest", "latents.latent_256"),
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
        "cluster": (pl.Int32, "expert", "expert_shards.cluster", "expert_mds.cluster"),
        "files": (pl.Int64, "tars; MDS files where there are no tars", "expert_shards.path", "expert_mds.path"),
        "samples": (pl.Int64, "samples", "expert_shards.samples", "expert_mds.samples"),
        "share": (pl.Float64, "share of all samples", "expert_shards.samples", "expert_mds.samples"),
        "size_bytes": (pl.Int64, "bytes of these files", "expert_shards.size_bytes", "expert_mds.size_bytes"),
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
        "path": (pl.String, "published file, relative to the root", "expert_shards.path", "expert_mds.path"),
        "size_bytes": (pl.Int64, "bytes", "expert_shards.size_bytes", "expert_mds.size_bytes"),
        "sha256": (pl.String, "hash of the file", "expert_shards.sha256", "expert_mds.sha256"),
        "samples": (pl.Int64, "samples in it, if it has any", "expert_shards.samples", "expert_mds.samples"),
    }
)

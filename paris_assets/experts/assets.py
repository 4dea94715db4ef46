"""What training reads: expert tars or MDS files, router arrays, their summary and the manifest."""

import polars as pl

from paris_assets.config import Profile
from paris_assets.dag.assets import all_asset, shard_asset
from paris_assets.dag.records import Records
from paris_assets.dag.takedowns import Takedowns
from paris_assets.experts.conditions import READS_FILES, READS_RANGES, READS_WEIGHTS, has_tars
from paris_assets.experts.schema import EXPERT_SHARDS, EXPERT_SUMMARY, PIPELINE_MANIFEST, ROUTER_ARRAYS
from paris_assets.models.registry import Models
from paris_assets.storage.files import LocalFiles
from paris_assets.storage.output import Output
from paris_assets.storage.shards import Shards


@shard_asset(
    EXPERT_SHARDS,
    group="experts",
    kinds={"webdataset"},
    settings=["experts.max_samples", "experts.split_tars", "latents.resolutions"],
    used_if=has_tars,
    optional_inputs=READS_WEIGHTS | READS_RANGES,
    data_files=["expert_shards/cluster_*/{shard}-*.tar"],
    pool="io",
)
def expert_shards(
    shard: str,
    profile: Profile,
    curated_images: pl.LazyFrame,
    captions: pl.LazyFrame,
    text_embeddings: pl.LazyFrame,
    cluster_assignments: pl.LazyFrame,
    training_selection: pl.LazyFrame,
    latents: pl.LazyFrame,
    training_split: pl.LazyFrame,
    sampling_weights: pl.LazyFrame | None,
    value_ranges: pl.LazyFrame | None,
) -> Output:
    """One WebDataset tar per expert and image shard: latents, text embedding, caption and metadata of each sample.

    Tars are reproducible byte for byte; each row of this table is one of them, with its hash.
    """
    from paris_assets.experts.coding import codecs_of
    from paris_assets.experts.samples import SampleTables
    from paris_assets.experts.shards import expert_tars

    tables = SampleTables(
        curated_images, captions, cluster_assignments, training_selection, latents, training_split, sampling_weights
    )
    codecs = codecs_of(value_ranges)
    return expert_tars(shard, tables, text_embeddings, profile.latents.resolutions, profile.experts, codecs)


@shard_asset(
    ROUTER_ARRAYS,
    group="experts",
    kinds={"numpy"},
    settings=["router_resolution"],
    optional_inputs=READS_RANGES,
    data_files=["router_arrays/{shard}/*.npy"],
    pool="io",
)
def router_arrays(
    shard: str,
    profile: Profile,
    curated_images: pl.LazyFrame,
    captions: pl.LazyFrame,
    text_embeddings: pl.LazyFrame,
    image_embeddings: pl.LazyFrame,
    cluster_assignments: pl.LazyFrame,
    training_selection: pl.LazyFrame,
    latents: pl.LazyFrame,
    training_split: pl.LazyFrame,
    value_ranges: pl.LazyFrame | None,
) -> Output:
    """What the router is trained on: latents, labels, embeddings, pooled text, ids and split, in one row order.

    They are `.npy` files without pickle, to be memory-mapped, of the same images as the expert tars.
    """
    from paris_assets.experts.coding import codecs_of
    from paris_assets.experts.router import router_rows
    from paris_assets.experts.samples import SampleTables

    tables = SampleTables(curated_images, captions, cluster_assignments, training_selection, latents, training_split)
    codecs = codecs_of(value_ranges)
    return router_rows(shard, tables, text_embeddings, image_embeddings, profile.router_resolution, codecs)


@all_asset(
    EXPERT_SUMMARY,
    group="experts",
    kinds={"polars"},
    settings=["text", "concepts.min_weight", "concepts.max_weight"],
    optional_inputs=READS_WEIGHTS | READS_RANGES | READS_FILES,
    unit="files",
    data_files=["expert_shards/empty_prompt.npy", "expert_shards/codec.json", "expert_shards/cluster_*/*.txt"],
)
def expert_summary(
    models: Models,
    profile: Profile,
    captions: Shards,
    cluster_model: pl.LazyFrame,
    cluster_assignments: Shards,
    expert_shards: Shards | None,
    expert_mds: Shards | None,
    router_arrays: Shards,
    training_split: pl.LazyFrame,
    sampling_weights: Shards | None,
    value_ranges: pl.LazyFrame | None,
) -> Output:
    """One row per expert: its files, bytes, samples of each split, and what its captions and distances are like.

    The embedding of the empty prompt is written beside it once, for classifier-free guidance.
    """
    from paris_assets.experts.coding import codecs_of
    from paris_assets.experts.summary import of_files, summarised, with_files

    samples = (
        router_arrays.frame()
        .join(captions.frame(), on="image_id")
        .join(cluster_assignments.frame().select("image_id", "distance"), on="image_id")
        .join(training_split.select("image_id", "group_id"), on="image_id")
    )
    if sampling_weights is not None:
        samples = samples.join(sampling_weights.frame(), on="image_id")
    files, lists = of_files(expert_shards, expert_mds)
    rows = summarised(cluster_model, files, samples, profile.concepts)
    return with_files(rows, lists, models, profile.text, codecs_of(value_ranges))


@all_asset(
    PIPELINE_MANIFEST,
    group="experts",
    kinds={"json", "numpy"},
    settings=["source.columns", *(name for name in Profile.model_fields if name not in ("source", "checks"))],
    optional_inputs=READS_FILES,
    deps=[
        "pool_scores",
        "raw_images",
        "filtered_images",
        "duplicate_groups",
        "cluster_model",
        "cluster_report",
        "latent_report",
        "selection_probe",
        "value_ranges",
        "mds_index",
    ],
    unit="shards",
    data_files=["router_training/*", "expert_shards/README.md"],
    pages={
        "Open the manifest": "pipeline_manifest.json",
        "Open the description of the files": "expert_shards/README.md",
    },
)
def pipeline_manifest(
    profile: Profile,
    records: Records,
    files: LocalFiles,
    takedowns: Takedowns,
    expert_shards: Shards | None,
    expert_mds: Shards | None,
    router_arrays: Shards,
    expert_summary: pl.LazyFrame,
) -> Output:
    """Every published file with its hash, the counts and rejects of each stage, the models that ran and the settings.

    It comes last: its version is derived from all of this, and the router arrays of all shards are joined beside it.
    """
    from paris_assets.experts.manifest import published

    samples = [table.frame() for table in (expert_shards, expert_mds) if table is not None]
    said, shards = takedowns.read().published(), list(router_arrays.keys)
    return published(samples, shards, expert_summary.collect(), records, files, profile, said)

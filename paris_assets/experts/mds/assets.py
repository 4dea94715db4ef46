"""MDS files of the experts, for StreamingDataset, and their indices."""

import polars as pl

from paris_assets.config import Profile
from paris_assets.dag.assets import all_asset, shard_asset
from paris_assets.experts.conditions import READS_RANGES, READS_WEIGHTS, has_mds
from paris_assets.experts.schema import EXPERT_MDS, MDS_INDEX
from paris_assets.storage.output import Output
from paris_assets.storage.shards import Shards


@shard_asset(
    EXPERT_MDS,
    group="experts",
    kinds={"mds"},
    settings=["experts.mds", "experts.split_tars", "latents.resolutions"],
    used_if=has_mds,
    optional_inputs=READS_WEIGHTS | READS_RANGES,
    data_files=["expert_mds/cluster_*/*/{shard}-*.mds*", "expert_mds/cluster_*/*/*/{shard}-*.mds*"],
    pool="io",
)
def expert_mds(
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
    """The same samples as MDS files for StreamingDataset, those with other sizes of latents in a folder of their own.

    A further image shard adds files and changes none; each row holds what the index of its folder says of a file.
    """
    from paris_assets.experts.coding import codecs_of
    from paris_assets.experts.mds.files import expert_mds_files
    from paris_assets.experts.samples import SampleTables

    tables = SampleTables(
        curated_images, captions, cluster_assignments, training_selection, latents, training_split, sampling_weights
    )
    codecs = codecs_of(value_ranges)
    return expert_mds_files(shard, tables, text_embeddings, profile.latents.resolutions, profile.experts, codecs)


@all_asset(
    MDS_INDEX,
    group="experts",
    kinds={"json"},
    used_if=has_mds,
    optional_inputs=READS_RANGES,
    unit="files",
    data_files=["expert_mds/cluster_*/**/index.json", "expert_mds/codec.json"],
)
def mds_index(expert_mds: Shards, value_ranges: pl.LazyFrame | None) -> Output:
    """The index of every folder of MDS files, made from what the rows of these files say: none is opened.

    It is replaced in one step after all files are there, so a reader sees the old set of files or the new one.
    """
    from paris_assets.experts.coding import codecs_of
    from paris_assets.experts.mds.indices import indices

    return indices(expert_mds.frame(), codecs_of(value_ranges))

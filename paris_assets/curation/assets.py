"""Verdicts, duplicates and the curated set."""

import polars as pl

from paris_assets.config import Profile
from paris_assets.curation.schema import CURATED_IMAGES, DUPLICATE_GROUPS, FILTERED_IMAGES
from paris_assets.dag.assets import all_asset, shard_asset
from paris_assets.images.reader import ImageTars
from paris_assets.storage.output import Output, Samples
from paris_assets.storage.shards import Shards


@shard_asset(FILTERED_IMAGES, group="curation", kinds={"polars"}, settings=["curation"])
def filtered_images(
    shard: str,
    images: ImageTars,
    profile: Profile,
    source_rows: pl.LazyFrame,
    raw_images: pl.LazyFrame,
    image_signals: pl.LazyFrame,
    content_scores: pl.LazyFrame | None,
) -> Output:
    """A verdict on every fetched image: kept, or the first rule of the profile that it fails and what the rule saw.

    Rules on the file and its signals come first, rules on model and source scores judge what is left.
    """
    from paris_assets.curation.shown import sample_verdicts
    from paris_assets.curation.verdicts import verdicts

    rows = verdicts(source_rows, raw_images, image_signals, content_scores, profile.curation)
    rejected = rows.filter(~pl.col("kept")).group_by("reason").len().sort("reason").rows()
    shown = Samples(sample_verdicts, images.of(shard, raw_images).one)
    kept = int(rows["kept"].sum())
    return Output(rows=[rows], rows_in=rows.height, rejects=dict(rejected), facts={"kept": kept}, samples=shown)


@all_asset(
    DUPLICATE_GROUPS,
    group="curation",
    kinds={"polars", "numpy"},
    settings=["duplicates"],
    slice_by="shard",
    keeps_rows="when_grown",
    pool="fit",
)
def duplicate_groups(
    images: ImageTars,
    profile: Profile,
    source_rows: Shards,
    raw_images: Shards,
    image_signals: Shards,
    filtered_images: Shards,
) -> Output:
    """Groups of images that show the same picture, over all shards, with one keeper each by a stated ranking.

    Copies are byte-identical, or close in pHash and confirmed by their thumbnails, so that look-alikes are not dropped.
    """
    from paris_assets.curation.groups import grouped
    from paris_assets.curation.shown import sample_copies

    output = grouped(source_rows, raw_images, image_signals, filtered_images, profile.duplicates)
    output.samples = Samples(sample_copies, lambda image_id: images.anywhere(raw_images)(image_id), columns=2)
    return output


@shard_asset(CURATED_IMAGES, group="curation", kinds={"polars"})
def curated_images(
    shard: str,
    images: ImageTars,
    source_rows: pl.LazyFrame,
    raw_images: pl.LazyFrame,
    duplicate_groups: pl.LazyFrame,
) -> Output:
    """The images that remain after rules and duplicates, one row for each, with the text and address of its source.

    Every later stage works on these; an image is here once in the whole set.
    """
    from paris_assets.curation.curated import curate
    from paris_assets.curation.shown import sample_curated

    groups = duplicate_groups.collect()
    rows = curate(shard, groups.lazy(), raw_images, source_rows)
    shown = Samples(sample_curated, images.of(shard, raw_images).one)
    dropped = {"duplicate": groups.height - rows.height}
    return Output(rows=[rows], rows_in=groups.height, rejects=dropped, samples=shown)

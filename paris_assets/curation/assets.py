"""Verdicts, duplicates and the curated set."""

from collections.abc import Callable
from functools import partial

import polars as pl

from paris_assets.compute import Compute
from paris_assets.config import Profile
from paris_assets.curation.schema import (
    CURATED_IMAGES,
    CURATION_REPORT,
    DUPLICATE_GROUPS,
    FILTERED_IMAGES,
    SCORE_QUANTILES,
)
from paris_assets.dag.assets import all_asset, shard_asset
from paris_assets.dag.flow import TELLING, account, stage_counts, with_words
from paris_assets.dag.records import Records
from paris_assets.images.reader import ImageTars
from paris_assets.storage.output import Output, Samples
from paris_assets.storage.shards import Shards

RULES = ["curation.prune", "curation.signal_rules", "curation.score_rules", "curation.quantile_rules", "curation.tiers"]


@all_asset(
    SCORE_QUANTILES,
    group="curation",
    kinds={"polars"},
    settings=RULES,
    used_if=lambda profile: bool(profile.curation.quantile_rules),
    refit_on_settings_only=True,
)
def score_quantiles(
    profile: Profile,
    source_rows: Shards,
    raw_images: Shards,
    image_signals: Shards,
    content_scores: Shards | None,
) -> Output:
    """What the shares of quantile rules come to: the values between which an image of each shard is kept.

    Ranked are the images of all shards that meet every other rule. A growing source does not move the bounds, so that
    no published image leaves; `paris run --from score_quantiles` ranks anew.
    """
    from paris_assets.curation.verdicts import Measured, quantiles

    def measured(shard: str) -> Measured:
        scores = None if content_scores is None else content_scores[shard]
        return Measured(source_rows[shard], raw_images[shard], image_signals[shard], scores)

    return quantiles(raw_images.keys, measured, profile.curation)


@shard_asset(FILTERED_IMAGES, group="curation", kinds={"polars"}, settings=RULES)
def filtered_images(
    shard: str,
    images: ImageTars,
    profile: Profile,
    source_rows: pl.LazyFrame,
    raw_images: pl.LazyFrame,
    image_signals: pl.LazyFrame,
    content_scores: pl.LazyFrame | None,
    score_quantiles: pl.LazyFrame | None,
) -> Output:
    """A verdict on every fetched image: kept, or the first rule of the profile that it fails and what the rule saw.

    Rules on the file and its signals come first, rules on model and source scores judge what is left, and shares of the
    whole set what is left then. Under a profile with tiers: the highest that an image reaches.
    """
    from paris_assets.curation.shown import sample_verdicts
    from paris_assets.curation.verdicts import Measured, verdicts

    measured = Measured(source_rows, raw_images, image_signals, content_scores)
    rows = verdicts(measured, profile.curation, score_quantiles)
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
    optional_inputs={"picture_embeddings": lambda profile: profile.duplicates.vectors is not None},
    pool="fit",
)
def duplicate_groups(
    compute: Compute,
    images: ImageTars,
    profile: Profile,
    source_rows: Shards,
    raw_images: Shards,
    image_signals: Shards,
    filtered_images: Shards,
    picture_embeddings: Shards | None,
    copy_embeddings: Shards | None,
) -> Output:
    """Groups of images that show the same picture, over all shards, with one keeper each by a stated ranking.

    Copies are byte-identical, or close in pHash and confirmed by their thumbnails, so that look-alikes are not dropped;
    under a profile with a `copy_embedder`, or with `duplicates.vectors`, also those with close vectors.
    """
    from paris_assets.curation.groups import grouped
    from paris_assets.curation.shown import sample_copies

    output = grouped(
        source_rows,
        raw_images,
        image_signals,
        filtered_images,
        picture_embeddings,
        copy_embeddings,
        profile.duplicates,
        compute,
    )
    output.samples = Samples(sample_copies, lambda image_id: images.anywhere(raw_images)(image_id), columns=2)
    return output


@shard_asset(
    CURATED_IMAGES,
    group="curation",
    kinds={"polars"},
    settings=["curation.boost", "curation.boost_factor"],
    optional_inputs={"filtered_images": lambda profile: bool(profile.curation.tiers)},
)
def curated_images(
    shard: str,
    images: ImageTars,
    profile: Profile,
    source_rows: pl.LazyFrame,
    raw_images: pl.LazyFrame,
    duplicate_groups: pl.LazyFrame,
    filtered_images: pl.LazyFrame | None,
) -> Output:
    """The images that remain after rules and duplicates, one row for each, with the text and address of its source.

    Every later stage works on these; an image is here once in the whole set.
    """
    from paris_assets.curation.curated import curate
    from paris_assets.curation.image_lists import boosts
    from paris_assets.curation.shown import sample_curated

    groups, factors = duplicate_groups.collect(), boosts(profile.curation)
    rows = curate(shard, groups.lazy(), raw_images, source_rows, filtered_images, factors)
    shown = Samples(sample_curated, images.of(shard, raw_images).one)
    dropped = {"duplicate": groups.height - rows.height}
    return Output(rows=[rows], rows_in=groups.height, rejects=dropped, samples=shown)


@all_asset(
    CURATION_REPORT,
    group="curation",
    kinds={"polars"},
    settings=["curation", "duplicates"],
    deps=["expert_summary"],
    data_files=["analysis/curation_report.html"],
    used_if=lambda profile: profile.curation.report,
)
def curation_report(
    compute: Compute,
    images: ImageTars,
    profile: Profile,
    records: Records,
    source_rows: Shards,
    raw_images: Shards,
    image_signals: Shards,
    content_scores: Shards | None,
    filtered_images: Shards,
    score_quantiles: pl.LazyFrame | None,
    duplicate_groups: pl.LazyFrame,
) -> Output:
    """What became of the images, from source rows to published samples, by rule; and how they look beside every bound.

    The same as a page to read lies in `analysis/curation_report.html`, with groups of copies to judge.
    """
    from paris_assets.curation.reported import reported
    from paris_assets.curation.verdicts import Measured, judged

    def of(shard: str) -> Callable[[], pl.LazyFrame]:
        scores = None if content_scores is None else content_scores[shard]
        measured = Measured(source_rows[shard], raw_images[shard], image_signals[shard], scores)
        return partial(judged, measured, filtered_images[shard])

    return reported(
        (of(shard) for shard in raw_images.keys),
        duplicate_groups,
        None if score_quantiles is None else score_quantiles.collect(),
        with_words(account(stage_counts(records, set(records.keys) - TELLING))),
        images.anywhere(raw_images),
        profile.curation,
        profile.duplicates,
        compute,
    )

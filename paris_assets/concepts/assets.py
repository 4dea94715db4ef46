"""What the curated images show, how rare that is, and how often each should be drawn in training."""

import polars as pl

from paris_assets.compute import Compute
from paris_assets.concepts.schema import CONCEPT_COUNTS, CONCEPTS, SAMPLING_WEIGHTS
from paris_assets.config import Profile
from paris_assets.dag.assets import all_asset, shard_asset
from paris_assets.images.reader import ImageTars
from paris_assets.models.registry import Models
from paris_assets.storage.output import Output
from paris_assets.storage.shards import Shards

TAGS = ("labeller", "min_probability", "max_labels", "phrases", "max_words", "listed")


def _used(profile: Profile) -> bool:
    return profile.concepts.used


@shard_asset(
    CONCEPTS,
    group="concepts",
    kinds={"polars", "pytorch"},
    settings=[f"concepts.{name}" for name in TAGS],
    used_if=_used,
    optional_inputs={
        "source_rows": lambda profile: profile.concepts.listed == "tags",
        "raw_images": lambda profile: profile.concepts.labeller is not None,
        "captions": lambda profile: profile.concepts.phrases,
    },
    pool="gpu",
)
def concepts(
    shard: str,
    images: ImageTars,
    models: Models,
    compute: Compute,
    profile: Profile,
    source_rows: pl.LazyFrame | None,
    raw_images: pl.LazyFrame | None,
    curated_images: pl.LazyFrame,
    captions: pl.LazyFrame | None,
) -> Output:
    """Tags of every curated image: labels of a classifier, phrases of its caption, what the source lists.

    Each source has a column of its own; which tags are concepts their number in the whole set decides.
    """
    from paris_assets.concepts.tags import tagged

    pictures = None if raw_images is None else images.of(shard, raw_images)
    return tagged(curated_images, source_rows, captions, pictures, profile.concepts, models, compute)


@all_asset(
    CONCEPT_COUNTS,
    group="concepts",
    kinds={"polars", "numpy"},
    settings=["concepts.parents", "concepts.min_df", "concepts.smoothing"],
    used_if=_used,
    data_files=["analysis/concepts.html"],
    pages={"Open the table of concepts": "analysis/concepts.html"},
    pool="fit",
    keeps_rows="when_taken_down",
)
def concept_counts(profile: Profile, concepts: Shards) -> Output:
    """In how many images each concept is seen, the broader one above it, and its rarity.

    A new shard changes these numbers, and with them the weights of all images.
    """
    from paris_assets.concepts.counts import counted

    return counted(concepts, profile.concepts)


@shard_asset(
    SAMPLING_WEIGHTS,
    group="concepts",
    kinds={"polars"},
    settings=["concepts.parents", "concepts.alpha", "concepts.min_weight", "concepts.max_weight"],
    used_if=_used,
)
def sampling_weights(profile: Profile, concepts: pl.LazyFrame, concept_counts: pl.LazyFrame) -> Output:
    """How often each curated image should be drawn: more often where it shows what is rare, within bounds.

    Samples are not repeated: the weight stands in the metadata of each, for the reader to draw by.
    """
    from paris_assets.concepts.weights import weighted

    rows = weighted(concepts, concept_counts.collect(), profile.concepts)
    untagged = rows.select((pl.col("concepts").list.len() == 0).sum()).item()
    return Output(rows=[rows], rows_in=rows.height, facts={"without_concepts": untagged})

"""Verdicts, duplicates and the curated set."""

from __future__ import annotations

import dagster as dg
import polars as pl

from paris_assets.dag.assets import all_asset, shard_asset
from paris_assets.dag.columns import every
from paris_assets.dag.store import Store
from paris_assets.storage.output import Output

# Every column that a rule of a profile may judge.
JUDGED = (
    *every("raw_images", "width", "height", "size_bytes"),
    *every("image_signals", "undecodable", "entropy", "blocking", "blur", "noise", "colour_cast", "exposure"),
    *every("image_signals", "contrast", "shadows", "highlights"),
    *every("source_rows", "aesthetic", "similarity", "punsafe", "pwatermark"),
    "content_scores.nsfw",
)
VERDICT = {
    "image_id": ("String", "image", "raw_images.image_id", "image_signals.image_id"),
    "kept": ("Boolean", "whether every rule is met", *JUDGED),
    "reason": ("String", "first failing rule; null when kept", *JUDGED),
    "value": ("Float64", "what that rule saw", *JUDGED),
    "reasons": ("List(String)", "all failing rules", *JUDGED),
}
SAME_PICTURE = ("raw_images.image_id", *every("image_signals", "phash", "thumbnail"))
GROUPS = {
    "image_id": ("String", "image", "raw_images.image_id", "filtered_images.image_id"),
    "shard": ("String", "shard of this occurrence"),
    "source_row": ("Int64", "source row of this occurrence", "raw_images.source_row"),
    "group_id": ("String", "smallest image_id of the group when it was first decided", *SAME_PICTURE),
    "keeper": (
        "Boolean",
        "the one occurrence that stays",
        *SAME_PICTURE,
        *every("raw_images", "width", "height"),
        "source_rows.aesthetic",
    ),
    "distance": ("UInt8", "pHash distance to the keeper, bits", "image_signals.phash"),
    "method": ("String", "exact or phash; null for the keeper", *SAME_PICTURE),
    "alt_texts": ("List(String)", "on keepers: texts of dropped exact copies", "raw_images.text"),
}
CURATED = {
    "image_id": ("String", "image, unique over the whole set", "duplicate_groups.image_id"),
    "source_row": ("Int64", "source row it stands for", "duplicate_groups.source_row"),
    "url": ("String", "where it came from", "raw_images.url"),
    "text": ("String", "text of the source", "raw_images.text"),
    "alt_texts": ("List(String)", "other texts of exact copies", "duplicate_groups.alt_texts", "raw_images.text"),
    "width": ("Int32", "pixels, as fetched after EXIF orientation", "raw_images.width"),
    "height": ("Int32", "pixels, as fetched after EXIF orientation", "raw_images.height"),
    "group_id": ("String", "duplicate group", "duplicate_groups.group_id"),
    "aesthetic": ("Float64", "aesthetic score of the source; null when unknown", "source_rows.aesthetic"),
    "similarity": ("Float64", "image-text similarity of the source", "source_rows.similarity"),
    "punsafe": ("Float64", "unsafe probability of the source", "source_rows.punsafe"),
    "pwatermark": ("Float64", "watermark probability of the source", "source_rows.pwatermark"),
}


@shard_asset(group="curation", kinds={"polars"}, settings=["curation"], columns=VERDICT)
def filtered_images(
    context: dg.AssetExecutionContext,
    store: dg.ResourceParam[Store],
    source_rows: pl.LazyFrame,
    raw_images: pl.LazyFrame,
    image_signals: pl.LazyFrame,
    content_scores: pl.LazyFrame,
) -> Output:
    """A verdict on every fetched image: kept, or the first rule of the profile that it fails and what the rule saw.

    Rules on the file and its signals come first, rules on model and source scores judge what is left.
    """
    from paris_assets.curation.verdicts import verdicts

    rows = verdicts(source_rows, raw_images, image_signals, content_scores, store.profile.curation)
    rejected = rows.filter(~pl.col("kept")).group_by("reason").len().sort("reason").rows()
    return Output(rows=[rows], rows_in=rows.height, rejects=dict(rejected), facts={"kept": int(rows["kept"].sum())})


@all_asset(group="curation", kinds={"polars", "numpy"}, settings=["duplicates"], columns=GROUPS, pool="fit")
def duplicate_groups(
    context: dg.AssetExecutionContext,
    store: dg.ResourceParam[Store],
    source_rows: pl.LazyFrame,
    raw_images: pl.LazyFrame,
    image_signals: pl.LazyFrame,
    filtered_images: pl.LazyFrame,
) -> Output:
    """Groups of images that show the same picture, over all shards, with one keeper each by a stated ranking.

    Copies are byte-identical, or close in pHash and confirmed by their thumbnails, so that look-alikes are not dropped.
    """
    from paris_assets.curation.tables import duplicate_groups as group_table

    return group_table(store)


@shard_asset(group="curation", kinds={"polars"}, settings=[], columns=CURATED)
def curated_images(
    context: dg.AssetExecutionContext,
    store: dg.ResourceParam[Store],
    source_rows: pl.LazyFrame,
    raw_images: pl.LazyFrame,
    duplicate_groups: pl.LazyFrame,
) -> Output:
    """The images that remain after rules and duplicates, one row for each, with the text and address of its source.

    Every later stage works on these; an image is here once in the whole set.
    """
    from paris_assets.curation.curated import curate

    record = store.record("duplicate_groups")
    covered = record.facts["shards"] if record else []
    shard = context.partition_key
    groups = duplicate_groups.filter(pl.col("shard") == shard)
    rows = curate(shard, groups, covered, raw_images, source_rows)
    members = groups.select(pl.len()).collect().item()
    return Output(rows=[rows], rows_in=members, rejects={"duplicate": members - rows.height})

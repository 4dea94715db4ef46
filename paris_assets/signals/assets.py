"""What is measured on every fetched image, and what models say of those that pass."""

from __future__ import annotations

import dagster as dg
import polars as pl

from paris_assets.storage.output import Output
from paris_assets.storage.store import Store
from paris_assets.storage.table_asset import shard_asset

SIGNALS = {
    "image_id": ("String", "image"),
    "undecodable": ("Boolean", "the pixels cannot be read: all signals are null"),
    "error": ("String", "why not"),
    "entropy": ("Float64", "mean Shannon entropy of R, G, B, bits (0-8)"),
    "blocking": ("Float64", "JPEG blocking: (b-o)/(b+o) over 8x8 block boundaries"),
    "blur": ("Float64", "variance of the Laplacian; small is blurred"),
    "noise": ("Float64", "Immerkaer's noise deviation, grey levels"),
    "colour_cast": ("Float64", "distance of the mean chroma over its spread"),
    "exposure": ("Float64", "mean luminance, 0-1"),
    "phash": ("UInt64", "64-bit perceptual hash (imagehash.phash)"),
    "dhash": ("UInt64", "64-bit difference hash (imagehash.dhash)"),
}
SCORES = {
    "image_id": ("String", "image that passes the rules on signals"),
    "nsfw": ("Float32", "probability by the scorer of this name; one column per scorer of the profile"),
}


@shard_asset(group="signals", kinds={"numpy"}, settings=["signals"], columns=SIGNALS)
def image_signals(
    context: dg.AssetExecutionContext, store: dg.ResourceParam[Store], raw_images: pl.LazyFrame
) -> Output:
    """Every CPU measurement, from one decode per image. Images whose pixels cannot be read get nulls and the error."""
    from paris_assets.signals.measure import measure

    ids = raw_images.filter(pl.col("status") == "ok").select("image_id").unique().collect()
    images = store.images(context.partition_key, ids)
    return Output(rows=measure(images, store.profile.signals), rows_in=ids.height)


@shard_asset(
    group="signals",
    kinds={"onnx"},
    settings=["scores"],
    chooses=["curation.signal_rules"],
    columns=SCORES,
    pool="gpu",
)
def content_scores(
    context: dg.AssetExecutionContext,
    store: dg.ResourceParam[Store],
    raw_images: pl.LazyFrame,
    image_signals: pl.LazyFrame,
) -> Output:
    """Model scores of the images that pass the rules on signals, so that no model time goes to rejected images."""
    from paris_assets.signals.tables import content_scores as score_table

    return score_table(store, context.partition_key, raw_images, image_signals)

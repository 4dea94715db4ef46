"""What is measured on every fetched image, and what models say of those that pass."""

from __future__ import annotations

import dagster as dg
import polars as pl

from paris_assets.dag.assets import shard_asset
from paris_assets.dag.store import Store
from paris_assets.storage.output import Output

PIXELS = "raw_images.image_id"  # which names the bytes that everything here is measured on
SIGNALS = {
    "image_id": ("String", "image", "raw_images.image_id"),
    "undecodable": ("Boolean", "the pixels cannot be read: all signals are null", PIXELS),
    "error": ("String", "why not; null where they can", PIXELS),
    "entropy": ("Float64", "mean Shannon entropy of R, G, B, bits (0-8)", PIXELS),
    "blocking": ("Float64", "JPEG blocking: (b-o)/(b+o) over 8x8 block boundaries", PIXELS),
    "blur": ("Float64", "variance of the Laplacian; small is blurred", PIXELS),
    "noise": ("Float64", "Immerkaer's noise deviation, grey levels", PIXELS),
    "colour_cast": ("Float64", "distance of the mean chroma over its spread", PIXELS),
    "exposure": ("Float64", "mean luminance, 0-1", PIXELS),
    "contrast": ("Float64", "deviation of the luminance, 0-1", PIXELS),
    "shadows": ("Float64", "share of pixels that are nearly black", PIXELS),
    "highlights": ("Float64", "share of pixels that are nearly white", PIXELS),
    "phash": ("UInt64", "64-bit perceptual hash (imagehash.phash)", PIXELS),
    "dhash": ("UInt64", "64-bit difference hash (imagehash.dhash)", PIXELS),
    "thumbnail": ("Array(UInt8, shape=(384,))", "16 x 16 luma, 8 x 8 Cb, 8 x 8 Cr: verifies near-duplicates", PIXELS),
}
SCORES = {
    "image_id": ("String", "image that passes the rules on signals", "raw_images.image_id", "image_signals.image_id"),
    "nsfw": ("Float32", "probability by the scorer of this name; one column per scorer of the profile", PIXELS),
}


@shard_asset(
    group="signals",
    kinds={"numpy"},
    settings=["signals"],
    columns=SIGNALS,
    other_columns="measured by a signal that the profile names",
)
def image_signals(
    context: dg.AssetExecutionContext, store: dg.ResourceParam[Store], raw_images: pl.LazyFrame
) -> Output:
    """Every measurement of a fetched image that needs no model, from one decode per image.

    Images whose pixels cannot be read get nulls and the error; `signals.measures` names the classes that measure.
    """
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
    other_columns="score by the scorer of this name in the profile",
    pool="gpu",
)
def content_scores(
    context: dg.AssetExecutionContext,
    store: dg.ResourceParam[Store],
    raw_images: pl.LazyFrame,
    image_signals: pl.LazyFrame,
) -> Output:
    """Model scores of an image, such as how likely it is unsafe, one column for each scorer of the profile.

    Only images that pass the rules on signals are scored, so that no model time goes to rejected ones.
    """
    from paris_assets.signals.tables import content_scores as score_table

    return score_table(store, context.partition_key, raw_images, image_signals)

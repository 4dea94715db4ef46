"""VAE latents and the report on what they keep of the pictures."""

from __future__ import annotations

import dagster as dg
import polars as pl

from paris_assets.dag.assets import all_asset, shard_asset
from paris_assets.dag.store import Store
from paris_assets.storage.output import Output

LATENTS = {
    "image_id": ("String", "image", "curated_images.image_id"),
    "latent_256": (
        "Array(Float16, (4, 32, 32))",
        "latent times the scaling factor; one column per resolution",
        "curated_images.image_id",
    ),
    "upscaled": ("Boolean", "the image was smaller than the resolution", "curated_images.image_id"),
    "crop_top": ("Int32", "rows cut above the crop, pixels of the resized image", "curated_images.image_id"),
    "crop_left": ("Int32", "columns cut left of the crop", "curated_images.image_id"),
}
REPORT = {
    "image_id": ("String", "image shown", "latents.image_id"),
    "psnr_db": ("Float64", "reconstruction PSNR, dB", "latents.latent_256", "raw_images.image_id"),
    "upscaled": ("Boolean", "the image was smaller than the resolution", "raw_images.image_id"),
    "trained_on": ("Boolean", "the codec saw this photo in training; null when unknown", "raw_images.image_id"),
}
SETTINGS = ["latents.codec", "latents.resolutions", "latents.upscale", "latents.posterior"]


@shard_asset(
    group="latents",
    kinds={"pytorch"},
    settings=["posterior_seed", *SETTINGS],
    columns=LATENTS,
    other_columns="latent times the scaling factor, at the resolution in its name",
    pool="gpu",
)
def latents(
    context: dg.AssetExecutionContext,
    store: dg.ResourceParam[Store],
    raw_images: pl.LazyFrame,
    curated_images: pl.LazyFrame,
) -> Output:
    """The VAE's latents of every curated image, resized by its short side and centre-cropped, times the scaling factor.

    Images below a resolution are upscaled only where `latents.upscale` says so; otherwise they get no latent.
    """
    from paris_assets.latents.tables import latents as latent_table

    return latent_table(store, context.partition_key, curated_images)


@all_asset(
    group="latents",
    kinds={"pytorch", "pillow"},
    settings=["latents"],
    columns=REPORT,
    data_files=["analysis/vae_*"],
    pool="gpu",
)
def latent_report(
    context: dg.AssetExecutionContext, store: dg.ResourceParam[Store], raw_images: pl.LazyFrame, latents: pl.LazyFrame
) -> Output:
    """What the latents keep of the pictures: originals beside decoded latents, with PSNR, for a fixed sample.

    Mean and deviation of all latents stand beside them; training expects about 0 and 1.
    """
    from paris_assets.latents.tables import latent_report as report_table

    return report_table(store)

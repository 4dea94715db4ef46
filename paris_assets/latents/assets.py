"""VAE latents and the report on what they keep of the pictures."""

from __future__ import annotations

import dagster as dg
import polars as pl

from paris_assets.storage.output import Output
from paris_assets.storage.store import Store
from paris_assets.storage.table_asset import all_asset, shard_asset

LATENTS = {
    "image_id": ("String", "image"),
    "latent_256": ("Array(Float16, (4, 32, 32))", "latent times the scaling factor; one column per resolution"),
    "upscaled": ("Boolean", "the image was smaller than the resolution"),
    "crop_top": ("Int32", "rows cut above the crop, pixels of the resized image"),
    "crop_left": ("Int32", "columns cut left of the crop"),
}
REPORT = {
    "image_id": ("String", "image shown"),
    "psnr_db": ("Float64", "reconstruction PSNR, dB"),
    "upscaled": ("Boolean", "the image was smaller than the resolution"),
    "trained_on": ("Boolean", "the codec saw this photo in training"),
}
SETTINGS = ["latents.codec", "latents.resolutions", "latents.upscale", "latents.posterior"]


@shard_asset(group="latents", kinds={"pytorch"}, settings=["posterior_seed", *SETTINGS], columns=LATENTS, pool="gpu")
def latents(
    context: dg.AssetExecutionContext,
    store: dg.ResourceParam[Store],
    raw_images: pl.LazyFrame,
    curated_images: pl.LazyFrame,
) -> Output:
    """Scaled latents of the resized, centre-cropped image. Images below the resolution are upscaled only by setting."""
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
    """Originals beside decoded latents, with PSNR and the moments of all latents."""
    from paris_assets.latents.tables import latent_report as report_table

    return report_table(store)

"""The tables of this stage."""

import polars as pl

from paris_assets.storage.schema import ArrayOf, Schema

LATENTS = Schema(
    {
        "image_id": (pl.String, "image", "curated_images.image_id"),
        "latent_256": (
            ArrayOf(pl.Float16, ("4", "32", "32"), or_ragged=True),
            "latent times the scaling factor; one column per resolution, null where the image does not cover it. In "
            "buckets float16 values of (channels, height, width), the last two beside it in columns of their own",
            "raw_images.image_id",
        ),
        "upscaled": (pl.Boolean, "the image was smaller than the resolution", "raw_images.width", "raw_images.height"),
        "crop_top": (
            pl.Int64,
            "rows cut above the crop, pixels of the resized image",
            "raw_images.width",
            "raw_images.height",
        ),
        "crop_left": (pl.Int64, "columns cut left of the crop", "raw_images.width", "raw_images.height"),
    },
    others="latent, or place of the crop in pixels, at the size in its name (the smallest where there is none)",
    by_profile=["latent_256"],
)
LATENT_REPORT = Schema(
    {
        "image_id": (pl.String, "image shown", "latents.image_id"),
        "psnr_db": (pl.Float64, "reconstruction PSNR, dB", "latents.latent_256", "raw_images.image_id"),
        "upscaled": (pl.Boolean, "the image was smaller than the resolution", "raw_images.image_id"),
        "trained_on": (pl.Boolean, "the codec saw this photo in training; null when unknown", "raw_images.image_id"),
    },
    others="reconstruction PSNR, dB, at the size in its name; null where the image is not shown at it",
)

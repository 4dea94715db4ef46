"""VAE latents and the report on what they keep of the pictures."""

import polars as pl

from paris_assets.compute import Compute
from paris_assets.config import Profile
from paris_assets.dag.assets import all_asset, shard_asset
from paris_assets.images.reader import ImageTars
from paris_assets.latents.schema import LATENT_REPORT, LATENTS
from paris_assets.models.registry import Models
from paris_assets.storage.output import Output
from paris_assets.storage.shards import Shards


@shard_asset(
    LATENTS,
    group="latents",
    kinds={"pytorch"},
    settings=[
        "posterior_seed",
        "latents.codec",
        "latents.resolutions",
        "latents.buckets",
        "latents.upscale",
        "latents.posterior",
    ],
    pool="gpu",
)
def latents(
    shard: str,
    images: ImageTars,
    models: Models,
    compute: Compute,
    profile: Profile,
    raw_images: pl.LazyFrame,
    curated_images: pl.LazyFrame,
) -> Output:
    """The VAE's latents of every curated image at each size that it covers, times the scaling factor.

    An image is decoded once, resized and centre-cropped, to squares or to the bucket nearest to its shape. Images below
    a size are upscaled only where `latents.upscale` says so; otherwise they get no latent of it.
    """
    from paris_assets.latents.encoded import encoded

    return encoded(curated_images, images.of(shard, raw_images), profile.latents, profile.seed, models, compute)


@all_asset(
    LATENT_REPORT,
    group="latents",
    kinds={"pytorch", "pillow"},
    settings=["latents"],
    data_files=["analysis/vae_*"],
    pool="gpu",
    pages={"Open the whole picture": "analysis/vae_reconstruction_samples.png"},
)
def latent_report(images: ImageTars, models: Models, profile: Profile, raw_images: Shards, latents: Shards) -> Output:
    """What the latents keep of the pictures: originals beside decoded latents, with PSNR, for a fixed sample.

    Mean and deviation of all latents stand beside them; training expects about 0 and 1. Of several sizes, or of
    buckets, a page says how images spread over them and what is cropped away.
    """
    from paris_assets.latents.reported import reported

    return reported(latents, images.anywhere(raw_images), profile.latents, models)

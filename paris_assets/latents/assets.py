"""VAE latents and the report on what they keep of the pictures."""

import polars as pl

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
    settings=["posterior_seed", "latents.codec", "latents.resolutions", "latents.upscale", "latents.posterior"],
    pool="gpu",
)
def latents(
    shard: str,
    images: ImageTars,
    models: Models,
    profile: Profile,
    raw_images: pl.LazyFrame,
    curated_images: pl.LazyFrame,
) -> Output:
    """The VAE's latents of every curated image, resized by its short side and centre-cropped, times the scaling factor.

    Images below a resolution are upscaled only where `latents.upscale` says so; otherwise they get no latent.
    """
    from paris_assets.latents.encoded import encoded

    return encoded(curated_images, images.of(shard, raw_images), profile.latents, profile.seed, models)


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

    Mean and deviation of all latents stand beside them; training expects about 0 and 1.
    """
    from paris_assets.latents.reported import reported

    return reported(latents, images.anywhere(raw_images), profile.latents, models)

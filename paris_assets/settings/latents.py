"""Settings of the stage `latents`."""

from __future__ import annotations

from typing import Annotated, Literal

from pydantic import AfterValidator, Field

from paris_assets.settings.network import Model
from paris_assets.settings.section import Section, distinct


class Latents(Section):
    """Latents of the VAE."""

    codec: Model = Field(default=Model(implementation="autoencoder-kl", path="small-vae"), description="latent codec")
    resolutions: Annotated[list[Annotated[int, Field(ge=1)]], AfterValidator(distinct)] = Field(
        default=[256], min_length=1, description="square sizes encoded, pixels"
    )
    upscale: bool = Field(default=False, description="upscale smaller images (recorded); otherwise they get no latent")
    posterior: Literal["mean", "sample"] = Field(
        default="mean", description="latent = mean, or a sample seeded per image"
    )
    report_images: int = Field(default=16, ge=1, description="images shown in the latent report")

"""Settings of the stage `latents`."""

from __future__ import annotations

from typing import Annotated, Literal

from pydantic import AfterValidator, Field, model_validator

from paris_assets.settings.network import Model
from paris_assets.settings.section import Section, distinct

Resolutions = Annotated[list[Annotated[int, Field(ge=1)]], AfterValidator(distinct)]
SDXL_AREA, SDXL_STEP = 1024, 64
"""Side of the square that the areas of SDXL's table are about, and what all its sides are multiples of, pixels."""


class Buckets(Section):
    """Shapes of about one area, of which an image gets the one that is nearest to its own."""

    resolutions: Resolutions = Field(
        min_length=1, description="those of `latents.resolutions` that are in buckets; the others are square"
    )
    table: Literal["sdxl", "generated"] = Field(
        default="sdxl",
        description="the 33 shapes of SDXL and PixArt, or all that `area`, `step` and `max_aspect` allow; other sizes "
        "have the same shapes, scaled",
    )
    area: int = Field(
        default=SDXL_AREA, ge=1, description="side of the square that a generated table is made for, pixels"
    )
    step: int = Field(default=SDXL_STEP, ge=8, description="what sides in a generated table are multiples of, pixels")
    max_aspect: float = Field(default=4.0, ge=1, description="longest side of a generated table by the shorter")
    max_ratio_error: float | None = Field(
        default=None,
        gt=0,
        description="images whose ratio of sides is farther from its bucket's (|log| of the quotient) get no latent in "
        "buckets; null: whatever is left over is cropped away",
    )

    @model_validator(mode="after")
    def _one_table(self) -> Buckets:
        if self.table == "sdxl" and self.model_fields_set & {"area", "step", "max_aspect"}:
            raise ValueError("area, step and max_aspect are of generated tables: set table to generated, or leave them")
        if self.area % self.step:
            raise ValueError(f"area {self.area} is no multiple of step {self.step}: the square would not be there")
        return self


class Latents(Section):
    """Latents of the VAE."""

    codec: Model = Field(default=Model(implementation="autoencoder-kl", path="small-vae"), description="latent codec")
    resolutions: Resolutions = Field(
        default=[256],
        min_length=1,
        description="sizes encoded, pixels: sides of squares, or of the square of the area of buckets. An image has "
        "latents at those that it covers",
    )
    buckets: Buckets | None = Field(default=None, description="sizes whose shapes follow the images'")
    upscale: bool = Field(default=False, description="upscale smaller images (recorded); otherwise they get no latent")
    posterior: Literal["mean", "sample"] = Field(
        default="mean", description="latent = mean, or a sample seeded per image"
    )
    report_images: int = Field(
        default=16, ge=1, description="images shown in the latent report; of larger sizes fewer, at least 4"
    )

    report_batch: int = Field(
        default=32, ge=1, description="samples of a training batch: the report counts images of buckets that fill none"
    )

    @model_validator(mode="after")
    def _buckets_of_sizes(self) -> Latents:
        unknown = sorted(set(self.bucketed) - set(self.resolutions))
        if unknown:
            raise ValueError(f"buckets.resolutions: {unknown} are not among resolutions {self.resolutions}")
        return self

    @property
    def bucketed(self) -> list[int]:
        """Sizes in buckets."""
        return self.buckets.resolutions if self.buckets else []

    @property
    def squares(self) -> list[int]:
        """Sizes whose latents are all of one shape, rising."""
        return [size for size in sorted(self.resolutions) if size not in self.bucketed]

    def column(self, name: str, resolution: int) -> str:
        """A column that tells of one size: named for it, unless it is the smallest."""
        return name if resolution == min(self.resolutions) else f"{name}_{resolution}"

    def placing(self, resolution: int) -> list[str]:
        """Columns that say where the crop of a size lies. Of one square size alone the rest follows from it."""
        names = ["upscaled", "crop_top", "crop_left"]
        if len(self.resolutions) > 1 or self.buckets:
            names += ["resized_height", "resized_width", "target_height", "target_width"]
        return [self.column(name, resolution) for name in names]

    @property
    def placed(self) -> list[str]:
        """Columns that say how an image was cropped, of all sizes."""
        columns = [name for size in sorted(self.resolutions) for name in self.placing(size)]
        return [*columns, "bucket", "ratio_error"] if self.buckets else columns

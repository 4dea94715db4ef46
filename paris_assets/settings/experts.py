"""Settings of the stage `experts`."""

from __future__ import annotations

from typing import Annotated, Literal

from pydantic import AfterValidator, Field, model_validator

from paris_assets.settings.section import Section, distinct

Format = Literal["webdataset", "mds"]
MdsHash = Literal["blake2b", "md5", "sha1", "sha256", "sha512", "xxh3_64", "xxh64", "xxh128"]
Magnitude = Annotated[float, Field(gt=0, le=65504)]


def in_order(values: list[MdsHash]) -> list[MdsHash]:
    """The values sorted, each once: readers of MDS ask for that."""
    return sorted(distinct(values))


class ArrayRange(Section):
    """The range of a uint8 codec: frozen for a root, whatever is added to its source later."""

    range: Magnitude | None = Field(
        default=None, description="largest magnitude that is kept; null: taken from `percentile`"
    )
    percentile: float = Field(
        default=99.95, gt=50, le=100, description="share of the magnitudes other than zero, %, that is in the range"
    )
    rows: int = Field(
        default=2048, ge=1, description="images whose values the percentile and the errors are taken from, by `seed`"
    )


class LatentRange(ArrayRange):
    """The same of latents, where channels may have ranges of their own."""

    per_channel: bool = Field(default=False, description="a range for each channel, from `percentile`")

    @model_validator(mode="after")
    def _one_range(self) -> LatentRange:
        if self.per_channel and self.range is not None:
            raise ValueError("`per_channel` takes the ranges from `percentile`: leave `range` out")
        return self


class Codec(Section):
    """Which arrays of samples are stored as uint8."""

    latents: LatentRange | None = Field(default=None, description="latents, of every size; null: float16")
    text: ArrayRange | None = Field(
        default=None, description="text embeddings and the empty prompt; pooled vectors stay float16. null: float16"
    )

    @model_validator(mode="after")
    def _any(self) -> Codec:
        if self.latents is None and self.text is None:
            raise ValueError("experts.codec takes `latents`, `text` or both: {latents: {}} is one with all defaults")
        return self


class Mds(Section):
    """Files for mosaicml/streaming."""

    size_limit: int = Field(
        default=1 << 26,
        ge=1024,
        lt=1 << 32,
        description="most bytes of a file before compression, unless one sample has more",
    )
    compression: str | None = Field(
        default=None,
        pattern=r"^zstd(:([1-9]|1[0-9]|2[0-2]))?$",
        description="`zstd` or `zstd:LEVEL`; worth it for text and metadata, hardly for latents. null: none",
    )
    hashes: Annotated[list[MdsHash], AfterValidator(in_order)] = Field(
        default=["sha256", "xxh64"], description="hashes of each file in its index, of which readers check one"
    )


class Experts(Section):
    """Training shards."""

    max_samples: int = Field(default=10_000, ge=1, description="most samples per tar")
    validation_fraction: float = Field(
        default=0.05, ge=0, lt=1, description="share of each expert's duplicate groups that is held out"
    )
    split_tars: bool = Field(
        default=False,
        description="train and validation samples in tars of their own, listed in `train.txt` and `validation.txt`, "
        "and in folders of MDS files of these names",
    )
    router_resolution: int | None = Field(
        default=None,
        ge=1,
        description="latents of the router arrays: one of `latents.resolutions` that is square and that every sample "
        "has; null: the smallest",
    )
    consolidate_max_bytes: int = Field(default=2_000_000_000, ge=1, description="router files above this are numbered")
    formats: Annotated[list[Format], AfterValidator(distinct)] = Field(
        default=["webdataset"], min_length=1, description="how samples are written: webdataset, mds or both"
    )
    mds: Mds = Mds()
    codec: Codec | None = Field(default=None, description="what is stored as uint8; null: nothing, all is float16")

"""Settings of the stage `clusters`; its network is `embedder` of the profile."""

from __future__ import annotations

from typing import Annotated, Literal

from pydantic import AfterValidator, Field, model_validator

from paris_assets.settings.section import Section, distinct


class Clusters(Section):
    """How image embeddings are split between experts."""

    k: int = Field(default=8, ge=1, description="number of experts")
    features: Annotated[list[Literal["image", "text"]], AfterValidator(distinct)] = Field(
        default=["image"], min_length=1, description="parts joined, each L2-normalised"
    )
    normalize: bool = Field(default=True, description="L2-normalise before the fit (distances are Euclidean there)")
    reduce: Literal["none", "centre", "pca"] = Field(
        default="none",
        description="before the fit: subtract the mean of the images fitted on (centre), or that and keep the `dims` "
        "directions in which they differ most (pca); then L2-normalised again where normalize is set",
    )
    dims: int = Field(default=64, ge=1, description="values kept by `reduce: pca`; fewer where images vary in fewer")
    fine: int | Literal["auto"] | None = Field(
        default=None, description="fine centroids of a two-stage fit; auto scales with the images; null fits k directly"
    )
    assignment: Literal["nearest", "inherit"] = Field(
        default="nearest", description="nearest coarse centroid, or the group of the image's nearest fine centroid"
    )
    max_share: float | None = Field(
        default=None, gt=0, le=1, description="cap on the share of the largest cluster in the fit"
    )
    keep_numbers: bool = Field(
        default=False,
        description="whether a new fit numbers its clusters after those of the model before, by the images they share; "
        "what a root holds then depends on the fits it has seen. Else by falling size",
    )
    max_train: int = Field(
        default=1_000_000, ge=1, description="most embeddings the fit reads, chosen by image_id hash"
    )
    iterations: int = Field(default=50, ge=1, description="k-means iterations")
    restarts: int = Field(default=10, ge=1, description="k-means restarts; the lowest inertia wins")
    stability_seeds: int = Field(default=5, ge=2, description="seeds compared by adjusted Rand index in the report")
    sample: int = Field(default=5000, ge=100, description="most images used for silhouette, map and stability")
    probe_sample: int = Field(
        default=10_000,
        ge=100,
        le=20_000,
        description="most images that linear and small probes of the report are taught and judged by",
    )
    near_copy_cosine: float = Field(
        default=0.95,
        ge=0.5,
        le=1,
        description="smallest cosine of image embeddings of near copies in the report",
    )
    sweep: Annotated[list[Annotated[int, Field(ge=1)]], AfterValidator(distinct)] = Field(
        default=[], description="further numbers of clusters that the report compares with k, and recommends one"
    )
    min_images: int = Field(default=2, ge=1, description="clusters smaller than this are of low value and not selected")
    min_caption_diversity: float = Field(
        default=0.05, ge=0, le=1, description="least distinct captions per image of a cluster"
    )
    keep_fraction: float = Field(
        default=1.0, gt=0, le=1, description="share of each valued cluster selected for training"
    )
    prefer: Literal["near", "far"] = Field(
        default="near", description="images kept first, by distance to their centroid"
    )

    @model_validator(mode="after")
    def _possible(self) -> Clusters:
        if isinstance(self.fine, int) and self.fine < self.k:
            raise ValueError(f"fine is {self.fine}, but it is merged into k = {self.k} clusters: raise it")
        if self.max_share is not None and self.max_share * self.k < 1:
            raise ValueError(f"max_share {self.max_share:g} of k = {self.k} clusters cannot hold all images: raise one")
        return self

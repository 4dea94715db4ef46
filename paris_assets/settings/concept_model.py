"""Settings of the clusters of a pool's vectors."""

from __future__ import annotations

from typing import Annotated, Literal

from pydantic import AfterValidator, Field

from paris_assets.settings.section import Section, distinct

Count = Annotated[int, Field(ge=1)]


class ConceptModel(Section):
    """k-means of a pool's vectors, many clusters that are judged and pruned; experts have their own."""

    features: Annotated[list[Literal["image", "text"]], AfterValidator(distinct)] = Field(
        default=["text"], min_length=1, description="vectors joined, each L2-normalised"
    )
    k: Count | Literal["auto"] = Field(
        default="auto",
        description="number of concepts; auto is one for 10,000 rows, at least 64 and at most 2,000, and never more "
        "than one for 8 distinct vectors",
    )
    iterations: int = Field(default=50, ge=1, description="most k-means iterations over all rows fitted on")
    max_train: int | None = Field(
        default=1_000_000, ge=1, description="most rows the fit reads, chosen by a hash of their vectors; null for all"
    )
    sweep: Annotated[list[Count], AfterValidator(distinct)] = Field(
        default_factory=list,
        description="further numbers of concepts that are fitted and compared with k in analysis/concept_sweep.html",
    )
    sample: int = Field(
        default=5000, ge=100, description="most rows that the sweep's silhouette and stability are measured on"
    )

"""Settings of the stage `experts`."""

from __future__ import annotations

from pydantic import Field

from paris_assets.settings.section import Section


class Experts(Section):
    """Training shards."""

    max_samples: int = Field(default=10_000, ge=1, description="most samples per tar")
    validation_fraction: float = Field(
        default=0.05, ge=0, lt=1, description="share of each expert's duplicate groups that is held out"
    )
    split_tars: bool = Field(
        default=False,
        description="train and validation samples in tars of their own, listed in `train.txt` and `validation.txt`",
    )
    consolidate_max_bytes: int = Field(default=2_000_000_000, ge=1, description="router files above this are numbered")

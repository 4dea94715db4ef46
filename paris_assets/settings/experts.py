"""Settings of the stage `experts`."""

from __future__ import annotations

from pydantic import Field

from paris_assets.settings.section import Section


class Experts(Section):
    """Training shards."""

    max_samples: int = Field(default=10_000, ge=1, description="most samples per tar")
    validation_fraction: float = Field(
        default=0.05, ge=0, lt=1, description="share held out, by hash of the duplicate group"
    )
    consolidate_max_bytes: int = Field(default=2_000_000_000, ge=1, description="router files above this are numbered")

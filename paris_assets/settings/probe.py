"""Settings of the training that compares subsets."""

from __future__ import annotations

from typing import Annotated

from pydantic import AfterValidator, Field

from paris_assets.settings.section import Section, distinct

Fraction = Annotated[float, Field(gt=0, le=1)]


class Probe(Section):
    """Two linear maps, trained contrastively on each subset for the same number of samples seen."""

    rows: int = Field(
        default=100_000, ge=1000, description="most rows of the pool that it works on, chosen by a hash of the uid"
    )
    samples_seen: int = Field(default=64_000, ge=1, description="samples seen by every training, however many rows")
    batch: int = Field(default=256, ge=8, description="pairs of a batch")
    dim: int = Field(default=32, ge=2, description="size of the space that both maps lead to")
    temperature: float = Field(default=0.07, ge=0.03, le=1, description="temperature of InfoNCE")
    learning_rate: float = Field(default=3e-3, gt=0, description="step of Adam")
    seeds: int = Field(default=8, ge=3, description="runs of each training; every run holds other rows out")
    held_out: int = Field(
        default=1000,
        ge=20,
        description="most pairs held out in a run, each of another image and caption and no more than a fifth of these",
    )
    fractions: Annotated[list[Fraction], AfterValidator(distinct)] = Field(
        default=[0.1, 0.2, 0.3, 0.4, 0.5, 0.6, 0.7, 0.8, 0.9, 1.0],
        description="shares of the ranked rows, best first, of the pruning curve",
    )
    confidence: float = Field(default=0.95, gt=0.5, lt=1, description="of the intervals of differences")

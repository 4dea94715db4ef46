"""Settings of the stage `pool`: which rows of a source are fetched."""

from __future__ import annotations

import re

from pydantic import Field, field_validator, model_validator

from paris_assets.settings.concept_model import ConceptModel
from paris_assets.settings.judge import Evidence, Judge
from paris_assets.settings.pool_rows import CaptionFigures, PoolVectors
from paris_assets.settings.probe import Probe
from paris_assets.settings.section import Section
from paris_assets.settings.selectors import Balance, Deduplicate, ImageBased, Judged, Prune, Step, TextBased

TAKEN = ("shard", "source_row", "uid", "selected", "reason", "value", "rank", "selection")
"""Columns of `pool_scores`, and the selection's own file, whose names no subset can have."""


class Pool(Section):
    """Choosing rows before they are fetched; unused without `select` and `subsets`."""

    vectors: PoolVectors = PoolVectors()
    captions: CaptionFigures = CaptionFigures()
    concepts: ConceptModel | None = Field(default=None, description="clusters of vectors; null: none")
    evidence: Evidence = Field(default=Evidence(), description="what is shown of each concept")
    judge: Judge | None = Field(default=None, description="who says which concepts are worth training on; null: nobody")
    select: list[Step] = Field(
        default_factory=list, description="steps of the selection, each on the rows that the ones before it left"
    )
    subsets: dict[str, list[Step]] = Field(
        default_factory=dict, description="name -> steps of a further subset, listed beside the selection"
    )
    controls: int = Field(default=3, ge=1, description="random subsets of the selection's size that stand beside it")
    probe: Probe | None = Field(default=None, description="training on the subsets, compared with the controls")

    @property
    def used(self) -> bool:
        """Whether a profile chooses rows at all."""
        return bool(self.select or self.subsets)

    @property
    def _steps(self) -> list[Step]:
        return [*self.select, *(step for steps in self.subsets.values() for step in steps)]

    @field_validator("subsets")
    @classmethod
    def _file_names(cls, subsets: dict[str, list[Step]]) -> dict[str, list[Step]]:
        for name in subsets:
            if (
                name in TAKEN
                or re.search(r"(^|-)random-\d+$", name)
                or not re.fullmatch(r"[A-Za-z0-9][\w.-]{0,99}", name)
            ):
                raise ValueError(
                    f"a subset cannot be called {name!r}: letters, digits, '_', '-' and '.', not random-0, random-1, "
                    f"... nor one of {', '.join(TAKEN)}"
                )
        return subsets

    @model_validator(mode="after")
    def _known_concepts(self) -> Pool:
        for step in self._steps:
            by_concept = (
                isinstance(step, Judged | Prune)
                or (isinstance(step, Balance) and step.words is None)
                or (isinstance(step, Deduplicate) and step.by_concept)
            )
            if by_concept and self.concepts is None:
                raise ValueError(f"the step {step.said} needs concepts: set pool.concepts")
            if isinstance(step, Judged) and self.judge is None:
                raise ValueError(f"the step {step.said} needs verdicts: set pool.judge")
        return self

    @model_validator(mode="after")
    def _known_of_rows(self) -> Pool:
        for step in self._steps:
            if isinstance(step, TextBased) and self.captions.wordnet is None:
                raise ValueError(f"the step {step.said} compares words with nouns: set pool.captions.wordnet")
            features = step.features if isinstance(step, Deduplicate) else "image"
            if isinstance(step, Deduplicate | ImageBased) and features not in self.vectors.kinds:
                raise ValueError(f"the step {step.said} needs vectors of {features}, which pool.vectors does not give")
        return self

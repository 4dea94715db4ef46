"""Settings of the stage `concepts`."""

from __future__ import annotations

from typing import Annotated, Literal

from pydantic import AfterValidator, Field

from paris_assets.settings.network import Model
from paris_assets.settings.section import Section


def spelled(concept: str) -> str:
    """A concept as tables hold it: lower case, words one blank apart."""
    return " ".join(concept.lower().split())


def broader(concept: str, parents: dict[str, str]) -> str | None:
    """The next broader concept: the one that is stated, else the words but the first (`golden retriever` ->
    `retriever`: in English the last noun says what a thing is); None for a single word."""
    return parents.get(concept) or concept.partition(" ")[2] or None


def _leading_upwards(stated: dict[str, str]) -> dict[str, str]:
    parents = {spelled(concept): spelled(parent) for concept, parent in stated.items()}
    if "" in parents or "" in parents.values():
        raise ValueError("parents: a concept has no letters")
    for concept in parents:
        passed, place = [concept], broader(concept, parents)
        while place is not None:
            if place in passed:
                raise ValueError(f"parents lead in a circle: {' -> '.join([*passed, place])}")
            passed.append(place)
            place = broader(place, parents)
    return parents


class Concepts(Section):
    """What images show, and how rarity becomes a sampling weight; none without `labeller`, `phrases` or `listed`."""

    labeller: Model | None = Field(
        default=None, description="classifier whose labels are tags, such as `imagenet-tags`; null: none"
    )
    min_probability: float = Field(default=0.2, gt=0, le=1, description="least probability of a label that is a tag")
    max_labels: int = Field(default=3, ge=1, description="most labels of an image")
    phrases: bool = Field(
        default=False, description="words and phrases of the caption that lie between English stop words are tags"
    )
    max_words: int = Field(default=3, ge=1, le=5, description="longest phrase, words")
    listed: Literal["tags", "text", "alt_texts"] | None = Field(
        default=None,
        description="column of the source that lists tags, with commas, semicolons, bars or ends of lines between them "
        "(`source.columns` says which one `tags` is); null: none",
    )
    min_df: int = Field(default=5, ge=1, description="images that a concept needs; rarer ones weigh nothing")
    parents: Annotated[dict[str, str], AfterValidator(_leading_upwards)] = Field(
        default_factory=dict, description="concept -> a broader one, where it is not its last words (`hot dog: food`)"
    )
    smoothing: float = Field(
        default=0.1, ge=0, le=1, description="share of the broader concept's images that count as the concept's own"
    )
    alpha: float = Field(default=0.5, ge=0, le=2, description="power of the rarity; 0 weighs all images alike")
    min_weight: float = Field(default=0.25, gt=0, le=1, description="least weight of an image")
    max_weight: float = Field(default=4.0, ge=1, description="largest weight of an image")

    @property
    def used(self) -> bool:
        """Whether any source of tags is named."""
        return self.labeller is not None or self.phrases or self.listed is not None

"""Settings of what is shown of concepts, and of who judges them."""

from __future__ import annotations

from typing import Literal

from pydantic import Field, model_validator

from paris_assets.settings.chat_server import ChatServer
from paris_assets.settings.section import Section, tuning

Policy = Literal["keep", "drop"]


class Evidence(Section):
    """What stands for a concept, whoever judges it."""

    captions: int = Field(
        default=5, ge=1, le=100, description="distinct captions of each kind: nearest, furthest and random"
    )
    sample: int = Field(
        default=64,
        ge=2,
        le=4096,
        description="distinct captions of each concept by which compression and words are measured",
    )


class CaptionRules(Section):
    """Bounds of the judge `caption-rules`; at `mixed` of a bound on a share the concept is called mixed."""

    file_names: float = Field(default=0.5, gt=0, le=1, description="least share of file names that drops a concept")
    template_share: float = Field(
        default=0.5, gt=0, le=1, description="least share of the most frequent template that drops a concept"
    )
    top_share: float = Field(
        default=0.5, gt=0, le=1, description="least share of the most frequent caption that drops a concept"
    )
    without_caption: float = Field(
        default=0.5, gt=0, le=1, description="least share of rows without a caption that drops a concept"
    )
    mixed: float = Field(
        default=0.6, gt=0, le=1, description="part of these bounds from which on a concept is mixed; 1: none is"
    )
    min_words: float = Field(default=2.0, ge=0, description="least mean words of a caption")
    max_compression: float = Field(
        default=3.5, ge=1, description="largest ratio by which zlib compresses a sample of its distinct captions"
    )
    languages: list[str] = Field(
        default_factory=list, description="languages, ISO 639-1, of which a concept has to have `min_language`; []: any"
    )
    min_language: float = Field(default=0.5, ge=0, le=1, description="least share of captions in these languages")
    min_similarity: float | None = Field(
        default=None, description="least mean image-text score of `score`; null: any. A concept without scores passes"
    )
    score: Literal["similarity", "clip_l14", "clip_b32"] = Field(
        default="similarity", description="the image-text score that `min_similarity` bounds"
    )


class JudgeEndpoint(ChatServer):
    """A judge behind an address."""

    structured: Literal["auto", "response_format", "structured_outputs", "guided_json", "none"] = tuning(
        "auto",
        "how the server is told the schema of an answer; auto: the first way that it keeps to, tried once at the "
        "start; none: by words alone",
    )


class ScoreBounds(Section):
    """Bounds on the mean scores of a concept's answers, 0 to 4; one that is not met turns keep into drop."""

    min_informative: float = Field(default=0.0, ge=0, le=4, description="least informative")
    min_variety: float = Field(default=0.0, ge=0, le=4, description="least variety")
    max_repetition: float = Field(default=4.0, ge=0, le=4, description="most repetition")
    min_english: float = Field(default=0.0, ge=0, le=1, description="least share of English that the judge sees")


class Judge(Section):
    """Who judges concepts by their captions, and what becomes of doubtful ones. Without `endpoint` and
    `implementation` it is `caption-rules`, which asks nobody."""

    endpoint: JudgeEndpoint | None = Field(default=None, description="a language model behind an address")
    implementation: str | None = Field(
        default=None, description="a judge of your own: import path `package.module:Class`"
    )
    rules: CaptionRules = Field(
        default=CaptionRules(), description="bounds of `caption-rules`, with which other judges are compared as well"
    )
    scores: ScoreBounds = Field(default=ScoreBounds(), description="bounds on scores that the answers give")
    votes: int = Field(
        default=3, ge=1, le=25, description="answers for each concept, its captions in another order each time"
    )
    min_agreement: float = Field(
        default=0.6, gt=0, le=1, description="least share of answers with one verdict; below, it is undecided"
    )
    undecided: Policy = Field(default="keep", description="what becomes of a concept that votes leave undecided")
    mixed: Policy = Field(default="keep", description="what becomes of one that is called mixed")
    unsafe: Policy = Field(default="drop", description="what becomes of one that most answers call unsafe")
    max_failed: float = Field(
        default=0.05, ge=0, le=1, description="largest share of concepts without enough answers; above, the asset fails"
    )

    @model_validator(mode="after")
    def _one_judge(self) -> Judge:
        if self.endpoint is not None and self.implementation is not None:
            raise ValueError("pool.judge takes one of `endpoint` and `implementation`; neither is `caption-rules`")
        return self

    def import_paths(self) -> list[str]:
        """The judge of one's own, if any."""
        return [self.implementation] if self.implementation else []

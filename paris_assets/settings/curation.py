"""Settings of the stage `curation`."""

from __future__ import annotations

from typing import Annotated, Any, Literal

from pydantic import AfterValidator, Discriminator, Field, Tag, model_validator

from paris_assets.settings.credentials import refuse_secret_options
from paris_assets.settings.section import Section


class Rule(Section):
    """Keeps images whose `column` lies within [min, max]."""

    name: str = Field(description="the reason recorded when the rule rejects")
    column: str = Field(description="column of raw_images, image_signals, content_scores or source_rows")
    min: float | None = Field(default=None, allow_inf_nan=False, description="smallest value kept")
    max: float | None = Field(default=None, allow_inf_nan=False, description="largest value kept")
    null: Literal["keep", "reject"] = Field(default="reject", description="verdict where the value is unknown")

    @model_validator(mode="after")
    def _bounded(self) -> Rule:
        if self.min is None and self.max is None:
            raise ValueError(f"rule {self.name!r} has neither min nor max")
        if self.min is not None and self.max is not None and self.min > self.max:
            raise ValueError(f"rule {self.name!r} keeps nothing: its min {self.min:g} is above its max {self.max:g}")
        return self


class OwnRule(Section):
    """Keeps images that a class of your own keeps; see ``paris_assets/rules/rule.py``."""

    name: str = Field(description="the reason recorded when the rule rejects")
    implementation: str = Field(description="import path `package.module:Class`")
    options: Annotated[dict[str, Any], AfterValidator(refuse_secret_options)] = Field(
        default_factory=dict, description="arguments of the class"
    )
    null: Literal["keep", "reject"] = Field(default="reject", description="verdict where the rule gives none")

    def import_paths(self) -> list[str]:
        """The class."""
        return [self.implementation]


def _kind(rule: Any) -> str:
    own = "implementation" in rule if isinstance(rule, dict) else isinstance(rule, OwnRule)
    return "implementation" if own else "bounds"


AnyRule = Annotated[
    Annotated[Rule, Tag("bounds")] | Annotated[OwnRule, Tag("implementation")],
    Discriminator(_kind),
]


class Curation(Section):
    """Rules that decide which images stay."""

    signal_rules: list[AnyRule] = Field(
        default=[Rule(name="short_side", column="short_side", min=160), Rule(name="aspect", column="aspect", max=3.0)],
        description="rules on the file and its signals; images that fail are not scored by models",
    )
    score_rules: list[AnyRule] = Field(default_factory=list, description="rules on model scores and source scores")


class Duplicates(Section):
    """Near-duplicates: all pairs within a Hamming radius of the 64-bit pHash, verified by a second measure."""

    radius: int = Field(default=10, ge=0, le=20, description="largest pHash distance of a candidate pair, bits")
    verify_correlation: float = Field(
        default=0.9, ge=-1, le=1, description="smallest correlation of the aligned thumbnails that confirms a pair"
    )
    growth: Literal["keep_published", "rerank"] = Field(
        default="keep_published", description="whether a curated image stays keeper when a better copy arrives later"
    )

"""Settings of the stage `curation`."""

from __future__ import annotations

from typing import Annotated, Any, Literal

from pydantic import AfterValidator, BeforeValidator, Discriminator, Field, Tag, model_validator

from paris_assets.settings.credentials import refuse_secret_options
from paris_assets.settings.section import Section, by_path

FACTOR = (0.01, 100.0)
"""Least and largest factor of a boosted image."""
PRUNED = "pruned"
"""The reason why images of `curation.prune` are rejected."""


class ImageList(Section):
    """A CSV file of images, each with a reason; its content is part of the results, wherever it lies."""

    path: str = Field(min_length=1, description="CSV file with the columns image_id and reason")

    def files(self) -> list[str]:
        """The list itself."""
        return [self.path]


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


class QuantileRule(Section):
    """Keeps a share of the images that meet every other rule: those of the largest values of `column` in the whole
    set, exactly the share of their number, equal values in the order of their image_ids."""

    name: str = Field(description="the reason recorded when the rule rejects")
    column: str = Field(description="column of raw_images, image_signals, content_scores or source_rows")
    top: float | None = Field(default=None, gt=0, le=1, description="share kept, from the largest value down")
    window: tuple[float, float] | None = Field(
        default=None, description="shares between which images are kept, largest values first: [0.01, 0.3]"
    )
    null: Literal["keep", "reject"] = Field(
        default="reject", description="verdict where the value is unknown; such images are not counted"
    )

    @model_validator(mode="after")
    def _bounded(self) -> QuantileRule:
        if (self.top is None) == (self.window is None):
            raise ValueError(f"rule {self.name!r} takes either top or window")
        first, last = self.shares
        if not 0 <= first < last <= 1:
            raise ValueError(f"rule {self.name!r} has the window [{first:g}, {last:g}]; it takes 0 <= from < to <= 1")
        return self

    @property
    def shares(self) -> tuple[float, float]:
        """Shares of the ranking between which images are kept."""
        return self.window or (0.0, self.top or 1.0)


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


class Tier(Section):
    """A level of quality that an image of the level below reaches where it meets further rules."""

    name: str = Field(min_length=1, description="what filtered_images.tier says, such as 512")
    rules: list[Rule] = Field(min_length=1, description="what is asked beside the rules of the tiers before")


class Curation(Section):
    """Rules that decide which images stay."""

    signal_rules: list[AnyRule] = Field(
        default=[Rule(name="short_side", column="short_side", min=160), Rule(name="aspect", column="aspect", max=3.0)],
        description="rules on the file and its signals; images that fail are not scored by models",
    )
    score_rules: list[AnyRule] = Field(default_factory=list, description="rules on model scores and source scores")
    quantile_rules: list[QuantileRule] = Field(
        default_factory=list,
        description="shares of the whole set by rank, of the images that meet all other rules; resolved once into "
        "score_quantiles, and again only when settings change or with `--from score_quantiles`",
    )
    tiers: list[Tier] = Field(
        default_factory=list,
        description="levels, the loosest first: filtered_images.tier is the highest whose rules and those of all "
        "before are met. An image that does not reach the first is rejected",
    )
    prune: Annotated[list[ImageList], BeforeValidator(by_path)] = Field(
        default_factory=list,
        description="CSV files of images to reject (`pruned`), before every rule: columns image_id and reason, as "
        "`paris search` writes them",
    )
    boost: Annotated[list[ImageList], BeforeValidator(by_path)] = Field(
        default_factory=list,
        description="CSV files of images that count more: image_id, reason, and if it is there boost, the factor; it "
        "is the column `boost` of curated_images and of the samples' metadata",
    )
    boost_factor: float = Field(
        default=2.0, ge=FACTOR[0], le=FACTOR[1], description="factor of an image whose list gives none"
    )
    report: bool = Field(
        default=True,
        description="whether there is a curation_report, a page of what rules reject and how it looks",
    )
    report_pictures: int = Field(
        default=12, ge=1, le=100, description="pictures on each side of a bound in curation_report"
    )

    @property
    def rejecting(self) -> list[Rule | OwnRule | QuantileRule]:
        """Every rule whose name may be the reason why an image is rejected."""
        lowest = self.tiers[0].rules if self.tiers else []
        return [*self.signal_rules, *self.score_rules, *lowest, *self.quantile_rules]

    @property
    def reasons(self) -> list[str]:
        """Every reason why an image that can be decoded may be rejected."""
        return [*([PRUNED] if self.prune else []), *(rule.name for rule in self.rejecting)]

    @model_validator(mode="after")
    def _tighter(self) -> Curation:
        """Each tier's bounds lie within those of the tiers before: a looser one would never have a say."""
        lows, highs = dict[str, float](), dict[str, float]()
        for tier in self.tiers:
            for rule in tier.rules:
                low, high = lows.get(rule.column), highs.get(rule.column)
                if rule.min is not None and low is not None and rule.min < low:
                    raise ValueError(_looser(tier, rule, "min", rule.min, low))
                if rule.max is not None and high is not None and rule.max > high:
                    raise ValueError(_looser(tier, rule, "max", rule.max, high))
                lows |= {} if rule.min is None else {rule.column: rule.min}
                highs |= {} if rule.max is None else {rule.column: rule.max}
        return self


def _looser(tier: Tier, rule: Rule, bound: str, value: float, before: float) -> str:
    return (
        f"tier {tier.name!r}: {bound} {value:g} on {rule.column} is looser than {before:g} of a tier before it, which "
        "every image of this one meets: tiers go from loose to tight"
    )


class VectorDuplicates(Section):
    """Images whose stored vectors are close are copies as well."""

    encoder: str = Field(description="encoder of picture_embeddings")
    cosine: float = Field(default=0.95, ge=0.5, le=1, description="smallest cosine of two vectors that makes a copy")


class CopyDuplicates(Section):
    """Images whose `copy_embeddings` are close are copies as well, under a profile with a `copy_embedder`."""

    cosine: float = Field(
        default=0.75,
        ge=0.5,
        le=1,
        description="smallest cosine that makes a copy; SSCD's is 0.75, that of small-copy-detector 0.56",
    )
    probes: int = Field(
        default=4,
        ge=2,
        description="of more than 32,768 images: how many of the nearest k-means cells each meets, to find candidates",
    )
    min_contrast: float = Field(
        default=4.0,
        ge=0,
        description="deviation of a thumbnail's grey levels below which a picture is blank and its vector says nothing",
    )


class Duplicates(Section):
    """Near-duplicates: all pairs within a Hamming radius of the 64-bit pHash, verified by a second measure."""

    radius: int = Field(default=10, ge=0, le=20, description="largest pHash distance of a candidate pair, bits")
    verify_correlation: float = Field(
        default=0.9, ge=-1, le=1, description="smallest correlation of the aligned thumbnails that confirms a pair"
    )
    vectors: VectorDuplicates | None = Field(
        default=None,
        description="`{encoder: NAME, cosine: 0.95}`: pairs that are close in the vectors of an encoder of "
        "picture_embeddings are copies as well, whatever their pHashes; all pairs are looked at",
    )
    copies: CopyDuplicates = CopyDuplicates()
    growth: Literal["keep_published", "rerank"] = Field(
        default="keep_published", description="whether a curated image stays keeper when a better copy arrives later"
    )

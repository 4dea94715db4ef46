"""Settings of the steps that choose rows of a pool: one class for each named selector."""

from __future__ import annotations

from typing import Annotated, Any, Literal, get_args

from pydantic import BeforeValidator, Field, field_validator, model_validator

from paris_assets.errors import did_you_mean
from paris_assets.settings.section import Section

Share = Annotated[float, Field(ge=0, le=1)]
Cosine = Annotated[float, Field(ge=-1, le=1)]
Features = Literal["text", "image"]


class _Step(Section):
    """One step of a selection, on the rows that the steps before it left."""

    name: str | None = Field(
        default=None,
        pattern=r"^[A-Za-z0-9][\w.-]{0,99}$",
        description="reason of the rows it drops: letters, digits, '_', '-' and '.'; null: the rule's",
    )

    @property
    def said(self) -> str:
        """What rows that it drops have as their reason."""
        return self.name or str(self.rule)  # type: ignore[attr-defined]


class NoFilter(_Step):
    """Every row."""

    rule: Literal["no_filter"] = "no_filter"


class Basic(_Step):
    """DataComp's basic filter: English, more than 2 words and 5 characters, short side at least 200, aspect up to 3."""

    rule: Literal["basic"] = "basic"
    language: str = Field(default="en", description="most probable language of the caption")
    min_words: int = Field(default=3, ge=0, description="fewest words")
    min_characters: int = Field(default=6, ge=0, description="fewest characters")
    min_side: int = Field(default=200, ge=0, description="least short side that the source claims, pixels")
    max_aspect: float = Field(default=3.0, ge=1, description="largest long side by short side")


class ClipScore(_Step):
    """Image-text cosines of the source: a bound, the best of a share, or a window of shares.

    A share f of N rows is floor(f N) of them, ties by uid. DataComp's own script keeps one more, and all that tie.
    """

    rule: Literal["clip_score"] = "clip_score"
    arch: Literal["b32", "l14"] = Field(default="l14", description="score by CLIP ViT-B/32 or ViT-L/14")
    min: Cosine | None = Field(default=None, description="least score; DataComp's top 30 % is .243 (l14), .281 (b32)")
    top: Share | None = Field(default=None, description="share of rows with the best scores")
    window: tuple[Share, Share] | None = Field(
        default=None, description="shares between which rows lie, the best first, such as [0.01, 0.3]"
    )
    of: Literal["pool", "remaining", "fill"] = Field(
        default="pool",
        description="pool: rows are ranked and counted over the whole pool; remaining: over what earlier steps left; "
        "fill: ranked over what they left, counted in shares of the whole pool",
    )

    @model_validator(mode="after")
    def _one_of(self) -> ClipScore:
        given = [name for name in ("min", "top", "window") if getattr(self, name) is not None]
        if len(given) != 1:
            raise ValueError(f"clip_score takes one of min, top and window, not {' and '.join(given) or 'none'}")
        if self.window is not None and self.window[0] >= self.window[1]:
            raise ValueError(f"window {list(self.window)} holds nothing: the smaller share comes first")
        return self

    @property
    def column(self) -> str:
        """Of `source_rows`."""
        return f"clip_{self.arch}"

    @property
    def shares(self) -> tuple[float, float]:
        """Ends of the window."""
        return self.window or (0.0, self.top or 0.0)


class Laion2b(_Step):
    """LAION-2B's rules: English, and a ViT-B/32 score of at least 0.28."""

    rule: Literal["laion2b"] = "laion2b"
    language: str = Field(default="en", description="most probable language of the caption")
    min: Cosine = Field(default=0.28, description="least score by CLIP ViT-B/32")


class TextBased(_Step):
    """DataComp's text-based filter: English, and a word whose synset is among those of pool.captions."""

    rule: Literal["text_based"] = "text_based"
    language: str = Field(default="en", description="most probable language of the caption")


class ImageBased(_Step):
    """DataComp's image-based filter: the image's nearest centroid is also that of a reference image.

    Nearest is by the inner product of vectors of length one (DataComp: of vectors as they are, which are about so).
    """

    rule: Literal["image_based"] = "image_based"
    references: str = Field(description=".npy of reference vectors, (M, D), such as ImageNet's training images")
    centroids: str = Field(description=".npy of centroids of the pool's image vectors, (K, D)")
    language: str | None = Field(default="en", description="most probable language of the caption; null: any")
    min_words: int = Field(default=2, ge=0, description="fewest words")
    min_characters: int = Field(default=6, ge=0, description="fewest characters")

    def files(self) -> list[str]:
        """Vectors of the references and the centroids."""
        return [self.references, self.centroids]


class Bounds(_Step):
    """Bounds on a column of source_rows or caption_figures; a row without a value is dropped."""

    rule: Literal["bounds"] = "bounds"
    column: str = Field(description="column of source_rows or caption_figures")
    min: float | None = Field(default=None, description="least value")
    max: float | None = Field(default=None, description="largest value")
    values: list[str | bool] | None = Field(default=None, min_length=1, description="values of a column of words")

    @model_validator(mode="after")
    def _bounded(self) -> Bounds:
        numeric = self.min is not None or self.max is not None
        if numeric == (self.values is not None):
            raise ValueError(f"bounds on {self.column} take min and max, or values")
        if self.min is not None and self.max is not None and self.min > self.max:
            raise ValueError(f"bounds on {self.column}: min {self.min} is above max {self.max}")
        return self

    @property
    def said(self) -> str:
        """What rows that it drops have as their reason."""
        return self.name or self.column


class Judged(_Step):
    """Rows of the concepts that the judge keeps."""

    rule: Literal["judged"] = "judged"


class Deduplicate(_Step):
    """One row of each group of near copies: SemDeDup, whose chains of copies are cut.

    Up to 32,768 rows are compared all with all, more inside cells of like vectors and the nearest ones. Each copy
    agrees with its keeper itself, the best-ranked row that stays and is close.
    """

    rule: Literal["dedup"] = "dedup"
    features: Features = Field(default="image", description="vectors compared")
    cosine: float = Field(default=0.95, gt=0, lt=1, description="rows with a larger cosine are copies")
    neighbours: int = Field(default=2, ge=0, description="nearest cells that are also compared")
    keep: Literal["near", "far", "clip_b32", "clip_l14"] = Field(
        default="near", description="best-ranked: near its concept or far from it, or by a score (unknown last)"
    )

    @property
    def by_concept(self) -> bool:
        """Whether the distance to a concept ranks rows."""
        return self.keep in ("near", "far")


class Prune(_Step):
    """Prototype pruning: of each concept the rows nearest to its centroid, or furthest from it (Sorscher et al.)."""

    rule: Literal["prune"] = "prune"
    fraction: Share = Field(description="share of the rows that come here: floor(f N) stay")
    prefer: Literal["near", "far", "auto"] = Field(
        default="auto",
        description="auto: far where each row kept is seen at most once and concepts have 10,000 rows on average",
    )
    samples_seen: int | None = Field(
        default=None, ge=1, description="samples of the training that is to come; null: as many as the pool has rows"
    )
    force: bool = Field(default=False, description="prefer far even where rows are scarce")
    floor: Share = Field(default=0.5, description="least share of an even split that each concept keeps")
    allocation: Literal["ranking", "even", "size", "density"] = Field(
        default="ranking",
        description="how rows beyond the floor are spread: by rank over all, evenly, by size, or by how wide a concept "
        "is and how far from its neighbour (density)",
    )


class Balance(_Step):
    """MetaCLIP's balancing: a row of an entry that has more than `per_entry` stays with probability per_entry/count."""

    rule: Literal["balance"] = "balance"
    per_entry: int = Field(ge=1, description="rows of an entry from which on it is thinned (MetaCLIP: t)")
    words: list[str] | None = Field(
        default=None,
        min_length=1,
        description="entries of one word or several, looked for as whole words of the caption, whatever stands between "
        "them; a row without any is dropped; null: concepts",
    )

    @field_validator("words")
    @classmethod
    def _spelt(cls, words: list[str] | None) -> list[str] | None:
        for word in words or ():
            if not any(letter.isalnum() for letter in word):
                raise ValueError(f"the entry {word!r} has no letter and no digit")
        return words


class Random(_Step):
    """A share drawn by a hash of uid and seed: floor(f N) rows."""

    rule: Literal["random"] = "random"
    fraction: Share = Field(description="share of the rows that come here")


Steps = (
    NoFilter | Basic | ClipScore | Laion2b | TextBased | ImageBased | Bounds | Judged | Deduplicate | Prune | Balance
    | Random
)  # fmt: skip
RULES = [kind.model_fields["rule"].default for kind in get_args(Steps)]


def _named(value: Any) -> Any:
    """A bare name is a step with its defaults."""
    given = {"rule": value} if isinstance(value, str) else value
    rule = given.get("rule") if isinstance(given, dict) else None
    if isinstance(given, dict) and rule not in RULES:
        known = ", ".join(RULES)
        raise ValueError(f"{rule!r} is no selector{did_you_mean(str(rule), RULES)}: rule is one of {known}")
    return given


Step = Annotated[Annotated[Steps, Field(discriminator="rule")], BeforeValidator(_named)]

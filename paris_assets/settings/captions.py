"""Settings of the stage `captions`."""

from __future__ import annotations

from typing import Annotated, Literal

from pydantic import AfterValidator, Field, model_validator

from paris_assets.settings.chat_server import ChatServer
from paris_assets.settings.network import Model
from paris_assets.settings.section import Section, distinct

KindName = Literal["source", "short", "long", "tags", "ocr"]
SIGNALLED = "ocr_text"
"""The column that is no text of the source: what a signal reads in the picture."""


class Endpoint(ChatServer):
    """A captioner behind an OpenAI-compatible address (vLLM and others), asked once per image and prompt.

    What it answers is a JSON object, or a plain text that is taken as it stands.
    """

    prompt: str = Field(min_length=1, description="what is asked, beside the image")
    field: str = Field(
        default="caption",
        description="field of the JSON answer; kinds of one prompt and model share the answer, whatever their field",
    )
    side: int = Field(default=1024, ge=32, description="longest side of the JPEG that is sent, pixels")


class Fallback(Section):
    """Who captions images for which those before gave no valid caption."""

    captioner: Model | None = Field(default=None, description="a captioning network")
    endpoint: Endpoint | None = Field(default=None, description="a captioner behind an address")

    @model_validator(mode="after")
    def _one_origin(self) -> Fallback:
        if (self.captioner is None) == (self.endpoint is None):
            raise ValueError("a fallback of a kind of captions takes one of `captioner` and `endpoint`")
        return self


class Kind(Section):
    """Where captions of one kind come from: a text of the source, a network, or an endpoint."""

    column: Literal["text", "short_text", "long_text", "tags", "ocr", "ocr_text"] | None = Field(
        default=None,
        description="column of source_rows, where all but `text` are named by `source.columns`; or `ocr_text` of "
        "image_signals, which the signal `TextArea` reads in the picture",
    )
    captioner: Model | None = Field(default=None, description="a captioning network")
    endpoint: Endpoint | None = Field(default=None, description="a captioner behind an address")
    fallback: list[Fallback] = Field(
        default_factory=list,
        description="who is asked next, in this order, for images without a valid caption by those before; takes "
        "`captioner` or `endpoint`",
    )
    unless: list[KindName] = Field(
        default_factory=list,
        description="kinds of which a valid one makes this one superfluous: it is not made for such an image",
    )

    @model_validator(mode="after")
    def _one_origin(self) -> Kind:
        if [self.column, self.captioner, self.endpoint].count(None) != 2:
            raise ValueError("a kind of captions takes one of `column`, `captioner` and `endpoint`")
        if self.column and self.fallback:
            raise ValueError("a kind of captions from a column has no `fallback`: name another kind with `unless`")
        return self

    @property
    def writers(self) -> list[tuple[str, Kind | Fallback]]:
        """Who writes captions of the kind, the first asked first, each with its setting below that of the kind; none
        for a column."""
        if self.column:
            return []
        chain: list[tuple[str, Kind | Fallback]] = [
            ("", self), *((f"fallback.{place}.", each) for place, each in enumerate(self.fallback))
        ]  # fmt: skip
        return [(f"{before}{'endpoint' if each.endpoint else 'captioner'}", each) for before, each in chain]


class Captions(Section):
    """Captions of several kinds, and which of them is trained on."""

    min_words: int = Field(
        default=3,
        ge=1,
        description="fewest words of a source text that is used as a caption; two Chinese characters or kana, or three "
        "Thai, Lao, Khmer, Burmese or Tibetan letters count as one",
    )
    captioner: Model = Field(
        default=Model(implementation="imagenet-labels"),
        description="captions the other images; unused where the profile names its `kinds`",
    )
    kinds: dict[KindName, Kind] = Field(
        default_factory=dict,
        description="kind of captions (source, short, long, tags, ocr) -> where it comes from. Empty: `source`, the "
        "source's text, and `short`, by the captioner, of images without a valid one",
    )
    train: Annotated[list[KindName], AfterValidator(distinct)] = Field(
        default=["source", "short"],
        min_length=1,
        description="kinds in the order of preference: the first of them that is valid is what an image is trained on",
    )
    refusals: list[str] = Field(
        default_factory=list, description="further regular expressions of answers that are no captions, without case"
    )
    max_chars: int | None = Field(default=None, ge=1, description="longest valid caption, characters; null: any")
    max_tokens: int | None = Field(
        default=None,
        ge=3,
        description="longest valid caption, tokens of text.encoder, special ones included; null: any, and what is "
        "longer than text.tokens is cut. Takes `kinds`",
    )
    max_repeats: int | None = Field(
        default=None,
        ge=1,
        description="how often a caption of one kind, its numbers left aside, may stand in the whole set; if it is "
        "there more often, it is invalid everywhere. tags and ocr repeat by nature and are not counted. null: any. "
        "Takes `kinds`",
    )

    @model_validator(mode="after")
    def _kinds_there(self) -> Captions:
        known = list(self.kinds) or ["source", "short"]
        named = {kind for each in self.kinds.values() for kind in each.unless}
        for setting, names in (("train", self.train), ("unless", sorted(named))):
            if lacking := [name for name in names if name not in known]:
                raise ValueError(f"{setting} names {', '.join(lacking)}; captions.kinds has {', '.join(known)}")
        if not self.kinds and (self.max_tokens or self.max_repeats):
            raise ValueError("captions.max_tokens and captions.max_repeats need captions.kinds: name them there")
        if any(self.kinds[name].unless for name in self.kinds if name in named):
            raise ValueError("captions.kinds: a kind named in `unless` is made for every image and has none itself")
        return self

    def writers_of(self, kind: str) -> dict[str, Kind | Fallback]:
        """Dotted path below the profile -> who writes a kind, the first asked first."""
        if not self.kinds:
            return {"captions.captioner": self.all_kinds[kind]} if self.all_kinds[kind].captioner else {}
        return {f"captions.kinds.{kind}.{setting}": each for setting, each in self.all_kinds[kind].writers}

    @property
    def all_kinds(self) -> dict[str, Kind]:
        """Every kind that is made, in the order in which it is made: what `unless` asks for comes first."""
        kinds: dict[str, Kind] = dict(self.kinds.items()) or {
            "source": Kind(column="text"),
            "short": Kind(captioner=self.captioner, unless=["source"]),
        }
        return dict(sorted(kinds.items(), key=lambda item: (bool(item[1].unless), item[0])))


def columns_read(settings: Captions) -> set[str]:
    """Columns that kinds which the profile names are taken from."""
    return {kind.column for kind in settings.kinds.values() if kind.column is not None}


TRUE_TOKENS = "true_tokens"
"""Value of ``text.stored`` under which text embeddings have as many rows as their captions have tokens."""


class Text(Section):
    """Text encoder of the captions."""

    encoder: Model = Field(default=Model(implementation="minilm", batch_size=32), description="text encoder")
    tokens: int = Field(
        default=77, ge=1, description="most tokens of a caption, special ones included: longer ones are cut"
    )
    stored: Literal["padded", "true_tokens"] = Field(
        default="padded",
        description="padded: every caption takes `tokens` positions, as cross-attention without a mask is trained "
        "(CLIP); true_tokens: each caption's own tokens and no more, which are padded with zeros when they are loaded, "
        "of an encoder that sees no padding (umt5, t5, small-t5, minilm)",
    )
    pooled: Literal["encoder", "masked_mean"] = Field(
        default="encoder",
        description="the one vector per caption: the encoder's own, where it has one (T5 has none), or the mean of its "
        "true tokens",
    )

"""Settings of the stage `captions`."""

from __future__ import annotations

from typing import Annotated, Literal

from pydantic import AfterValidator, Field, model_validator

from paris_assets.settings.credentials import refuse_credentials
from paris_assets.settings.network import Model
from paris_assets.settings.section import Section, distinct, tuning

KindName = Literal["source", "short", "long", "tags", "ocr"]
SIGNALLED = "ocr_text"
"""The column that is no text of the source: what a signal reads in the picture."""


class Endpoint(Section):
    """A captioner behind an OpenAI-compatible address (vLLM and others), asked once per image and prompt.

    What it answers is a JSON object, or a plain text that is taken as it stands.
    """

    url: Annotated[str, AfterValidator(refuse_credentials)] = tuning(
        "http://127.0.0.1:8000/v1", "address up to `/v1`; `chat/completions` is added"
    )
    model: str = Field(min_length=1, description="name of the model there; part of the results, so name its version")
    prompt: str = Field(min_length=1, description="what is asked, beside the image")
    field: str = Field(
        default="caption",
        description="field of the JSON answer; kinds of one prompt and model share the answer, whatever their field",
    )
    max_tokens: int = Field(default=512, ge=1, description="longest answer, tokens; what is cut off there is none")
    temperature: float = Field(default=0.0, ge=0, le=2, description="of sampling; 0: the likeliest answer")
    side: int = Field(default=1024, ge=32, description="longest side of the JPEG that is sent, pixels")
    key_env: str | None = tuning(None, "name of the environment variable that holds the key; null: none is sent")
    concurrency: int = tuning(8, "requests at once", ge=1, le=256)
    retries: int = tuning(4, "further tries after 408, 429, 5xx or no answer", ge=0)
    backoff_s: float = tuning(1.0, "wait before the first of them, doubled for each; Retry-After goes before it", ge=0)
    timeout_s: float = tuning(120.0, "longest wait for an answer, seconds", gt=0)
    cache: str = tuning("~/.cache/paris_assets/answers.sqlite", "file on this machine in which answers are kept")


class Kind(Section):
    """Where captions of one kind come from: a text of the source, a network, or an endpoint."""

    column: Literal["text", "short_text", "long_text", "tags", "ocr", "ocr_text"] | None = Field(
        default=None,
        description="column of source_rows, where all but `text` are named by `source.columns`; or `ocr_text` of "
        "image_signals, which the signal `TextArea` reads in the picture",
    )
    captioner: Model | None = Field(default=None, description="a captioning network")
    endpoint: Endpoint | None = Field(default=None, description="a captioner behind an address")
    unless: list[KindName] = Field(
        default_factory=list,
        description="kinds of which a valid one makes this one superfluous: it is not made for such an image",
    )

    @model_validator(mode="after")
    def _one_origin(self) -> Kind:
        if [self.column, self.captioner, self.endpoint].count(None) != 2:
            raise ValueError("a kind of captions takes one of `column`, `captioner` and `endpoint`")
        return self


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

    def setting_of(self, kind: str) -> str:
        """Dotted path of what writes a kind, below the profile."""
        if not self.kinds:
            return "captions.captioner"
        return f"captions.kinds.{kind}.{'endpoint' if self.all_kinds[kind].endpoint else 'captioner'}"

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


class Text(Section):
    """Text encoder of the captions."""

    encoder: Model = Field(default=Model(implementation="minilm", batch_size=32), description="text encoder")
    tokens: int = Field(default=77, ge=1, description="fixed padding, tokens")

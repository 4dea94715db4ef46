"""Settings of the stage `captions`."""

from __future__ import annotations

from pydantic import Field

from paris_assets.settings.network import Model
from paris_assets.settings.section import Section


class Captions(Section):
    """Source text where it is a caption, else a captioner."""

    min_words: int = Field(
        default=3,
        ge=1,
        description="fewest words of a source text that is used as a caption; two Chinese characters or kana, or three "
        "Thai, Lao, Khmer, Burmese or Tibetan letters count as one",
    )
    captioner: Model = Field(default=Model(implementation="imagenet-labels"), description="captions the other images")


class Text(Section):
    """Text encoder of the captions."""

    encoder: Model = Field(default=Model(implementation="minilm", batch_size=32), description="text encoder")
    tokens: int = Field(default=77, ge=1, description="fixed padding, tokens")

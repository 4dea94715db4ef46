"""A network, as a profile names it, and a score by one."""

from __future__ import annotations

from typing import Annotated, Any, Literal

from pydantic import AfterValidator, Field, model_validator

from paris_assets.settings.credentials import refuse_secret_options
from paris_assets.settings.section import Section

COSINE = "cosine"


class Model(Section):
    """A pretrained network: which implementation, which weights, how it runs."""

    implementation: str = Field(description="name in models/registry.py, or import path `package.module:Class`")
    path: str | None = Field(default=None, description="hub name or local folder; null for models shipped in a package")
    revision: str | None = Field(default=None, description="hub revision (commit hash) of `path`")
    precision: Literal["auto", "fp32", "bf16", "fp16"] = Field(
        default="auto", description="auto: bf16 where it is native, else fp32; resolved at a root's first run"
    )
    device: str = Field(
        default="auto", description="torch device; auto: cuda, then cpu; resolved at a root's first run"
    )
    batch_size: int = Field(
        default=16, ge=1, description="images or texts per padded batch (part of the result in bf16)"
    )
    options: Annotated[dict[str, Any], AfterValidator(refuse_secret_options)] = Field(
        default_factory=dict, description="further arguments of the implementation"
    )

    def import_paths(self) -> list[str]:
        """The implementation, where it is not one of the registry's names."""
        return [self.implementation] if ":" in self.implementation else []


class Score(Model):
    """A column of `content_scores`: what a network says of pixels, or (`on`) what a head says of a stored vector."""

    implementation: str = Field(
        default=COSINE,
        description="a scorer of pixels; with `on` a head: `linear-head`, `mlp-head`, or with `text` `cosine`",
    )
    on: str | None = Field(
        default=None,
        description="the encoder of `picture_embeddings` whose vectors a head reads; null: a network on pixels",
    )
    text: Literal["source"] | None = Field(
        default=None,
        description="what `cosine` compares the vector with, by the encoder's own text tower: the source's text",
    )

    @model_validator(mode="after")
    def _possible(self) -> Score:
        if (self.implementation == COSINE) != (self.text is not None):
            raise ValueError(
                f"`{COSINE}` compares with a `text`, and nothing else does: give both, or `implementation`"
            )
        if self.text is not None and self.on is None:
            raise ValueError("`text` is compared with a vector: say in `on` of which encoder of picture_embeddings")
        return self

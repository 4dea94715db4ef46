"""A network, as a profile names it."""

from __future__ import annotations

from typing import Annotated, Any, Literal

from pydantic import AfterValidator, Field

from paris_assets.settings.credentials import refuse_secret_options
from paris_assets.settings.section import Section


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

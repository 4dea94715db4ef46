"""What a head on stored vectors states of itself: the encoder and the normalisation that it was trained with.

Imports nothing heavy, so that a mismatch is found before any work starts.
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any, Literal

from pydantic import BaseModel, ConfigDict, ValidationError, model_validator

from paris_assets.config import Model
from paris_assets.models.carried import WeightsError
from paris_assets.models.weight_file import is_on_hub, weight_file, weight_file_problem

METADATA = "paris_head"
"""Key of the safetensors metadata under which a card stands, as JSON."""
FILES = (".safetensors", ".pth", ".pt")
_SHIPPED = {"generated-demo": Path(__file__).parent / "weights" / "generated_head" / "model.safetensors"}
_STATED = ("encoder", "normalisation", "activation", "output")
_ADVICE = (
    "state in `options` what it was trained with: `encoder: {source: NAME, revision: COMMIT}` or `{sha256: HASH of the "
    "encoder's weights}`, and `normalisation: l2` or `none`"
)


class Encoder(BaseModel):
    """The encoder that a head was trained on: its weights by sha256, or by name and revision on the hub."""

    model_config = ConfigDict(extra="forbid", frozen=True)
    implementation: str | None = None
    source: str | None = None
    revision: str | None = None
    sha256: str | None = None
    hidden_act: str | None = None

    @model_validator(mode="after")
    def _identified(self) -> Encoder:
        if self.sha256 is None and None in (self.source, self.revision):
            raise ValueError("give sha256 of its weights, or source and revision")
        return self

    def __str__(self) -> str:
        named = f"{self.source}@{self.revision}" if self.revision else f"sha256 {self.sha256}"
        return " ".join(filter(None, [self.implementation, named, self.hidden_act]))


class HeadCard(BaseModel):
    """A head's card.

    Attributes:
        normalisation: of the vector before the first layer.
        activation: between layers.
        output: after the last layer; a calibration is part of it.
        dimension: of the vectors; None where the file does not say.
        training: the images that it was trained on, in words.
        metrics: what was measured on images that it was not trained on, calibration included.
    """

    model_config = ConfigDict(extra="forbid", frozen=True)
    encoder: Encoder
    normalisation: Literal["l2", "none"]
    activation: Literal["none", "relu"] = "none"
    output: Literal["identity", "sigmoid"] = "identity"
    dimension: int | None = None
    training: str | None = None
    metrics: dict[str, Any] = {}


def is_hub_head(path: str) -> bool:
    """Whether a head's ``path`` reads as ``owner/name`` on the hub."""
    return is_on_hub(path, FILES)


def head_file(model: Model) -> Path:
    """The file of a head; see ``weight_file``."""
    return weight_file(model, FILES, _SHIPPED)


def head_file_problem(model: Model) -> str | None:
    """What stands in the way of ``head_file``, without reading the file."""
    return weight_file_problem(model, FILES, _SHIPPED)


def read_card(model: Model) -> HeadCard:
    """The card in a head's file, which the profile may repeat in ``options`` but not contradict; or, of a file without
    one, what ``options`` say.

    Raises:
        WeightsError: no file, no statement, or two that differ; names the file.
    """
    file = head_file(model)
    said = {name: model.options[name] for name in _STATED if model.options.get(name) is not None}
    written = _written(file)
    try:
        card = HeadCard.model_validate(said if written is None else written)
    except ValidationError as error:
        wrong = ", ".join(f"{'.'.join(map(str, item['loc']))}: {item['msg']}" for item in error.errors())
        where = f"{file.name} says nothing of its encoder" if written is None else f"the card in {file.name} is wrong"
        raise WeightsError(f"{model.implementation}: {where} ({wrong}): {_ADVICE}") from error
    for name, value in said.items():
        if not _agrees(value, card.model_dump()[name]):
            raise WeightsError(
                f"{model.implementation}: options say {name} {value}, and {file.name} itself {getattr(card, name)}: "
                "take it out of options, or name another head"
            )
    return card


def encoder_problem(stated: Encoder, found: Mapping[str, Any]) -> str | None:
    """Why an encoder is not the one that a head states, or None where it is.

    Args:
        found: its identity (see ``protocols.Network``), as far as it is known.
    """
    for name in ("implementation", "hidden_act"):
        said, has = getattr(stated, name), found.get(name)
        if said and has and said != has:
            return f"it is on {stated}, and this has {name} {has}"
    if stated.revision and (stated.source, stated.revision) == (found.get("source"), found.get("revision")):
        return None
    if stated.sha256 and stated.sha256 == found.get("sha256"):
        return None
    known = {name: found[name] for name in ("source", "revision", "sha256") if found.get(name)}
    return f"it is on {stated}, and this is {' '.join(f'{name} {value}' for name, value in known.items()) or 'unknown'}"


def _agrees(said: Any, written: Any) -> bool:
    if isinstance(said, dict) and isinstance(written, dict):
        return all(written.get(name) in (None, value) for name, value in said.items())
    return said == written


def _written(file: Path) -> Any:
    """The card in a file, as it was parsed; None where there is none."""
    if file.suffix != ".safetensors":
        return None
    from safetensors import SafetensorError, safe_open

    try:
        with safe_open(file, "np") as opened:
            text = (opened.metadata() or {}).get(METADATA)
        return None if text is None else json.loads(text)
    except (SafetensorError, json.JSONDecodeError) as error:
        raise WeightsError(f"{file.name} cannot be read: {error}") from error

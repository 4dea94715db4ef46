"""Scores of a profile -> the columns of `content_scores` that their scorers fill. Loads no network library."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from paris_assets.config import Model
from paris_assets.models.registry import KNOWN, ModelError, network_class, requirements


def score_columns(scores: Mapping[str, Model]) -> dict[str, list[str]]:
    """Score of a profile -> its columns of `content_scores`: its name, or one for each part that its scorer tells,
    ``name_part``. A class of one's own that cannot be imported, which is an error once it is to run, has no parts."""
    return {name: part_columns(name, _parts(model)) for name, model in scores.items()}


def part_columns(name: str, parts: Sequence[str]) -> list[str]:
    """The columns of a score whose scorer tells these parts; none: one thing."""
    return [f"{name}_{part}" for part in parts] or [name]


def _parts(model: Model) -> Sequence[str]:
    entry = KNOWN.get(model.implementation)
    if entry or requirements(model):
        return entry.parts if entry else ()
    try:
        return getattr(network_class(model), "parts", ())
    except ModelError:
        return ()

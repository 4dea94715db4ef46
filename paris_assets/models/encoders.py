"""Whether a head and a text tower fit the encoder whose vectors they are given, as far as that can be told before work.

Imports no network library, but that of a class whose attributes are asked for.
"""

from __future__ import annotations

import json
from collections.abc import Iterator
from pathlib import Path

from paris_assets.config import Model, Profile, Score
from paris_assets.errors import UserError
from paris_assets.models import weights
from paris_assets.models.carried import WeightsError
from paris_assets.models.head_card import Encoder, encoder_problem, read_card
from paris_assets.models.hub import cached, is_hub_name
from paris_assets.models.registry import KNOWN, requirements, text_tower_class


def head_problems(profile: Profile) -> Iterator[str]:
    """Scores on stored vectors that cannot be computed, each with why; what is merely absent is said elsewhere."""
    for column, score in profile.scores.items():
        if score.on is None:
            if is_head(score):
                wanted = "reads vectors: name in `on` an encoder of picture_embeddings"
                yield f"scores.{column}: {score.implementation} {wanted}"
            continue
        encoder = profile.picture_embeddings[score.on]
        if requirements(score) or requirements(encoder):
            continue
        try:
            problem = _fit(score, encoder)
        except UserError as error:
            problem = str(error)
        if problem:
            yield f"scores.{column}: {problem}"


def require_fit(score: Score, encoder: Model) -> None:
    """Refuse a head of another encoder.

    Raises:
        WeightsError: the head states another encoder, or none.
    """
    problem = _fit(score, encoder)
    if problem:
        raise WeightsError(problem)


def is_head(score: Score) -> bool:
    """Whether a score is by a head of this package, which has a card."""
    entry = KNOWN.get(score.implementation)
    return bool(entry and entry.head)


def _fit(score: Score, encoder: Model) -> str | None:
    if score.text is not None:
        text_tower_class(encoder)
        return None
    if ":" in score.implementation:  # a class of one's own, which knows what it is for
        return None
    if not is_head(score):
        return f"{score.implementation} looks at pixels: leave out `on`, or name a head"
    problem = _stated_problem(read_card(score).encoder, encoder)
    return f"the head {score.path} does not fit `on: {score.on}`: {problem}" if problem else None


def _stated_problem(stated: Encoder, encoder: Model) -> str | None:
    """The weights are hashed only where the name does not settle it."""
    found = _named(encoder)
    problem = encoder_problem(stated, found)
    if problem is None or ":" in encoder.implementation or not stated.sha256:
        # What a class of one's own runs on is known once it runs: the check `heads_fit` compares then.
        return None if ":" in encoder.implementation else problem
    return encoder_problem(stated, {**found, "sha256": _weights_sha256(encoder)})


def _named(encoder: Model) -> dict[str, str | None]:
    """Its identity without that of the weights."""
    entry, found = KNOWN.get(encoder.implementation), dict[str, str | None](implementation=encoder.implementation)
    if entry is None or not entry.pretrained or not encoder.path:
        return found
    if is_hub_name(encoder.path):
        found |= {"source": encoder.path, "revision": encoder.revision}
    if _is_here(encoder):
        config = json.loads((_folder(encoder) / "config.json").read_text())
        found["hidden_act"] = config.get("vision_config", config).get("hidden_act")
    return found


def _weights_sha256(encoder: Model) -> str | None:
    entry = KNOWN[encoder.implementation]
    if entry.packages:
        return entry.packages[0].sha256
    return weights.weights_sha256(_folder(encoder)) if _is_here(encoder) else None


def _is_here(encoder: Model) -> bool:
    path = encoder.path or ""
    return not is_hub_name(path) or cached(path, encoder.revision, encoder.options.get("subfolder", ""), ())


def _folder(encoder: Model) -> Path:
    return weights.pretrained_folder(encoder, encoder.options.get("subfolder", ""))

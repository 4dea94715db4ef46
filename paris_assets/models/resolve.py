"""``auto`` becomes what a machine computes with, once per root: what the networks of a profile run on is part of a
root's identity, so that bf16 and fp32 never mix unseen.

The kind of CPU or GPU is no part of it: equal bits are promised within one kind.
"""

from __future__ import annotations

from typing import Any

from paris_assets.config import Captions, Model, Profile
from paris_assets.models.registry import KNOWN, lacking_here

AUTO = "auto"


def profile_models(profile: Profile) -> dict[str, Model]:
    """Every network that the profile names, by setting."""
    return {
        **{f"picture_embeddings.{column}": model for column, model in profile.picture_embeddings.items()},
        **{f"scores.{column}": model for column, model in profile.scores.items()},
        **_pool(profile),
        **_captioners(profile.captions),
        **({"concepts.labeller": profile.concepts.labeller} if profile.concepts.labeller else {}),
        "text.encoder": profile.text.encoder,
        "embedder": profile.embedder,
        **({"copy_embedder": profile.copy_embedder} if profile.copy_embedder else {}),
        "latents.codec": profile.latents.codec,
    }


def _pool(profile: Profile) -> dict[str, Model]:
    encoder = profile.pool.vectors.encoder if profile.pool.used else None
    return {"pool.vectors.encoder": encoder} if encoder else {}


def _captioners(settings: Captions) -> dict[str, Model]:
    """Networks that caption, by setting; those behind an address are none of this machine."""
    chains = (settings.writers_of(kind).items() for kind in settings.all_kinds)
    return {name: each.captioner for chain in chains for name, each in chain if each.captioner is not None}


def resolve_networks(profile: Profile, stored: Profile | None = None) -> Profile:
    """The profile with a device and a precision in place of every ``auto``.

    Args:
        stored: the profile of the root, where there was a run before: what it says of the same network wins over what
            this machine would choose, so that rows made before stay valid wherever the root is continued.
    """
    before = profile_models(stored) if stored else {}
    for setting, model in profile_models(profile).items():
        path = setting.split(".") if setting.startswith(("captions.", "pool.")) else setting.split(".", 1)
        profile = _replaced(profile, path, _resolved(model, before.get(setting)))
    return profile


def numeric_problems(profile: Profile) -> list[str]:
    """Networks that this machine cannot run as the profile says, each with what it needs, what this machine has and
    what to do; empty where there are none. ``auto`` is no problem."""
    found = ((setting, _problem(setting, model)) for setting, model in profile_models(profile).items())
    return [f"{setting}: {problem}" for setting, problem in found if problem]


def _replaced(section: Any, path: list[str], value: Any) -> Any:
    """A copy of a section, or of the mapping or list in it, with another value at a path."""
    first, rest = path[0], path[1:]
    if isinstance(section, list):
        place = int(first)
        return [*section[:place], _replaced(section[place], rest, value) if rest else value, *section[place + 1 :]]
    if isinstance(section, dict):
        return {**section, first: _replaced(section[first], rest, value) if rest else value}
    return section.model_copy(update={first: _replaced(getattr(section, first), rest, value) if rest else value})


def _resolved(model: Model, stored: Model | None) -> Model:
    """The network with a device and a precision."""
    if AUTO not in (model.device, model.precision):
        return model
    known = KNOWN.get(model.implementation)
    if known and known.runs_as:
        device, precision = known.runs_as
    else:
        device, precision = _chosen(model, stored if stored and _same(model, stored) else None)
    chosen = {"device": device, "precision": precision}
    return model.model_copy(update={name: value for name, value in chosen.items() if getattr(model, name) == AUTO})


def _chosen(model: Model, stored: Model | None) -> tuple[str, str]:
    """Device and precision: the model's own, else those stored, else the best that this machine has. What a device
    computes in says nothing of another device."""
    from paris_assets.models.device import best_device, best_precision

    kept = stored.device if stored else AUTO
    device = next((name for name in (model.device, kept) if name != AUTO), None) or best_device()
    kept = stored.precision if stored and stored.device == device else AUTO
    precision = next((name for name in (model.precision, kept) if name != AUTO), None) or best_precision(device)
    return device, precision


def _same(model: Model, stored: Model) -> bool:
    return all(getattr(model, name) == getattr(stored, name) for name in ("implementation", "path", "revision"))


def _problem(setting: str, model: Model) -> str | None:
    known = KNOWN.get(model.implementation)
    if known and known.runs_as:
        device, precision = known.runs_as
        if (model.device, model.precision) in [(d, p) for d in (AUTO, device) for p in (AUTO, precision)]:
            return None
        return f"{model.implementation} runs on the {device} in {precision}: leave device and precision at {AUTO}"
    lack = lacking_here(model)
    if lack is None:
        return None
    from paris_assets.models.device import best_device, best_precision

    here = best_device()
    choices = {"device": here, "precision": best_precision(here)}
    changes = " ".join(
        f"--set {setting}.{name}={value}"
        for name, value in choices.items()
        if getattr(model, name) not in (value, AUTO)
    )
    return f"{lack}: run it on such a machine, or make its rows anew with what this one has: {changes}"

"""The shipped profiles, and how a profile is read: YAML, then ``PARIS_SET``, then the command line."""

from __future__ import annotations

import os
from pathlib import Path
from typing import Any

import yaml
from pydantic import ValidationError

from paris_assets.config import Profile, ProfileError

PROFILES = Path(__file__).parent


def profile_file(name: str) -> Path:
    """The YAML file of a shipped profile or of a path.

    Raises:
        ProfileError: neither a shipped profile nor a file.
    """
    shipped = PROFILES / f"{name}.yaml"
    if shipped.is_file():
        return shipped
    if Path(name).is_file():
        return Path(name)
    known = ", ".join(sorted(file.stem for file in PROFILES.glob("*.yaml")))
    raise ProfileError(f"no profile {name!r}: give a YAML file or one of {known}")


def load_profile(name: str = "demo", overrides: dict[str, Any] | None = None) -> Profile:
    """Read a profile, then apply ``PARIS_SET`` (``key=value`` separated by ``;``) and ``overrides``.

    Args:
        name: a shipped profile's name or a YAML file.
        overrides: dotted path -> value.

    Raises:
        ProfileError: unknown profile or setting, or a value out of bounds; the message names each of them.
    """
    file = profile_file(name)
    return parse_profile(file.read_text(), str(file), {**environment_overrides(), **(overrides or {})})


def environment_overrides() -> dict[str, Any]:
    """The settings in ``PARIS_SET``: ``key=value``, separated by ``;``."""
    return parse_overrides([pair for pair in os.environ.get("PARIS_SET", "").split(";") if pair.strip()])


def parse_profile(text: str, where: str, overrides: dict[str, Any] | None = None) -> Profile:
    """Validate YAML settings with overrides applied; errors name ``where`` and every wrong setting."""
    try:
        settings = yaml.safe_load(text) or {}
    except yaml.YAMLError as error:
        raise ProfileError(f"{where} is not valid YAML: {error}") from error
    if not isinstance(settings, dict):
        raise ProfileError(f"{where} must hold a mapping of settings, not {type(settings).__name__}")
    for path, value in (overrides or {}).items():
        _assign(settings, path, value)
    try:
        return Profile.model_validate(settings)
    except ValidationError as error:
        lines = [f"  {'.'.join(map(str, item['loc']))}: {item['msg']}" for item in error.errors()]
        raise ProfileError(f"profile {where}:\n" + "\n".join(lines)) from error


def parse_overrides(pairs: list[str]) -> dict[str, Any]:
    """``["clusters.k=4"]`` -> ``{"clusters.k": 4}``; values are read as YAML.

    Raises:
        ProfileError: a pair without ``=`` or with a value that is not YAML.
    """
    overrides: dict[str, Any] = {}
    for pair in pairs:
        path, equals, text = pair.partition("=")
        if not equals:
            raise ProfileError(f"--set takes key=value, got {pair!r}")
        try:
            overrides[path.strip()] = yaml.safe_load(text)
        except yaml.YAMLError as error:
            raise ProfileError(f"--set {path}: {text!r} is not a YAML value") from error
    return overrides


def _assign(settings: dict[str, Any], path: str, value: Any) -> None:
    *parents, last = path.split(".")
    for parent in parents:
        settings = settings.setdefault(parent, {})
        if not isinstance(settings, dict):
            raise ProfileError(f"--set {path}: {parent!r} is not a section")
    settings[last] = value


def dump_profile(profile: Profile) -> str:
    """The resolved profile as YAML, readable again by ``load_profile``."""
    return yaml.safe_dump(profile.model_dump(mode="json"), sort_keys=False, allow_unicode=True)

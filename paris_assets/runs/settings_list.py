"""`paris settings`: every setting with the value that it has, its bounds and what it is."""

from __future__ import annotations

from typing import Any

import yaml
from rich.console import Console

from paris_assets.config import Profile
from paris_assets.errors import UsageError, did_you_mean
from paris_assets.profiles import setting_names
from paris_assets.settings.section import Section

BOUNDS = {"ge": ">=", "gt": ">", "le": "<=", "lt": "<", "min_length": "items >="}


def print_settings(profile: Profile, wanted: str, console: Console) -> int:
    """Print the settings of a section, or all of them where ``wanted`` is empty; 0.

    Raises:
        UsageError: no such section or setting.
    """
    known = setting_names()
    shown = [name for name in known if not wanted or name == wanted or name.startswith(f"{wanted}.")]
    if not shown:
        sections = list(Profile.model_fields)
        like = did_you_mean(wanted, [*sections, *known])
        raise UsageError(f"no settings {wanted!r}{like}; the sections are {', '.join(sections)}")
    console.print(f"profile {profile.name}; change one with --set NAME=VALUE, PARIS_SET or a profile", style="bold")
    for name in shown:
        console.print(f"{name} = {_value(profile.at(name))}")
        console.print(f"    {_meaning(name)}", style="dim")
    return 0


def _value(value: Any) -> str:
    """As it would stand in YAML, on one line."""
    plain = [_plain(item) for item in value] if isinstance(value, list) else _plain(value)
    if isinstance(value, dict):
        plain = {key: _plain(item) for key, item in value.items()}
    text = yaml.safe_dump(plain, default_flow_style=True, allow_unicode=True, width=10_000, sort_keys=False)
    return text.removesuffix("...\n").strip()


def _plain(value: Any) -> Any:
    return value.model_dump(mode="json", exclude_defaults=True) if isinstance(value, Section) else value


def _meaning(path: str) -> str:
    kind: Any = Profile
    *sections, last = path.split(".")
    for section in sections:
        kind = kind.model_fields[section].annotation
    field = kind.model_fields[last]
    bounds = [
        f"{sign} {getattr(item, name):,}"
        for item in field.metadata
        for name, sign in BOUNDS.items()
        if isinstance(getattr(item, name, None), int | float)
    ]
    return f"{field.description} ({', '.join(bounds)})" if bounds else str(field.description)

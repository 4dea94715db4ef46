"""What the sections of a profile are made of."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

from pydantic import BaseModel, ConfigDict, Field

from paris_assets.errors import UserError


class ProfileError(UserError, ValueError):
    """The profile cannot be used; the message names the setting and what is accepted."""


def tuning(default: Any, description: str, **bounds: Any) -> Any:
    """A setting that changes speed or reach, never the bytes of a result."""
    return Field(default, description=description, json_schema_extra={"tuning": True}, **bounds)


def distinct(values: list[Any]) -> list[Any]:
    """The values themselves; ValueError when one stands there twice."""
    if len(set(values)) != len(values):
        raise ValueError(f"{values} names one of them twice")
    return values


def by_path(values: Any) -> Any:
    """Settings of a list of files: paths stand for files, and one for a list of it."""
    values = [values] if isinstance(values, str) else values
    if not isinstance(values, list):
        return values
    return [{"path": value} if isinstance(value, str) else value for value in values]


class Section(BaseModel):
    """A part of the profile; unknown keys are errors and values are fixed once read."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    def import_paths(self) -> list[str]:
        """Classes that this section names by ``package.module:Class``: their code is part of the results."""
        return []

    def files(self) -> list[str]:
        """Local files that this section names, other than networks: their content is part of the results."""
        return []


def sections(value: Any) -> Iterator[Section]:
    """Every section in settings, itself included, in a fixed order."""
    if isinstance(value, Section):
        yield value
        parts = [getattr(value, name) for name in type(value).model_fields]
    elif isinstance(value, dict):
        parts = [value[key] for key in sorted(value, key=str)]
    else:
        parts = value if isinstance(value, list) else []
    for part in parts:
        yield from sections(part)


def without_tuning(value: Any) -> Any:
    """The JSON value of settings without those that change no result."""
    if isinstance(value, BaseModel):
        fields = type(value).model_fields
        return {
            name: without_tuning(getattr(value, name))
            for name, field in fields.items()
            if not (isinstance(field.json_schema_extra, dict) and field.json_schema_extra.get("tuning"))
        }
    if isinstance(value, list | tuple):
        return [without_tuning(item) for item in value]
    if isinstance(value, dict):
        return {key: without_tuning(item) for key, item in value.items()}
    return value

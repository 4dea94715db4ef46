"""Run config: every plain setting of the profile, as the launchpad offers it, and which of them one run may change."""

import types
from collections.abc import Iterator, Mapping
from functools import reduce
from typing import Annotated, Any, Literal, Union, get_args, get_origin

import dagster as dg
from pydantic.fields import FieldInfo

from paris_assets.config import Profile
from paris_assets.errors import UsageError
from paris_assets.profiles import dump_profile, parse_profile
from paris_assets.settings.section import Section

PLAIN: dict[Any, Any] = {int: dg.Int, float: dg.Float, bool: dg.Bool, str: dg.String}


def profile_resource(profile: Profile, root_url: str) -> dg.ResourceDefinition:
    """The settings of one run: those of the root, and in run config what changes no result.

    Args:
        root_url: where they are those of, for the error.
    """

    def settings(context: dg.InitResourceContext) -> Profile:
        return with_overrides(profile, context.resource_config)

    def asked(given: Mapping[str, Any]) -> dict[str, Any]:
        found = overrides(profile, given, root_url)
        with_overrides(profile, found)
        return found

    said = (
        "Settings, with those of the root as defaults. Those that change no result can be given for one run; another "
        "value of any other is refused, since all tables of a root are made under the same."
    )
    # Dagster looks at run config by `asked` before it creates a run, so whoever launches one is answered at once.
    given = dg.Field(offered(profile), is_required=False)
    return dg.ResourceDefinition(settings, dg.Permissive()).configured(asked, config_schema=given, description=said)


def overrides(profile: Profile, given: Mapping[str, Any], root_url: str) -> dict[str, Any]:
    """Dotted path -> value of the settings in run config that differ from the root's.

    Raises:
        UsageError: one of them decides results; says how to change it for the root.
    """
    now = {".".join(parts): _at(profile, parts) for parts, _ in _leaves(given)}
    found = {path: value for parts, value in _leaves(given) if value != now[path := ".".join(parts)]}
    tunes = {".".join(parts): _is_tuning(profile, parts) for parts, _ in _leaves(given)}
    refused = [path for path in found if not tunes[path]]
    if refused:
        named = ", ".join(f"{path} is {now[path]!r}, not {found[path]!r}" for path in refused)
        how = " ".join(f"--set {path}={found[path]}" for path in refused)
        raise UsageError(
            f"under {root_url} {named}: one run cannot change what decides results, since all tables of a root are "
            f"made under the same settings. Change it for the whole root: `paris run --root {root_url} {how}`"
        )
    return found


def with_overrides(profile: Profile, found: Mapping[str, Any]) -> Profile:
    """The profile with some settings changed, by dotted path.

    Raises:
        ProfileError: a value is out of bounds.
    """
    return parse_profile(dump_profile(profile), "run config", dict(found)) if found else profile


def offered(section: Section) -> dg.Shape:
    """The plain settings of a section and of those below it, with descriptions and their present values."""
    fields = {}
    for name, field in type(section).model_fields.items():
        value = getattr(section, name)
        below = offered(value) if isinstance(value, Section) else _by_name(value)
        if below is not None and below.fields:
            fields[name] = dg.Field(below, is_required=False, description=field.description)
        elif (kind := _kind(field.annotation)) is not None:
            fields[name] = dg.Field(kind, default_value=value, is_required=False, description=_described(field))
    return dg.Shape(fields)


def _by_name(value: Any) -> dg.Shape | None:
    """What is offered of sections that have names, as rules and scorers do; None for other values."""
    found = _named(value)
    return None if found is None else dg.Shape({name: _unnamed(one) for name, one in found.items()})


def _unnamed(section: Section) -> dg.Field:
    fields = {name: field for name, field in offered(section).fields.items() if name != "name"}
    return dg.Field(dg.Shape(fields), is_required=False)


def _named(value: Any) -> dict[str, Section] | None:
    """Name -> section, of a list of rules or a mapping of networks; None for other values."""
    if isinstance(value, list) and value and all(isinstance(one, Section) and _has_name(one) for one in value):
        return {one.name: one for one in value}
    if isinstance(value, dict) and value and all(isinstance(one, Section) for one in value.values()):
        return value
    return None


def _has_name(section: Section) -> bool:
    """Whether it is reached by a name of its own; steps of a selection need none."""
    return getattr(section, "name", None) is not None


def _described(field: FieldInfo) -> str:
    said = field.description or ""
    return said if _tunes(field) else f"{said} (of the root: `paris run --set` changes it)"


def _kind(annotation: Any) -> Any:
    """Dagster's type of a plain setting; None for what is none."""
    if annotation in PLAIN:
        return PLAIN[annotation]
    members = get_args(annotation)
    if get_origin(annotation) is Annotated:
        return _kind(members[0])
    if get_origin(annotation) in (Union, types.UnionType) and len(members) == 2 and type(None) in members:
        (inner,) = (_kind(member) for member in members if member is not type(None))
        return None if inner is None else dg.Noneable(inner)
    if get_origin(annotation) is list and _kind(members[0]) is not None:
        return dg.Array(_kind(members[0]))
    if get_origin(annotation) is Literal and all(isinstance(member, str) for member in members):
        return dg.String
    return None


def _leaves(given: Mapping[str, Any], above: tuple[str, ...] = ()) -> Iterator[tuple[tuple[str, ...], Any]]:
    """(path, value) of every plain setting."""
    for name, value in given.items():
        if isinstance(value, Mapping):
            yield from _leaves(value, (*above, name))
        else:
            yield (*above, name), value


def _below(value: Any, name: str) -> Any:
    return getattr(value, name) if isinstance(value, Section) else (_named(value) or {})[name]


def _at(profile: Profile, parts: tuple[str, ...]) -> Any:
    return reduce(_below, parts, profile)


def _tunes(field: FieldInfo) -> bool:
    return isinstance(field.json_schema_extra, dict) and bool(field.json_schema_extra.get("tuning"))


def _is_tuning(profile: Profile, parts: tuple[str, ...]) -> bool:
    """Whether the setting, or a section that it is in, changes no result."""
    owners = [(_at(profile, parts[:depth]), name) for depth, name in enumerate(parts)]
    return any(isinstance(owner, Section) and _tunes(type(owner).model_fields[name]) for owner, name in owners)

"""How settings are laid over others: a profile over its ``base``, and single settings (``--set``) over both."""

from __future__ import annotations

import re
from typing import Any, get_args, get_origin

from paris_assets.config import Model, OwnRule, Profile, ProfileError, QuantileRule, Rule, Tier
from paris_assets.errors import did_you_mean
from paris_assets.settings.curation import Curation
from paris_assets.settings.section import Section

RULES = [
    Curation.model_fields["signal_rules"].annotation,
    Curation.model_fields["quantile_rules"].annotation,
    Curation.model_fields["tiers"].annotation,
    Tier.model_fields["rules"].annotation,
]
"""Lists whose members are changed by their names."""
RULE_FIELDS = {*Rule.model_fields, *OwnRule.model_fields, *QuantileRule.model_fields, *Tier.model_fields}
PART = re.compile(r"\"([^\"]*)\"|'([^']*)'|([^.]+)")
"""A part of a dotted path; in quotes it may hold dots."""


def overlay(under: Any, over: Any, kind: Any = Profile) -> Any:
    """Settings of a profile over those of its base; what ``over`` leaves out stays.

    Mappings are joined name by name. A mapping in place of a list of rules changes rules by name, and ``null`` there,
    or for a scorer or a host, takes it out. A network of another implementation replaces the base's as a whole.

    Args:
        under: values of the base.
        over: values that win.
        kind: what the settings describe: a section, or the type of a field.
    """
    if kind in RULES:
        return _with_rules(under, over, kind) if isinstance(over, dict) else over
    if not isinstance(under, dict) or not isinstance(over, dict):
        return over
    if _is_network(kind) and over.get("implementation", under.get("implementation")) != under.get("implementation"):
        return over
    joined = dict(under)
    for name, value in over.items():
        inner = _inner(kind, name)
        joined[name] = overlay(joined.get(name, _default(kind, name)), value, inner)
        if value is None and _of_names(kind) and get_args(kind)[1] is not Any:
            del joined[name]
    return joined


def assign(settings: dict[str, Any], path: str, value: Any) -> None:
    """Put one setting in its place: ``clusters.k``, ``curation.signal_rules.short_side.min`` (a rule by its name),
    ``ingest.resolve.photos.example`` (a name with dots).

    Raises:
        ProfileError: a part of the path is no section, or no rule has the name.
    """
    parts = ["".join(found) for found in PART.findall(path)]
    if not parts:
        raise ProfileError(f"--set {path!r}: no setting is named")
    _place(settings, Profile, parts, value, path)


def _place(node: dict[str, Any], kind: Any, parts: list[str], value: Any, path: str) -> None:
    name, rest = _next(kind, parts)
    inner = _inner(kind, name)
    if not rest:
        if inner in RULES and isinstance(value, dict):
            value = _with_rules(node.get(name, _default(kind, name)), value, inner)
        if value is None and _of_names(kind) and get_args(kind)[1] is not Any:
            node.pop(name, None)
        else:
            node[name] = value
    elif inner in RULES:
        node[name] = _with_setting_of_rule(node.get(name, _default(kind, name)), rest, value, path, inner)
    else:
        below = node[name] = {} if node.get(name) is None else node[name]
        if not isinstance(below, dict):
            raise ProfileError(f"--set {path}: {name!r} is not a section")
        _place(below, inner, rest, value, path)


def _next(kind: Any, parts: list[str]) -> tuple[str, list[str]]:
    """The name that a path goes on with, and what follows: a host or a column may hold dots."""
    if _of_names(kind) and get_args(kind)[1] is not Any:
        fields = getattr(get_args(kind)[1], "model_fields", {})
        ends = next((at for at in range(1, len(parts)) if parts[at] in fields), len(parts))
        return ".".join(parts[:ends]), parts[ends:]
    return parts[0], parts[1:]


def _with_setting_of_rule(rules: Any, parts: list[str], value: Any, path: str, kind: Any) -> Any:
    """The rules with one of them changed: ``parts`` are its name, which may hold dots, and the setting of it."""
    ends = next((at for at in range(1, len(parts)) if parts[at] in RULE_FIELDS), len(parts))
    name, rest = ".".join(parts[:ends]), parts[ends:]
    known = [rule["name"] for rule in rules if isinstance(rule, dict) and "name" in rule]
    owner = next((each for each in known if rest == [] and name.startswith(f"{each}.")), None)
    if owner is not None:
        setting = name.removeprefix(f"{owner}.")
        meant = did_you_mean(setting, RULE_FIELDS)
        raise ProfileError(f"--set {path}: rule {owner!r} has no setting {setting!r}{meant}")
    if rest and name not in known:
        section = path.removesuffix(".".join(parts))
        raise ProfileError(
            f"--set {path}: no rule is called {name!r}{did_you_mean(name, known)}; there are "
            f"{', '.join(known) or 'none'}. A new one: --set '{section}{name}={{column: COLUMN, min: 0}}'"
        )
    change: Any = value
    for part in reversed(rest):
        change = {part: change}
    return _with_rules(rules, {name: change}, kind)


def _with_rules(rules: Any, changes: dict[str, Any], kind: Any) -> Any:
    """A list of rules, or of tiers, with some changed by name: null takes one out, a new name comes last."""
    kept = [dict(rule) for rule in rules or [] if isinstance(rule, dict)]
    for name, change in changes.items():
        at = next((number for number, rule in enumerate(kept) if rule.get("name") == name), None)
        if change is None:
            kept = [rule for number, rule in enumerate(kept) if number != at]
        elif not isinstance(change, dict):
            raise ProfileError(f"rule {name!r}: give its settings, such as {{min: 300}}, or null to take it out")
        elif at is None:
            kept.append(overlay({"name": name}, change, get_args(kind)[0]))
        else:
            kept[at] = overlay(kept[at], change, get_args(kind)[0])
    return kept


def _inner(kind: Any, name: str) -> Any:
    """What a name within a section or mapping describes; None where that is not known."""
    if isinstance(kind, type) and issubclass(kind, Section):
        return _section_of(kind.model_fields[name].annotation) if name in kind.model_fields else None
    return get_args(kind)[1] if _of_names(kind) else None


def _section_of(kind: Any) -> Any:
    """The section in a type that may be null as well; any other type as it is."""
    found = [each for each in get_args(kind) if isinstance(each, type) and issubclass(each, Section)]
    return found[0] if found and type(None) in get_args(kind) else kind


def _is_network(kind: Any) -> bool:
    return isinstance(kind, type) and issubclass(kind, Model)


def _of_names(kind: Any) -> bool:
    return get_origin(kind) is dict


def _default(kind: Any, name: str) -> Any:
    """The default of a list of rules, which single rules are changed in."""
    if _inner(kind, name) not in RULES:
        return {}
    field = kind.model_fields[name]
    return [
        rule.model_dump(mode="json")
        for rule in (() if field.is_required() else field.get_default(call_default_factory=True))
    ]

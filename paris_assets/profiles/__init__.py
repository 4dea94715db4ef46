"""The shipped profiles, and how a profile is read: its ``base``, the YAML file, ``PARIS_SET``, then the command line.

YAML holds plain values and can run nothing. Import paths in it (``signals.measures``, ``implementation``) name code by
design: use a stranger's profile as you would use their program.
"""

from __future__ import annotations

import os
from pathlib import Path
from typing import Any

import yaml
from pydantic import ValidationError

from paris_assets.config import Profile, ProfileError
from paris_assets.errors import did_you_mean, explained
from paris_assets.profiles.compose import assign, overlay
from paris_assets.settings.local_path import local_path
from paris_assets.settings.section import Section
from paris_assets.settings.yaml_fault import yaml_fault

PROFILES = Path(__file__).parent
PRESETS = PROFILES / "presets"
"""Bounds that others have published, to be laid over a profile: a ``base`` beside another one."""
MAX_VALUES = 100_000


def profile_file(name: str) -> Path:
    """The YAML file of a shipped profile or of a path.

    Raises:
        ProfileError: neither a shipped profile nor a file.
        FileError: it cannot be looked at.
    """
    with explained(name):
        shipped = (PROFILES / f"{name}.yaml", PRESETS / f"{name}.yaml")
        for file in (*shipped, Path(local_path(name) or name)):
            if file.is_file():
                return file
    known = shipped_profiles()
    raise ProfileError(f"no profile {name!r}{did_you_mean(name, known)}: give a YAML file or one of {', '.join(known)}")


def shipped_profiles() -> list[str]:
    """Names of the profiles in the package."""
    return sorted(file.stem for file in PROFILES.glob("*.yaml"))


def shipped_bases() -> list[str]:
    """Names that ``base`` takes beside files: of profiles, and of published bounds."""
    return [*shipped_profiles(), *sorted(file.stem for file in PRESETS.glob("*.yaml"))]


def load_profile(name: str = "demo", overrides: dict[str, Any] | None = None) -> Profile:
    """Read a profile, then apply ``PARIS_SET`` (``key=value`` separated by ``;``) and ``overrides``.

    Args:
        name: a shipped profile's name or a YAML file.
        overrides: dotted path -> value.

    Raises:
        ProfileError: unknown profile or setting, or a value out of bounds; the message names each of them.
        FileError: the file cannot be read.
    """
    file = profile_file(name)
    with explained(file):
        text = file.read_bytes()
    return parse_profile(text, str(file), {**environment_overrides(), **(overrides or {})})


def own_settings(name: str) -> set[str]:
    """Those of the source's settings, such as ``source.path``, that a profile's file states itself, not its base."""
    file = profile_file(name)
    with explained(file):
        settings = _parse_yaml(file.read_bytes(), str(file))
    source = settings.get("source") if isinstance(settings, dict) else None
    return {f"source.{key}" for key in source} if isinstance(source, dict) else set()


def environment_overrides() -> dict[str, Any]:
    """The settings in ``PARIS_SET``: ``key=value``, separated by ``;``."""
    return parse_overrides([pair for pair in os.environ.get("PARIS_SET", "").split(";") if pair.strip()])


def parse_profile(text: str | bytes, where: str, overrides: dict[str, Any] | None = None) -> Profile:
    """Validate YAML settings with overrides applied; errors name ``where`` and every wrong setting."""
    settings = _parse_yaml(text, where)
    if not isinstance(settings, dict):
        found = "is empty" if settings is None else f"holds a {type(settings).__name__}"
        raise ProfileError(f"{where} {found}; a profile is a mapping of settings, such as `seed: 0`")
    settings = _over_base(settings, where, (where,))
    settings.setdefault("name", Path(where).stem)
    for path, value in (overrides or {}).items():
        assign(settings, path, value)
    try:
        return Profile.model_validate(settings)
    except ValidationError as error:
        lines = [f"  {_where(item)}: {_said(item)}{_origin(item, overrides or {})}" for item in error.errors()]
        raise ProfileError(f"profile {where}:\n" + "\n".join(lines)) from error


def _over_base(settings: dict[str, Any], where: str, seen: tuple[str, ...]) -> dict[str, Any]:
    """The settings over those of their ``base``: a shipped profile's name, or a YAML file beside this one; of several,
    each over those before it."""
    settings = dict(settings)
    base = settings.pop("base", None) or []
    bases = [base] if isinstance(base, str) else base
    if not isinstance(bases, list) or not all(isinstance(each, str) for each in bases):
        raise ProfileError(f"{where}: base names a profile, such as demo, or a list of them, got {base!r}")
    under: dict[str, Any] = {}
    for each in bases:
        under = overlay(under, _base(each, where, seen))
    return overlay(under, settings)


def _base(name: str, where: str, seen: tuple[str, ...]) -> dict[str, Any]:
    """The settings of a base as its file has them, so that rules by name change those of the base before it."""
    known = shipped_bases()
    if name not in known and not os.path.exists(Path(where).parent / name):
        meant = did_you_mean(name, known)
        raise ProfileError(f"{where}: no base {name!r}{meant}: give a YAML file or one of {', '.join(known)}")
    file = profile_file(name if name in known else str(Path(where).parent / name))
    if str(file) in seen:
        raise ProfileError(f"{where}: base leads back to {file}")
    with explained(file):
        settings = _parse_yaml(file.read_bytes(), str(file))
    if not isinstance(settings, dict):
        raise ProfileError(f"{where}: its base {file} holds no settings")
    if "base" in settings:
        settings = _over_base(settings, str(file), (*seen, str(file)))
    return {key: value for key, value in settings.items() if key != "name"}


def _where(item: Any) -> str:
    return ".".join(map(str, item["loc"])) or "settings"


def _said(item: Any) -> str:
    """What is wrong with a setting, and the setting that was perhaps meant."""
    if item["type"] == "invalid_key":
        return 'names of settings are text: in YAML null, yes and numbers stand in quotes ("null": keep)'
    if item["type"] != "extra_forbidden":
        return item["msg"].removeprefix("Value error, ")
    return f"no such setting{_perhaps(_where(item))} (`paris settings` lists them all)"


def _perhaps(path: str) -> str:
    """A setting of this section with a like name, else one of a like path or last name anywhere."""
    known = setting_names()
    section, _, name = path.rpartition(".")
    beside = {each.rpartition(".")[2]: each for each in known if each.rpartition(".")[0] == section}
    anywhere = {each.rpartition(".")[2]: each for each in known}
    for text, names in ((name, beside), (path, dict.fromkeys(known)), (name, anywhere)):
        found = did_you_mean(text, names)
        if found:
            meant = found.split("'")[1]
            return f" (did you mean {(names[meant] or meant)!r}?)"
    return ""


def setting_names(kind: type[Section] = Profile, prefix: str = "") -> list[str]:
    """Dotted paths of every setting, those of networks included."""
    found = []
    for name, field in kind.model_fields.items():
        inner: Any = field.annotation
        whole = not (isinstance(inner, type) and issubclass(inner, Section))
        found += [f"{prefix}{name}"] if whole else setting_names(inner, f"{prefix}{name}.")
    return found


def _origin(error: Any, overrides: dict[str, Any]) -> str:
    """Where a wrong setting comes from when it is not the file."""
    path = ".".join(map(str, error["loc"]))
    named = next((name for name in overrides if f"{path}.".startswith(f"{name}.")), None)
    return f" (from --set or PARIS_SET: {named})" if named else ""


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
        overrides[path.strip()] = _parse_yaml(text, f"--set {path.strip()}")
    return overrides


class _Loader(yaml.SafeLoader):
    """Plain values only, and no merge that unfolds without end. `on` is a name, as in YAML 1.2: scores have one; where
    a setting is true or false, `on` and `off` are taken for that all the same."""

    yaml_implicit_resolvers = {
        first: [(tag, words) for tag, words in known if not (tag == "tag:yaml.org,2002:bool" and first in "oO")]
        for first, known in yaml.SafeLoader.yaml_implicit_resolvers.items()
    }

    def flatten_mapping(self, node: yaml.MappingNode) -> None:
        super().flatten_mapping(node)
        if len(node.value) > MAX_VALUES:
            raise yaml.YAMLError(f"more than {MAX_VALUES} values merged")


def _parse_yaml(text: str | bytes, where: str) -> Any:
    """Plain values; a few lines whose aliases unfold to millions of values, or hold themselves, are refused."""
    try:
        value = _Loader(text).get_single_data()
    except (yaml.YAMLError, ValueError, RecursionError) as error:  # ValueError: a date or number that cannot be
        raise ProfileError(f"{where} is not valid YAML: {yaml_fault(error)}") from error
    waiting, count = [value], 0
    while waiting:
        item, count = waiting.pop(), count + 1
        if count > MAX_VALUES:
            raise ProfileError(f"{where} holds more than {MAX_VALUES} values with its aliases written out")
        waiting += item.values() if isinstance(item, dict) else item if isinstance(item, list | set | tuple) else ()
    return value


def with_full_paths(profile: Profile) -> Profile:
    """The profile with local places named as they are found from any folder: `source.path`, `ingest.serve`,
    `ingest.opt_out` and the lists of `curation`."""
    serve, opt_out = profile.ingest.serve, [_at_full_path(each) for each in profile.ingest.opt_out]
    lists = {name: [_at_full_path(each) for each in getattr(profile.curation, name)] for name in ("prune", "boost")}
    return profile.model_copy(
        update={
            "source": _at_full_path(profile.source),
            "ingest": profile.ingest.model_copy(update={"serve": serve and full_path(serve), "opt_out": opt_out}),
            "curation": profile.curation.model_copy(update=lists),
        }
    )


def _at_full_path(section: Any) -> Any:
    return section.model_copy(update={"path": full_path(section.path)})


def full_path(path: str) -> str:
    """A local path, glob or `file://` URL from the root of this machine's files on; other URLs as they are."""
    local = local_path(path)
    return path if local is None else os.path.abspath(local)


def dump_profile(profile: Profile) -> str:
    """The resolved profile as YAML, readable again by ``load_profile``."""
    return yaml.safe_dump(profile.model_dump(mode="json"), sort_keys=False, allow_unicode=True)

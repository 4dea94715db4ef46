"""A profile's settings as the manifest publishes them."""

from __future__ import annotations

from typing import Any

from paris_assets.config import Profile

TRAINING_PROBE = {
    "report": "analysis/training_probe.html",
    "figures": "analysis/training_probe.json",
    "table": "training_probe/all.parquet",
    "meaning": "made of the files listed here, after this manifest, whose version the figures name",
}
"""Where the outcome of `probe` is found: it reads what the manifest lists, so that the manifest cannot hold it."""


def published_settings(profile: Profile) -> dict[str, Any]:
    """All settings that results depend on, without where the source or a model's folder lies on this machine."""
    settings = {name: profile.results(name) for name in Profile.model_fields if name not in ("checks", "ray")}
    settings["source"]["path"] = profile.source.path.rstrip("/").rpartition("/")[2]
    return _without_folders(settings)


def changed_sections(profile: Profile, published: dict[str, Any]) -> list[str]:
    """Sections of a root's profile that are others than in the settings of a manifest: a change was begun since."""
    now = published_settings(profile)
    return sorted(name for name in now if name != "name" and now[name] != published.get(name))


def _without_folders(value: Any) -> Any:
    """Settings with the last name only of the local folders that models are read from, and of lists of images."""
    if isinstance(value, dict):
        named = {key: _without_folders(item) for key, item in value.items()}
        path = named.get("path")
        given = "implementation" in named or len(named) == 1
        if given and path and (path[0] in "/.~" or path.count("/") > 1):
            named["path"] = path.rstrip("/").rpartition("/")[2]
        return named
    return [_without_folders(item) for item in value] if isinstance(value, list) else value

"""The profile: one validated object describes a whole run.

``paris_assets.profiles`` reads it from YAML; the sections of each stage are in ``paris_assets.settings``. Settings
marked ``tuning`` change speed or reach, never results: they enter no fingerprint and no manifest, so changing them
redoes nothing.
"""

from __future__ import annotations

from collections.abc import Iterable
from functools import reduce
from typing import Any

from pydantic import Field

from paris_assets.settings.captions import Captions, Text
from paris_assets.settings.checks import Checks
from paris_assets.settings.clusters import Clusters
from paris_assets.settings.curation import Curation, Duplicates, OwnRule, QuantileRule, Rule, Tier
from paris_assets.settings.experts import Experts
from paris_assets.settings.import_path import class_version
from paris_assets.settings.ingest import Ingest, Source
from paris_assets.settings.latents import Latents
from paris_assets.settings.network import Model
from paris_assets.settings.section import ProfileError, Section, sections, without_tuning
from paris_assets.settings.signals import Signals

__all__ = [
    "Captions",
    "Checks",
    "Clusters",
    "Curation",
    "Duplicates",
    "Experts",
    "Ingest",
    "Latents",
    "Model",
    "OwnRule",
    "Profile",
    "ProfileError",
    "QuantileRule",
    "Rule",
    "Signals",
    "Source",
    "Text",
    "Tier",
    "own_code",
]


class Profile(Section):
    """Everything that a run depends on."""

    name: str = Field(default="demo", description="name of the profile")
    seed: int = Field(default=0, ge=0, lt=2**32, description="seed from which every random choice is derived")
    allow_missing_shards: bool = Field(
        default=False, description="global assets go on without unfinished shards and list them"
    )
    source: Source = Source()
    ingest: Ingest = Ingest()
    signals: Signals = Signals()
    scores: dict[str, Model] = Field(default_factory=dict, description="column -> image scorer")
    curation: Curation = Curation()
    duplicates: Duplicates = Duplicates()
    captions: Captions = Captions()
    text: Text = Text()
    embedder: Model = Field(default=Model(implementation="efficientnet-lite0"), description="image embedder")
    clusters: Clusters = Clusters()
    latents: Latents = Latents()
    experts: Experts = Experts()
    checks: Checks = Checks()

    @property
    def posterior_seed(self) -> int | None:
        """The seed where latents are sampled; means depend on none."""
        return self.seed if self.latents.posterior == "sample" else None

    def at(self, path: str) -> Any:
        """The value at a dotted path such as ``clusters.k``.

        Raises:
            ProfileError: no such setting.
        """
        try:
            return reduce(getattr, path.split("."), self)
        except AttributeError as error:
            raise ProfileError(f"profile {self.name!r} has no setting {path!r}") from error

    def results(self, path: str) -> Any:
        """The JSON value at ``path`` without the tuning settings: what may enter a fingerprint or a manifest."""
        return without_tuning(self.at(path))


def own_code(profile: Profile, paths: Iterable[str]) -> dict[str, str]:
    """Import path -> version of every class, not of this package, that the settings at these paths name.

    Raises:
        ImportPathError: one of them cannot be loaded.
    """
    named = {name for path in paths for section in sections(profile.at(path)) for name in section.import_paths()}
    return {name: version for name in sorted(named) if (version := class_version(name))}

"""The profile: one validated object describes a whole run.

``paris_assets.profiles`` reads it from YAML; the sections of each stage are in ``paris_assets.settings``. Settings
marked ``tuning`` change speed or reach, never results: they enter no fingerprint and no manifest, so changing them
redoes nothing.
"""

from __future__ import annotations

import re
from collections.abc import Iterable
from functools import reduce
from typing import Any

from pydantic import Field, model_validator

from paris_assets.settings.captions import Captions, Endpoint, Kind, Text
from paris_assets.settings.checks import Checks
from paris_assets.settings.clusters import Clusters
from paris_assets.settings.concepts import Concepts
from paris_assets.settings.curation import CopyDuplicates, Curation, Duplicates, OwnRule, QuantileRule, Rule, Tier
from paris_assets.settings.experts import Experts
from paris_assets.settings.import_path import class_version
from paris_assets.settings.ingest import Encode, Ingest, Source
from paris_assets.settings.latents import Latents
from paris_assets.settings.network import Model, Score
from paris_assets.settings.pool import Pool
from paris_assets.settings.ray import Ray
from paris_assets.settings.section import ProfileError, Section, sections, without_tuning
from paris_assets.settings.signals import Signals
from paris_assets.settings.training_probe import TrainingProbe

__all__ = [
    "Captions",
    "Checks",
    "Clusters",
    "Concepts",
    "CopyDuplicates",
    "Curation",
    "Duplicates",
    "Encode",
    "Endpoint",
    "Experts",
    "Ingest",
    "Kind",
    "Latents",
    "Model",
    "OwnRule",
    "Pool",
    "Profile",
    "ProfileError",
    "QuantileRule",
    "Rule",
    "Score",
    "Signals",
    "Source",
    "Text",
    "Tier",
    "TrainingProbe",
    "own_code",
]


_COLUMN = re.compile(r"[A-Za-z0-9][\w.-]*", re.ASCII)
SCORED_TEXT = "scored_text"
"""Column of `content_scores` with the text that was compared."""
RESERVED = ("image_id", "reason")
"""Columns of `picture_embeddings` that are no encoder's."""


class Profile(Section):
    """Everything that a run depends on."""

    name: str = Field(default="demo", description="name of the profile")
    seed: int = Field(default=0, ge=0, lt=2**32, description="seed from which every random choice is derived")
    allow_missing_shards: bool = Field(
        default=False, description="global assets go on without unfinished shards and list them"
    )
    source: Source = Source()
    pool: Pool = Pool()
    ingest: Ingest = Ingest()
    signals: Signals = Signals()
    picture_embeddings: dict[str, Model] = Field(
        default_factory=dict,
        description="column -> image encoder, run before curation on images that pass the rules on signals",
    )
    scores: dict[str, Score] = Field(default_factory=dict, description="column -> image scorer, or head on an encoder")
    curation: Curation = Curation()
    duplicates: Duplicates = Duplicates()
    captions: Captions = Captions()
    concepts: Concepts = Concepts()
    text: Text = Text()
    embedder: Model = Field(
        default=Model(implementation="efficientnet-lite0"),
        description="image embedder of clusters and router, or the name of an encoder of `picture_embeddings`",
    )
    copy_embedder: Model | None = Field(
        default=None,
        description="image embedder that finds copies (`duplicates.copies`), run before curation on images that pass "
        "the rules on signals; null: pHash finds them alone",
    )
    clusters: Clusters = Clusters()
    latents: Latents = Latents()
    experts: Experts = Experts()
    probe: TrainingProbe | None = Field(
        default=None, description="tiny networks trained on what was written, to prove that it trains; null: none are"
    )
    checks: Checks = Checks()
    ray: Ray = Ray()

    @model_validator(mode="before")
    @classmethod
    def _embedder_by_name(cls, values: Any) -> Any:
        """The name of an encoder of `picture_embeddings` stands for its settings."""
        if not isinstance(values, dict) or not isinstance(values.get("embedder"), str):
            return values
        known = values.get("picture_embeddings") or {}
        if values["embedder"] not in known:
            raise ValueError(_no_encoder("embedder", values["embedder"], known))
        return {**values, "embedder": known[values["embedder"]]}

    @model_validator(mode="after")
    def _encoders(self) -> Profile:
        for name in self.picture_embeddings:
            if name in RESERVED or not _COLUMN.fullmatch(name):
                raise ValueError(f"picture_embeddings: {name!r} cannot be a column: letters, digits, - _ . are allowed")
        for column, score in self.scores.items():
            if column in ("image_id", SCORED_TEXT):
                raise ValueError(f"scores: {column!r} is a column of content_scores already")
            if score.on is not None and score.on not in self.picture_embeddings:
                raise ValueError(_no_encoder(f"scores.{column}.on", score.on, self.picture_embeddings))
        close = self.duplicates.vectors
        if close is not None and close.encoder not in self.picture_embeddings:
            raise ValueError(_no_encoder("duplicates.vectors.encoder", close.encoder, self.picture_embeddings))
        if close is not None and self.copy_embedder is not None:
            raise ValueError(
                "duplicates.vectors and copy_embedder both compare vectors for copies: give one of the two"
            )
        return self

    @model_validator(mode="after")
    def _tags(self) -> Profile:
        if self.concepts.listed == "tags" and "tags" not in self.source.columns:
            raise ValueError(
                "concepts.listed: say in source.columns which column of the source holds tags: {tags: NAME}"
            )
        return self

    @model_validator(mode="after")
    def _router(self) -> Profile:
        size, latents = self.router_resolution, self.latents
        if size not in latents.resolutions:
            raise ValueError(
                f"experts.router_resolution: {size} is not among latents.resolutions {latents.resolutions}"
            )
        if size in latents.bucketed:
            others = f"set experts.router_resolution to one of {latents.squares}" if latents.squares else "add a square"
            raise ValueError(
                f"experts.router_resolution: {size} px is in buckets, and the router's latents are of one shape: "
                f"{others}, or leave {size} out of latents.buckets.resolutions"
            )
        if size > min(latents.resolutions) and not latents.upscale:
            raise ValueError(
                f"experts.router_resolution: samples of small images have no latent of {size} px: take the smallest of "
                f"latents.resolutions, {min(latents.resolutions)}, or set latents.upscale"
            )
        return self

    @property
    def router_resolution(self) -> int:
        """Size of the latents in the router arrays, pixels."""
        return self.experts.router_resolution or min(self.latents.resolutions)

    @property
    def stored_embedder(self) -> str | None:
        """The encoder of `picture_embeddings` that is `embedder` to the last setting: its vectors are taken over."""
        same = (name for name, encoder in self.picture_embeddings.items() if encoder == self.embedder)
        return next(same, None)

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


def _no_encoder(setting: str, name: str, known: Iterable[str]) -> str:
    return f"{setting}: no encoder {name!r} in picture_embeddings; there are {', '.join(known) or 'none'}"


def own_code(profile: Profile, paths: Iterable[str]) -> dict[str, str]:
    """Import path -> version of every class, not of this package, that the settings at these paths name.

    Raises:
        ImportPathError: one of them cannot be loaded.
    """
    named = {name for path in paths for section in sections(profile.at(path)) for name in section.import_paths()}
    return {name: version for name in sorted(named) if (version := class_version(name))}

"""What a partition depends on: code version, settings and the content of its inputs."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any

import dagster as dg
from pydantic import BaseModel

from paris_assets.config import Model, Profile
from paris_assets.models.weights import local_weights_sha256
from paris_assets.storage.records import ALL, Record

SETTINGS = "paris/settings"
FROM_SETTINGS = "paris/refit_on_settings_only"
DATA_FILES = "paris/data_files"

ReadRecord = Callable[[str, str], Record | None]


@dataclass(frozen=True)
class Node:
    """One asset as the storage sees it."""

    name: str
    partitioned: bool
    code_version: str
    settings: tuple[str, ...]
    inputs: tuple[str, ...]
    from_settings: bool = False
    data_files: tuple[str, ...] = ()

    @classmethod
    def from_spec(cls, spec: dg.AssetSpec) -> Node:
        """Read what the asset declares: ``code_version``, dependencies and the settings in its metadata."""
        return cls(
            name=spec.key.to_user_string(),
            partitioned=spec.partitions_def is not None,
            code_version=spec.code_version or "",
            settings=tuple(spec.metadata.get(SETTINGS, ())),
            inputs=tuple(sorted(dep.asset_key.to_user_string() for dep in spec.deps)),
            from_settings=bool(spec.metadata.get(FROM_SETTINGS, False)),
            data_files=tuple(spec.metadata.get(DATA_FILES, ())),
        )


Graph = Mapping[str, Node]


def own_fingerprint(node: Node, profile: Profile) -> str:
    """Hash of code version, settings and local weights alone: rows computed under the same one may be kept."""
    settings = {path: profile.results(path) for path in node.settings}
    weights = {path: found for path in node.settings if (found := _weights(profile.at(path)))}
    return _hash([node.name, node.code_version, settings, weights])


def _weights(value: Any) -> list[str]:
    """Hashes of the weights in local folders that settings name: a retrained network is another network."""
    if isinstance(value, Model):
        found = local_weights_sha256(value)
        return [found] if found else []
    if isinstance(value, BaseModel):
        return [found for name in type(value).model_fields for found in _weights(getattr(value, name))]
    if isinstance(value, dict):
        return [found for key in sorted(value) for found in _weights(value[key])]
    return []


def lineage_fingerprint(node: Node, graph: Graph, profile: Profile) -> str:
    """Hash of the asset's settings and those of all its ancestors: what a refit depends on."""
    names, open_names = set(), [node.name]
    while open_names:
        name = open_names.pop()
        if name not in names:
            names.add(name)
            open_names.extend(graph[name].inputs)
    return _hash([own_fingerprint(graph[name], profile) for name in sorted(names)])


def fingerprint(
    node: Node, graph: Graph, profile: Profile, shard: str, shards: list[str], record: ReadRecord, extra: Any = None
) -> str | None:
    """The fingerprint wanted for a partition, or None while one of its inputs is missing.

    A partitioned asset reads only its shard's slice of a global input. An asset that is refitted on changed settings
    only (the cluster model) ignores the content of its inputs.
    """
    if node.from_settings:
        return lineage_fingerprint(node, graph, profile)
    contents: dict[str, Any] = {}
    for name in node.inputs:
        if not graph[name].partitioned:
            upstream = record(name, ALL)
            content = upstream and (upstream.slices.get(shard, "") if upstream.slices else upstream.content)
        elif node.partitioned:
            upstream = record(name, shard)
            content = upstream and upstream.content
        else:
            records = {key: record(name, key) for key in shards}
            found = {key: upstream.content for key, upstream in records.items() if upstream}
            content = found if found and (len(found) == len(shards) or profile.allow_missing_shards) else None
        if content is None:
            return None
        contents[name] = content
    return _hash([own_fingerprint(node, profile), contents, extra])


def _hash(value: Any) -> str:
    return hashlib.sha256(json.dumps(value, sort_keys=True, default=str).encode()).hexdigest()

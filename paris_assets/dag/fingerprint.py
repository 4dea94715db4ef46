"""What a partition depends on: code version, settings and the content of its inputs."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, replace
from typing import Any

import dagster as dg

from paris_assets.config import Model, Profile
from paris_assets.dag.records import ALL, Record
from paris_assets.models.weights import local_model_sha256
from paris_assets.settings.import_path import code_version
from paris_assets.settings.section import sections

SETTINGS = "paris/settings"
FROM_SETTINGS = "paris/refit_on_settings_only"
DATA_FILES = "paris/data_files"
CHOOSES = "paris/chooses"
READS_IF = "paris/reads_if"

ReadRecord = Callable[[str, str], Record | None]
OwnFingerprint = Callable[[str], str]


@dataclass(frozen=True)
class Node:
    """One asset as the storage sees it.

    Attributes:
        settings: dotted paths on which the value of a row depends.
        chooses: dotted paths that decide which rows there are, but not what is in them.
        reads_if: (input, path, item): inputs that are read only where the setting holds the item.
    """

    name: str
    partitioned: bool
    code_version: str
    settings: tuple[str, ...]
    inputs: tuple[str, ...]
    from_settings: bool = False
    data_files: tuple[str, ...] = ()
    chooses: tuple[str, ...] = ()
    reads_if: tuple[tuple[str, str, str], ...] = ()

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
            chooses=tuple(spec.metadata.get(CHOOSES, ())),
            reads_if=tuple((name, *condition) for name, condition in spec.metadata.get(READS_IF, {}).items()),
        )

    def under(self, profile: Profile) -> Node:
        """The asset with the inputs that it reads under a profile."""
        unread = {name for name, path, item in self.reads_if if item not in profile.at(path)}
        return replace(self, inputs=tuple(name for name in self.inputs if name not in unread)) if unread else self


Graph = Mapping[str, Node]


def own_fingerprint(node: Node, profile: Profile) -> str:
    """Hash of code version, settings, local models and the user's own code alone: rows computed under the same one may
    be kept."""
    settings = {path: profile.results(path) for path in node.settings}
    models = {path: found for path in node.settings if (found := _local_models(profile.at(path)))}
    code = own_code(profile, node.settings)
    return _hash([node.name, node.code_version, settings, models, *([code] if code else [])])


def own_code(profile: Profile, paths: Iterable[str]) -> dict[str, str]:
    """Import path -> version of every class, not of this package, that the settings at these paths name.

    Raises:
        ImportPathError: one of them cannot be loaded.
    """
    named = {name for path in paths for section in sections(profile.at(path)) for name in section.import_paths()}
    return {name: version for name in sorted(named) if (version := code_version(name))}


def choice(node: Node, profile: Profile) -> dict[str, Any]:
    """What decides which rows an asset has: settings, and the user's own code that they name."""
    code = own_code(profile, node.chooses)
    return {path: profile.results(path) for path in node.chooses} | ({"code": code} if code else {})


def _local_models(value: Any) -> list[str]:
    """Hashes of the models in local folders that settings name: a retrained or reconfigured network is another one."""
    networks = [section for section in sections(value) if isinstance(section, Model)]
    return [found for network in networks if (found := local_model_sha256(network))]


def lineage_fingerprint(node: Node, graph: Graph, own: OwnFingerprint) -> str:
    """Hash of the asset's settings and those of all its ancestors: what a refit depends on."""
    names, open_names = set(), [node.name]
    while open_names:
        name = open_names.pop()
        if name not in names:
            names.add(name)
            open_names.extend(graph[name].inputs)
    return _hash([own(name) for name in sorted(names)])


def fingerprint(
    node: Node,
    graph: Graph,
    own: OwnFingerprint,
    shard: str,
    shards: list[str],
    record: ReadRecord,
    extra: Any = None,
    some_missing: bool = False,
) -> str | None:
    """The fingerprint wanted for a partition, or None while one of its inputs is missing.

    A partitioned asset reads only its shard's slice of a global input. An asset that is refitted on changed settings
    only (the cluster model) ignores the content of its inputs.

    Args:
        own: asset name -> ``own_fingerprint``.
        shards: all registered shards, for an unpartitioned asset.
        record: (asset, shard) -> commit record, or None.
        extra: what an asset without inputs depends on.
        some_missing: whether a global asset goes on without some of the shards.
    """
    if node.from_settings:
        return lineage_fingerprint(node, graph, own)
    contents: dict[str, Any] = {}
    for name in node.inputs:
        if not graph[name].partitioned:
            upstream = record(name, ALL)
            sliced = node.partitioned and upstream and upstream.slices
            content = upstream and (upstream.slices.get(shard, "") if sliced else upstream.content)
        elif node.partitioned:
            upstream = record(name, shard)
            content = upstream and upstream.content
        else:
            records = {key: record(name, key) for key in shards}
            found = {key: upstream.content for key, upstream in records.items() if upstream}
            content = found if found and (some_missing or len(found) == len(shards)) else None
        if content is None:
            return None
        contents[name] = content
    return _hash([own(node.name), contents, extra])


def _hash(value: Any) -> str:
    return hashlib.sha256(json.dumps(value, sort_keys=True, default=str).encode()).hexdigest()

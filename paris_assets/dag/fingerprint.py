"""What a partition depends on: code, settings and the content of its inputs."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Callable, Iterable, Sequence
from typing import Any

from paris_assets.config import Model, Profile, own_code
from paris_assets.dag.graph import Graph, TableSpec, ancestors
from paris_assets.dag.records import ALL, Record
from paris_assets.models.weights import local_model_sha256
from paris_assets.settings.section import sections
from paris_assets.storage.given_files import content_of

ReadRecord = Callable[[str, str], Record | None]
OwnFingerprint = Callable[[str], str]


def own_fingerprint(spec: TableSpec, profile: Profile) -> str:
    """Hash of code, settings, local models and files, and the user's own code alone: rows computed under the same one
    may be kept."""
    return _hash([spec.code_version, settings_fingerprint(spec, profile)])


def rows_fingerprint(own: str, made_as: Sequence[tuple[str, str]]) -> str:
    """``own_fingerprint``, joined with that of every input whose keys do not tell how it was made, and how it was."""
    return _hash([own, made_as]) if made_as else own


def joined(prints: Iterable[str]) -> str:
    """One hash of several."""
    return _hash(list(prints))


def settings_fingerprint(spec: TableSpec, profile: Profile) -> str:
    """Hash of settings, local models and files, and the user's own code alone: what a refit depends on."""
    settings = {path: profile.results(path) for path in spec.settings}
    models = {path: found for path in spec.settings if (found := _local_models(profile.at(path)))}
    files = {path: found for path in spec.settings if (found := _given_files(profile.at(path)))}
    return _hash([spec.name, settings, models, files, own_code(profile, spec.settings)])


def row_choice(spec: TableSpec, profile: Profile) -> dict[str, Any]:
    """What decides which rows an asset has: settings, and the user's own code that they name."""
    settings = {path: profile.results(path) for path in spec.row_settings}
    return settings | {"code": own_code(profile, spec.row_settings)}


def _local_models(value: Any) -> list[str]:
    """Hashes of the models in local folders that settings name: a retrained or reconfigured network is another one."""
    networks = [section for section in sections(value) if isinstance(section, Model)]
    return [found for network in networks if (found := local_model_sha256(network))]


def _given_files(value: Any) -> list[str | None]:
    """What other files that settings name hold: an edited list is another one."""
    return [content_of(path) for section in sections(value) for path in section.files()]


def fingerprint(
    spec: TableSpec,
    graph: Graph,
    own: OwnFingerprint,
    settings: OwnFingerprint,
    shard: str,
    shards: Sequence[str],
    record: ReadRecord,
    extra: Any = None,
    some_missing: bool = False,
) -> str | None:
    """The fingerprint wanted for a partition, or None while one of its inputs is missing.

    A partitioned asset reads only its shard's slice of a global input. An asset that is refitted on changed settings
    only (the cluster model) depends on its own code and the settings of all its ancestors, and on the content of none:
    an edit of the code that fetches images must not give published experts another meaning.

    Args:
        own: asset name -> ``own_fingerprint``.
        settings: asset name -> ``settings_fingerprint``.
        shards: all registered shards, for an unpartitioned asset.
        record: (asset, shard) -> commit record, or None.
        extra: what an asset without inputs depends on.
        some_missing: whether a global asset goes on without some of the shards.
    """
    if spec.refit_on_settings_only:
        return _hash([own(spec.name), *(settings(name) for name in sorted(ancestors(graph, spec.name)))])
    contents: dict[str, Any] = {}
    for name in spec.inputs:
        content: Any
        if not graph[name].partitioned:
            upstream = record(name, ALL)
            sliced = spec.partitioned and upstream and upstream.slices
            content = upstream and (upstream.slices.get(shard, "") if sliced else upstream.content)
        elif spec.partitioned:
            upstream = record(name, shard)
            content = upstream and upstream.content
        else:
            found = {key: upstream.content for key in shards if (upstream := record(name, key))}
            content = found if found and (some_missing or len(found) == len(shards)) else None
        if content is None:
            return None
        contents[name] = content
    return _hash([own(spec.name), contents, extra])


def _hash(value: Any) -> str:
    return hashlib.sha256(json.dumps(value, sort_keys=True, default=str).encode()).hexdigest()

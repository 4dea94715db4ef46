"""Whether a cluster can make the tables of a root, and make them as this process would: said before work starts."""

from __future__ import annotations

import os
import re
import uuid
from collections.abc import Collection, Iterable, Iterator
from contextlib import contextmanager
from dataclasses import replace
from pathlib import Path

from paris_assets.config import Profile
from paris_assets.dag.catalog import Catalog
from paris_assets.dag.private import SqliteRunStorage
from paris_assets.dag.s3 import REACHED_BY
from paris_assets.errors import UsageError, did_you_mean
from paris_assets.models.resolve import resolve_networks
from paris_assets.planning.home import dagster_home
from paris_assets.runs.actors import asset_needs
from paris_assets.runs.cluster import Cluster, Node
from paris_assets.runs.doctor import missing_for
from paris_assets.runs.execution import open_instance
from paris_assets.runs.host import runs_on_cuda
from paris_assets.runs.node import Found, Setup, look
from paris_assets.runs.postgres import DRIVER, POSTGRES
from paris_assets.runs.version import version_here

SENT = ("HF_HUB_OFFLINE", *REACHED_BY)
"""Variables by which a root, and weights, are reached."""


def resolved_there(cluster: Cluster, profile: Profile, stored: Profile | None) -> tuple[Profile, list[str]]:
    """The profile with a device and a precision in place of every ``auto``, and what it lacks: on a node with a GPU
    where the cluster has one, else as this machine says."""
    for node in (node for node in cluster.nodes() if node.gpus):
        for resolved, missing in cluster.ask({node: (profile, stored)}, _resolved).values():
            return resolved, [f"node {node.address}: {line}" for line in missing]
    return _resolved(profile, stored)


def _resolved(profile: Profile, stored: Profile | None) -> tuple[Profile, list[str]]:
    profile = resolve_networks(profile, stored)
    return profile, missing_for(profile)


def checked_setup(cluster: Cluster, catalog: Catalog) -> Setup:
    """What actors are told, once it is known that every node can work.

    Raises:
        UsageError: no node has what an asset needs, or a node differs in what has to be the same.
    """
    nodes = cluster.nodes()
    _require_some(nodes)
    _require_room(catalog, nodes)
    root, home = catalog.location, dagster_home(catalog.location.url, catalog.location.remote)
    with open_instance(root) as instance:
        in_sqlite = isinstance(instance.run_storage, SqliteRunStorage)
    settings = (home / "dagster.yaml").read_text()
    named = {name for name in re.findall(r"\benv: *['\"]?(\w+)", settings) if name != "DAGSTER_HOME"}
    environment = {name: os.environ[name] for name in sorted({*SENT, *named}) if name in os.environ}
    setup = Setup(root.url, catalog.profile, environment, os.getcwd() if in_sqlite else None, settings)
    cuda = any(runs_on_cuda(catalog.profile, spec) for spec in catalog.graph.values())
    with _marks(catalog, home if in_sqlite else None) as marks:
        asked = {node: (setup, marks, bool(node.gpus) or not cuda) for node in nodes}
        found: dict[Node, Found] = cluster.ask(asked, look)
    _require_some(found)
    machines = len({each.machine for each in found.values()}) if in_sqlite else 1
    if machines > 1:  # nodes elsewhere cannot see the home of a root on S3
        found = {node: replace(each, unseen=_in_root(each.unseen)) for node, each in found.items()}
    problems = [f"node {node.address}: {line}" for node in found for line in _problems(catalog, found[node], marks)]
    if machines > 1:
        problems.insert(0, _not_shared(root.url, home, machines))
    if problems:
        raise UsageError("--ray: nodes of the cluster cannot work on this root:\n" + _listed(problems))
    return setup


def _in_root(places: Iterable[str]) -> list[str]:
    return [place for place in places if not os.path.isabs(place)]


def _not_shared(url: str, home: Path, machines: int) -> str:
    return (
        f"they are on {machines} machines, and Dagster keeps the runs of {url} in SQLite ({home}), which only "
        f"processes of one machine can share: export {POSTGRES}={DRIVER}... of a database for this root alone, delete "
        f"{home} (results do not depend on it), and run again"
    )


def _require_some(nodes: Collection[Node]) -> None:
    if not nodes:
        raise UsageError("--ray: no node of the cluster has a CPU to work on: add one (`ray start --address=...`)")


def _require_room(catalog: Catalog, nodes: list[Node]) -> None:
    for name in catalog.profile.ray.assets:
        if name not in catalog.graph:
            known = ", ".join(sorted(catalog.graph))
            raise UsageError(f"ray.assets: no asset {name!r}{did_you_mean(name, catalog.graph)}; assets: {known}")
    for name, needs in asset_needs(catalog, nodes).items():
        if not any(node.room(needs) for node in nodes):
            has = ", ".join(f"{node.address} {node.cpus} CPU, {node.gpus:g} GPU" for node in nodes[:8])
            raise UsageError(
                f"--ray: no node has {needs}, which an actor of {name} takes; there are {has}: add a node, or take "
                f"less (ray.cpus, ray.assets.{name})"
            )


@contextmanager
def _marks(catalog: Catalog, home: Path | None) -> Iterator[dict[str, str]]:
    """Small files in the root and in Dagster's home, for nodes to find: place -> what is written there."""
    token = uuid.uuid4().hex
    mark = f".probe-{token}"
    catalog.location.put_bytes(token.encode(), mark)
    places = {mark: token}
    if home is not None:
        (home / mark).write_text(token)
        places[str(home / mark)] = token
    try:
        yield places
    finally:
        catalog.location.delete(mark)
        if home is not None:
            (home / mark).unlink(missing_ok=True)


def _problems(catalog: Catalog, found: Found, marks: dict[str, str]) -> Iterator[str]:
    """What keeps a node from working under the root, each in a line."""
    if different := version_here().differs(found.version):
        yield f"it has {different}: install the same there"
        return
    for place in found.unseen:
        if os.path.isabs(place):
            where, what = (
                f"{Path(place).parent}, where Dagster keeps the runs,",
                f"share it, or export {POSTGRES}={DRIVER}...",
            )
        else:
            where, what = catalog.location.url, "name a --root on a disk that all share, or s3://..."
        yield f"it does not see {where} as this machine does: {what}"
    if found.problems:
        yield from found.problems
        return
    other = [name for name, print_ in found.fingerprints.items() if print_ != catalog.own_fingerprint(name)]
    if other and not found.unseen:
        yield f"code or weights of yours are others there than here, for {', '.join(other)}"


def _listed(lines: list[str]) -> str:
    more = [f"  - and {len(lines) - 12} more"] if len(lines) > 12 else []
    return "\n".join([*(f"  - {line}" for line in lines[:12]), *more])

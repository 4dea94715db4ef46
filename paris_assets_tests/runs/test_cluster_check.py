"""What a cluster is refused for before work starts, each in a sentence; its nodes are played by this process."""

from __future__ import annotations

import errno
import os
from collections.abc import Callable, Mapping
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from paris_assets.dag.catalog import Catalog
from paris_assets.definitions import open_catalog
from paris_assets.errors import UsageError, UserError
from paris_assets.profiles import load_profile
from paris_assets.runs import node
from paris_assets.runs.cluster import Node
from paris_assets.runs.cluster_check import checked_setup, resolved_there
from paris_assets.runs.node import Found, Setup, look
from paris_assets.runs.postgres import POSTGRES
from paris_assets.runs.version import Version

NODES = [Node("a", "10.0.0.1", 4, 0, 8.0), Node("b", "10.0.0.2", 2, 0, 8.0)]


@pytest.fixture(autouse=True)
def no_home_afterwards(monkeypatch: pytest.MonkeyPatch) -> None:
    """A check opens the root's instance, which names its home to all that comes behind in this process."""
    monkeypatch.setenv("DAGSTER_HOME", "")


class Played:
    """A cluster whose nodes answer as this process does, but for what a test changes on the last of them."""

    def __init__(self, nodes: list[Node], change: Callable[[Any], Any] = lambda found: found) -> None:
        self._nodes, self._change = nodes, change

    def nodes(self) -> list[Node]:
        return self._nodes

    def ask(self, nodes: Mapping[Node, tuple[Any, ...]], function: Callable[..., Any]) -> dict[Node, Any]:
        found = {node: function(*arguments) for node, arguments in nodes.items()}
        return {node: self._change(one) if node is self._nodes[-1] else one for node, one in found.items()}


def catalog_of(folder: Path, **overrides: Any) -> Catalog:
    settings = load_profile("demo", {name.replace("__", "."): value for name, value in overrides.items()})
    return open_catalog(str(folder / "root"), settings)


def check(catalog: Catalog, change: Callable[[Found], Found] = lambda found: found) -> Any:
    return checked_setup(Played(NODES, change), catalog)  # type: ignore[arg-type]


def changed(**fields: Any) -> Callable[[Found], Found]:
    return lambda found: replace(found, **fields)


def test_nodes_that_are_alike_are_told_what_they_need(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("AWS_REGION", "eu-west-1")
    catalog = catalog_of(tmp_path)
    setup = check(catalog)
    assert setup.url == catalog.location.url
    assert setup.profile == catalog.profile
    assert setup.environment["AWS_REGION"] == "eu-west-1"
    assert not [path for path in (tmp_path / "root").rglob(".probe-*")]


@pytest.mark.parametrize(
    ("change", "said"),
    [
        (changed(version=Version("3.99.1", "", {})), "10.0.0.2: it has Python 3.99.1, and this command"),
        (changed(unseen=[".probe-1"]), "10.0.0.2: it does not see .*root as this machine does: name a --root on a"),
        (changed(problems=["embedder: no weights"]), "10.0.0.2: embedder: no weights"),
        (changed(fingerprints={"captions": "other"}), "10.0.0.2: code or weights of yours are others .* for captions"),
        (changed(machine="another"), f"they are on 2 machines, and Dagster keeps the runs .* SQLite .*{POSTGRES}="),
    ],
    ids=["version", "root", "weights", "code", "sqlite"],
)
def test_a_node_that_cannot_work_is_named(tmp_path: Path, change: Callable[[Found], Found], said: str) -> None:
    with pytest.raises(UsageError, match=said):
        check(catalog_of(tmp_path), change)


class Apart(Played):
    """The last node is another machine, which has another home directory and not the command's folder."""

    def ask(self, nodes: Mapping[Node, tuple[Any, ...]], function: Callable[..., Any]) -> dict[Node, Any]:
        here, folder = super().ask(nodes, function), os.getcwd()
        setup, *others = nodes[self._nodes[-1]]
        there = function(replace(setup, folder="/nowhere/at/all"), *others)
        os.chdir(folder)
        return {**here, self._nodes[-1]: replace(there, machine="another")}


def test_the_runs_of_a_root_on_s3_in_sqlite_are_told_of_first(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, s3_url: str
) -> None:
    monkeypatch.chdir(tmp_path)
    with pytest.raises(UsageError, match=f"they are on 2 machines, .* in SQLite .*{POSTGRES}=") as refused:
        checked_setup(Apart(NODES), open_catalog(s3_url, load_profile("demo")))  # type: ignore[arg-type]
    assert "does not see" not in str(refused.value), "its home is here by design"


@pytest.mark.parametrize(
    ("settings", "said"),
    [
        ({"captions": {"cpus": 64}}, "no node has 64 CPU, which an actor of captions takes; there are 10.0.0.1 4 CPU"),
        ({"captions": {"gpus": 1}}, "no node has 4 CPU and 1 GPU, which an actor of captions takes"),
        ({"caption": {"cpus": 1}}, r"ray.assets: no asset 'caption' \(did you mean 'captions'\?\)"),
    ],
)
def test_what_no_node_can_give_is_refused(tmp_path: Path, settings: dict[str, Any], said: str) -> None:
    with pytest.raises(UsageError, match=said):
        check(catalog_of(tmp_path, ray__assets=settings))
    assert not (tmp_path / "root").exists()


def test_a_node_that_has_no_place_for_a_home_says_so(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def full(*_: object, **__: object) -> None:
        raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC), "/home")

    monkeypatch.setattr(node, "private_folder", full)
    setup = Setup("s3://bucket/root", catalog_of(tmp_path).profile, {}, None, "")
    found = look(setup, {".probe-1": "1"}, whole=True)
    assert (found.problems, found.unseen) == (["[Errno 28] No space left on device: '/home'"], [])


def test_a_share_of_several_gpus_is_refused_where_it_is_set() -> None:
    with pytest.raises(
        UserError, match=r"ray\.assets\.captions\.gpus: .*a share of one GPU, or whole ones: 1.5 is neither"
    ):
        load_profile("demo", {"ray.assets": {"captions": {"gpus": 1.5}}})
    for gpus in (0, 0.25, 1, 2.0):
        load_profile("demo", {"ray.assets": {"captions": {"gpus": gpus}}})


def test_a_cluster_without_cores_is_refused(tmp_path: Path) -> None:
    with pytest.raises(UsageError, match="no node of the cluster has a CPU"):
        checked_setup(Played([]), catalog_of(tmp_path))  # type: ignore[arg-type]


def test_a_node_with_a_gpu_says_what_networks_compute_in(tmp_path: Path) -> None:
    profile = load_profile("demo")
    there = replace(NODES[1], gpus=1.0)

    def on_cuda(answer: Any) -> Any:
        return answer[0].model_copy(update={"name": "as the node resolved it"}), ["captions: no weights"]

    resolved, missing = resolved_there(Played([NODES[0], there], on_cuda), profile, None)  # type: ignore[arg-type]
    assert resolved.name == "as the node resolved it"
    assert missing == ["node 10.0.0.2: captions: no weights"]


@pytest.mark.slow
@pytest.mark.parametrize(
    ("url", "said"),
    [
        ("postgresql://paris@127.0.0.1/x", r"export it as postgresql\+psycopg2://USER@HOST/NAME"),
        ("postgresql+psycopg2://paris@127.0.0.1:9/x", "cannot be used .*refused.*: see that it is there"),
    ],
)
def test_a_database_that_cannot_be_used_is_a_sentence(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, url: str, said: str
) -> None:
    pytest.importorskip("dagster_postgres")
    monkeypatch.setenv(POSTGRES, url)
    with pytest.raises(UsageError, match=said):
        check(catalog_of(tmp_path))
    settings = (tmp_path / "root" / ".dagster" / "dagster.yaml").read_text()
    assert "paris@" not in settings

"""Each check of MDS files fails for its own defect."""

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import polars as pl
import pytest

from paris_assets.dag.records import ALL
from paris_assets.experts.mds import checks
from paris_assets.experts.mds.indices import indices
from paris_assets_tests.fixtures import made_up
from paris_assets_tests.fixtures.made_up import SHARD, MadeUpRoot

INDEX = "expert_mds/cluster_0/256/index.json"


@pytest.fixture
def store(tmp_path: Path) -> MadeUpRoot:
    store = made_up.flat_root(tmp_path, **{"experts.formats": ["mds"], "experts.mds.size_limit": 1 << 16})
    made_up.publishable(store)
    made_up.publish(store)
    store.commit("mds_index", ALL, indices(store.scan("expert_mds", [SHARD]), {}))
    assert "expert_shards" not in store.graph
    assert failing(store) == []
    return store


def failing(store: MadeUpRoot) -> list[str]:
    judged = {
        "mds_complete": store.check(checks.mds_complete, SHARD),
        "index_equals_files": store.check(checks.index_equals_files, ALL),
    }
    return [name for name, found in judged.items() if not found.passed]


def edit_index(store: MadeUpRoot, change: Callable[[list[dict[str, Any]]], Any]) -> None:
    path = Path(store.root.uri(INDEX))
    index = json.loads(path.read_text())
    change(index["shards"])
    path.write_text(json.dumps(index))


@pytest.mark.parametrize(
    ("change", "figure"),
    [
        (lambda shards: shards.pop(), "missing"),
        (
            lambda shards: shards.append({**shards[0], "raw_data": {**shards[0]["raw_data"], "basename": "x.mds"}}),
            "unknown",
        ),
        (lambda shards: shards.append(shards[0]), "twice"),
        (lambda shards: shards[0].update(samples=1), "other"),
        (lambda shards: shards[0]["raw_data"].update(bytes=1), "other"),
        (lambda shards: shards[0]["raw_data"]["hashes"].update(sha256="0"), "other"),
    ],
)
def test_an_index_that_is_not_that_of_the_files(
    store: MadeUpRoot, change: Callable[[list[dict[str, Any]]], Any], figure: str
) -> None:
    edit_index(store, change)
    assert failing(store) == ["index_equals_files"]
    found = store.check(checks.index_equals_files, ALL).figures
    assert {name: found[name] for name in found if name != "files" and found[name]} == {figure: 1}


def test_an_index_that_is_torn_or_gone(store: MadeUpRoot) -> None:
    path = Path(store.root.uri(INDEX))
    path.write_bytes(path.read_bytes()[:-10])
    assert store.check(checks.index_equals_files, ALL).figures["unreadable"] == 1
    path.unlink()
    assert store.check(checks.index_equals_files, ALL).figures["unreadable"] == 1


def test_a_sample_that_is_in_no_file_or_two(store: MadeUpRoot, tmp_path: Path) -> None:
    rows = store.read("expert_mds", SHARD)

    def copies(paths: pl.Series) -> dict[str, Path]:
        found = {path: tmp_path / str(number) for number, path in enumerate(paths)}
        for path, copy in found.items():
            copy.write_bytes(store.root.read(path))
        return found

    store.put("expert_mds", pl.concat([rows, rows[:1]]), files=copies(rows["path"]))
    found = store.check(checks.mds_complete, SHARD)
    assert (found.passed, found.figures["twice"]) == (False, rows["samples"][0])
    store.put("expert_mds", rows[1:], files=copies(rows["path"][1:]))
    found = store.check(checks.mds_complete, SHARD)
    assert (found.passed, found.figures["missing"]) == (False, rows["samples"][0])


def test_a_sample_in_the_folder_of_another_cluster(store: MadeUpRoot) -> None:
    swapped = pl.when(pl.int_range(pl.len()) == 0).then(1).otherwise("cluster").cast(pl.Int32)
    store.replace("cluster_assignments", cluster=swapped)
    assert store.check(checks.mds_complete, SHARD).figures["misplaced"] == 1


def test_a_file_that_is_torn(store: MadeUpRoot) -> None:
    path = Path(store.root.uri(store.read("expert_mds", SHARD)["path"][0]))
    path.write_bytes(path.read_bytes()[:-10])
    found = store.check(checks.mds_complete, SHARD).figures
    assert found["torn"] == 1
    assert found["missing"] != 0

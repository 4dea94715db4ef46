"""Each check of the clusters stage fails for its own defect, at the shipped bounds."""

from pathlib import Path
from typing import Any

import numpy as np
import polars as pl
import pytest

from paris_assets.clusters import checks
from paris_assets.errors import MissingInput
from paris_assets_tests.fixtures import made_up
from paris_assets_tests.fixtures.made_up import DIM, SHARD, MadeUpRoot

SHARDED = [checks.embeddings_sane, checks.ids_joined]
GLOBAL = [checks.silhouette, checks.smallest_cluster, checks.largest_cluster, checks.dead_clusters, checks.boundary]
GOOD: dict[str, Any] = {"silhouette": 0.12, "boundary_fraction": 0.65, "sizes": [40, 30, 20, 10]}


@pytest.fixture
def store(tmp_path: Path) -> MadeUpRoot:
    store = made_up.flat_root(tmp_path)
    made_up.publishable(store)
    report(store)
    assert failing(store) == []
    return store


def report(store: MadeUpRoot, **facts: Any) -> None:
    table = pl.DataFrame({"metric": ["silhouette"], "value": [0.0]})
    store.put("cluster_report", table, facts={**GOOD, **facts})


def failing(store: MadeUpRoot) -> list[str]:
    judged = [(check, store.check(check, SHARD)) for check in SHARDED] + [
        (check, store.check(check, "all")) for check in GLOBAL
    ]
    return [check.__name__ for check, found in judged if not found.passed]


@pytest.mark.parametrize("defect", ["nan", "zero", "huge", "constant"])
def test_embeddings_that_are_no_embeddings(store: MadeUpRoot, defect: str) -> None:
    values = np.random.default_rng(0).standard_normal((24, DIM)).astype(np.float16)
    if defect == "constant":
        values[:] = values[0]
    else:
        values[5] = {"nan": np.nan, "zero": 0, "huge": 60000}[defect]
    store.put("image_embeddings", store.read("image_embeddings", SHARD).with_columns(pl.Series("embedding", values)))
    assert failing(store) == ["embeddings_sane"]


def test_an_image_without_embedding(store: MadeUpRoot) -> None:
    store.put("image_embeddings", store.read("image_embeddings", SHARD)[1:])
    assert failing(store) == ["embeddings_sane", "ids_joined"]


def test_an_image_without_cluster(store: MadeUpRoot) -> None:
    store.put("cluster_assignments", store.read("cluster_assignments", SHARD)[1:])
    assert failing(store) == ["ids_joined"]


def test_a_cluster_that_the_model_lacks(store: MadeUpRoot) -> None:
    store.replace("cluster_assignments", cluster=pl.lit(7, pl.Int32))
    assert failing(store) == ["ids_joined"]


@pytest.mark.parametrize(
    ("facts", "fails"),
    [
        ({"silhouette": -0.05}, "silhouette"),
        ({"sizes": [500, 400, 300, 3]}, "smallest_cluster"),
        ({"sizes": [90, 20, 20, 10]}, "largest_cluster"),
        ({"boundary_fraction": 0.95}, "boundary"),
    ],
)
def test_a_clustering_out_of_bounds(store: MadeUpRoot, facts: dict[str, Any], fails: str) -> None:
    report(store, **facts)
    assert failing(store) == [fails]


def test_a_dead_cluster(store: MadeUpRoot) -> None:
    report(store, sizes=[40, 30, 30, 0])
    assert failing(store) == ["smallest_cluster", "dead_clusters"]


def test_no_report_is_an_error(tmp_path: Path) -> None:
    with pytest.raises(MissingInput, match="cluster_report/all has not been made"):
        made_up.flat_root(tmp_path).check(checks.silhouette, "all")


def test_embeddings_that_are_null(store: MadeUpRoot) -> None:
    store.replace("image_embeddings", embedding=pl.when(pl.int_range(pl.len()) % 2 == 0).then("embedding"))
    assert failing(store) == ["embeddings_sane"]
    assert store.check(checks.embeddings_sane, SHARD).figures["not_finite"] == 12

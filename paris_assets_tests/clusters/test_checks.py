"""Each check of the clusters stage fails for its own defect, at the shipped bounds."""

from pathlib import Path
from typing import Any

import numpy as np
import polars as pl
import pytest

from paris_assets.clusters import checks
from paris_assets.errors import MissingInput
from paris_assets_tests.clusters.learnt import LEARNT, probed
from paris_assets_tests.fixtures import made_up
from paris_assets_tests.fixtures.made_up import DIM, SHARD, MadeUpRoot

SHARDED = [checks.embeddings_sane, checks.ids_joined]
LEARNABLE = [
    checks.embeddings_tell_clusters,
    checks.latents_tell_clusters,
    checks.clusters_not_confused,
    checks.copies_together,
]
GLOBAL = [checks.silhouette, checks.smallest_cluster, checks.largest_cluster, checks.dead_clusters, checks.boundary]
GLOBAL += LEARNABLE
GOOD: dict[str, Any] = {
    "silhouette": 0.12,
    "boundary_fraction": 0.65,
    "sizes": [40, 30, 20, 10],
    "k": 4,
    "learnability": LEARNT,
}


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
        ({"sizes": [31, 9]}, "largest_cluster"),
        ({"boundary_fraction": 0.95}, "boundary"),
    ],
)
def test_a_clustering_out_of_bounds(store: MadeUpRoot, facts: dict[str, Any], fails: str) -> None:
    report(store, **facts)
    assert failing(store) == [fails]


def test_of_two_clusters_the_larger_one_may_hold_three_quarters(store: MadeUpRoot) -> None:
    report(store, sizes=[28, 12])
    assert failing(store) == []


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


@pytest.mark.parametrize("few", [True, False])
def test_failures_of_few_images_are_warnings_that_say_what_could_be_seen(store: MadeUpRoot, few: bool) -> None:
    weak = probed(images=150 if few else 1000, accuracy=0.34)
    report(store, learnability={**LEARNT, "embeddings": weak, "latents": weak})
    assert failing(store) == ["embeddings_tell_clusters", "latents_tell_clusters"]
    found = store.check(checks.latents_tell_clusters, "all")
    assert found.warns is few
    assert ("few data (150 images): no accuracy below 39.0% can be told from chance" in found.said) is few


def test_an_interval_that_reaches_down_to_chance_is_no_proof_of_many_images(store: MadeUpRoot) -> None:
    for found in (probed(accuracy=0.38), probed(accuracy=0.5, permuted=0.55)):
        report(store, learnability={**LEARNT, "latents": found})
        assert failing(store) == ["latents_tell_clusters"]
        report(store, learnability={**LEARNT, "latents": {**found, "images": 150}})
        assert failing(store) == []


def test_what_cannot_be_judged_warns_but_of_a_single_cluster(store: MadeUpRoot) -> None:
    none = {"images": 9, "refused": "too few"}
    report(store, learnability={**LEARNT, "embeddings": none, "latents": none})
    assert failing(store) == ["embeddings_tell_clusters", "latents_tell_clusters", "clusters_not_confused"]
    assert all(store.check(check, "all").warns for check in LEARNABLE[:3])
    report(store, learnability={**LEARNT, "embeddings": none, "latents": none}, k=1)
    assert failing(store) == []


def test_the_pair_that_is_confused_beyond_chance_is_named(store: MadeUpRoot) -> None:
    pairs = [(0, 1, 0.55, 0.2), (1, 2, 0.5, 0.02)]  # of few images by chance, of many not
    named = [dict(zip(("one", "other", "share", "error"), pair, strict=True)) for pair in pairs]
    report(store, learnability={**LEARNT, "embeddings": probed(confused=named)})
    assert failing(store) == ["clusters_not_confused"]
    assert "clusters 1 and 2 are confused" in store.check(checks.clusters_not_confused, "all").said.lower()
    report(store, learnability={**LEARNT, "embeddings": probed(confused=named[:1])})
    assert failing(store) == []

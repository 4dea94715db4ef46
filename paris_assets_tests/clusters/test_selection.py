from __future__ import annotations

import numpy as np
import polars as pl
import pytest

from paris_assets.clusters.selection import select
from paris_assets.clusters.values import valued
from paris_assets.config import Clusters

N = 400


def _tables() -> tuple[pl.DataFrame, pl.DataFrame]:
    rng = np.random.default_rng(0)
    ids = [f"{row:05d}" for row in range(N)]
    clusters = np.r_[np.zeros(1), rng.integers(1, 4, N - 1)]
    assignments = pl.DataFrame(
        {"image_id": ids, "cluster": clusters, "distance": rng.permutation(N)},
        schema_overrides={"cluster": pl.Int32, "distance": pl.Float32},
    )
    return assignments, pl.DataFrame({"image_id": ids, "caption": [f"caption {row}" for row in range(N)]})


def test_everything_in_valued_clusters_is_selected_by_default() -> None:
    assignments, captions = _tables()
    settings = Clusters(k=4)
    table = select(assignments, valued(assignments, captions, settings), settings)
    assert table.schema == {"image_id": pl.String, "cluster": pl.Int32, "selected": pl.Boolean, "reason": pl.String}
    assert table.filter(~pl.col("selected")).rows() == [("00000", 0, False, "low_value_cluster")]
    assert table.filter("selected")["reason"].null_count() == N - 1


@pytest.mark.parametrize("prefer", ["near", "far"])
def test_keep_fraction_keeps_the_same_images_shard_by_shard(prefer: str) -> None:
    assignments, captions = _tables()
    settings = Clusters(k=4, keep_fraction=0.25, prefer=prefer)  # type: ignore[arg-type]
    values = valued(assignments, captions, settings)
    order = assignments.sample(fraction=1, shuffle=True, seed=0)
    shards = [select(order[start : start + 90], values, settings) for start in range(0, N, 90)]
    assert all(shard["image_id"].is_sorted() for shard in shards)
    table = pl.concat(shards)
    for cluster in (1, 2, 3):
        members = assignments.filter(cluster=cluster).sort("distance", descending=prefer == "far")
        wanted = set(members["image_id"][: -(-len(members) // 4)])
        assert set(table.filter(pl.col("selected"), cluster=cluster)["image_id"]) == wanted
    assert set(table["reason"].unique()) == {None, "low_value_cluster", "beyond_keep_fraction"}


def test_unvalued_clusters_are_an_error() -> None:
    assignments, captions = _tables()
    values = valued(assignments, captions, Clusters(k=4)).filter(pl.col("cluster") != 2)
    with pytest.raises(ValueError, match="cluster_values lack cluster 2"):
        select(assignments, values, Clusters(k=4))

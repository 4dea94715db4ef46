from __future__ import annotations

import io

import numpy as np
import polars as pl
import pytest

from paris_assets.clusters.centroids import model_frame, read_model
from paris_assets.clusters.kmeans import fit
from paris_assets.clusters.schema import CLUSTER_MODEL
from paris_assets.config import Clusters


@pytest.mark.parametrize(
    "settings",
    [
        {},
        {"fine": 12, "assignment": "inherit"},
        {"max_share": 0.4},
        {"reduce": "pca", "dims": 4, "fine": 12},
        {"reduce": "centre"},
    ],
)
def test_a_model_survives_its_table(settings: dict) -> None:
    vectors = np.random.default_rng(0).normal(size=(60, 7)).astype(np.float32)
    model = fit(vectors, Clusters(k=3, restarts=1, **settings), 0)
    file = io.BytesIO()
    model_frame(model).write_parquet(file)
    file.seek(0)
    table = pl.read_parquet(file)
    again = read_model(table.sample(fraction=1, shuffle=True, seed=1))
    for name in ("coarse", "fine", "fine_to_coarse", "penalties"):
        before, after = getattr(model, name), getattr(again, name)
        assert (before is None) == (after is None), name
        if before is not None:
            np.testing.assert_array_equal(before, after)
            assert before.dtype == after.dtype
    assert (again.assignment, again.normalize) == (model.assignment, model.normalize)
    assert again.statistics == model.statistics
    np.testing.assert_array_equal(again.placed(vectors), model.placed(vectors))
    CLUSTER_MODEL.require(table.schema, "cluster_model")
    assert table.schema["centroid"] == pl.Array(pl.Float32, settings.get("dims", 7))
    assert ("basis" in table.columns) == ("reduce" in settings)
    levels = {"none": [], "centre": ["mean"], "pca": ["mean"] + ["component"] * 4}[settings.get("reduce", "none")]
    fine = table.height - 3 - len(levels)
    assert table["level"].to_list() == ["coarse"] * 3 + ["fine"] * fine + levels


def test_a_table_without_centroids_is_refused() -> None:
    vectors = np.random.default_rng(0).normal(size=(60, 7)).astype(np.float32)
    table = model_frame(fit(vectors, Clusters(k=3, restarts=1), 0))
    with pytest.raises(ValueError, match="holds no coarse centroids"):
        read_model(table.head(0))

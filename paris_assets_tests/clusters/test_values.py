from __future__ import annotations

import numpy as np
import polars as pl
import pytest

from paris_assets.clusters.values import valued
from paris_assets.config import Clusters


def _tables() -> tuple[pl.DataFrame, pl.DataFrame]:
    """Cluster 0: ten images, all captions differ; 1: ten images, one caption; 2: one image; 3: none."""
    ids = [f"{row:02d}" for row in range(21)]
    assignments = pl.DataFrame(
        {"image_id": ids, "cluster": [0] * 10 + [1] * 10 + [2], "distance": [*range(10), *range(10), 7]},
        schema_overrides={"cluster": pl.Int32, "distance": pl.Float32},
    )
    texts = [f"a photo of {row}" for row in range(10)] + ["Blank page", " blank page"] * 5 + ["alone"]
    return assignments, pl.DataFrame({"image_id": ids, "caption": texts})


def test_each_cluster_gets_its_own_reason() -> None:
    table = valued(*_tables(), Clusters(k=4, min_images=2, min_caption_diversity=0.2))
    assert table["cluster"].to_list() == [0, 1, 2, 3]
    assert table["value"].to_list() == ["high", "low", "low", "low"]
    assert table["images"].to_list() == [10, 10, 1, 0]
    assert table["distinct_captions"].to_list() == [1.0, 0.1, 1.0, None]
    assert table["mean_distance"].to_list() == [4.5, 4.5, 7.0, None]
    reasons = table["reason"].to_list()
    assert reasons[1] == "0.100 distinct captions per image, below 0.2 (clusters.min_caption_diversity)"
    assert reasons[2] == "1 images, fewer than 2 (clusters.min_images)"
    assert reasons[3] == "0 images, fewer than 2 (clusters.min_images)"
    assert table.schema["cluster"] == pl.Int32


@pytest.mark.parametrize(
    ("fraction", "prefer", "bound"),
    [(1.0, "near", None), (0.95, "near", 9), (0.3, "near", 2), (0.31, "near", 3), (0.3, "far", 7), (1.0, "far", None),
     (0.001, "near", 0)],
)  # fmt: skip
def test_distance_bound_is_that_of_the_last_image_kept(fraction: float, prefer: str, bound: float | None) -> None:
    settings = Clusters(k=4, keep_fraction=fraction, prefer=prefer)  # type: ignore[arg-type]
    assert valued(*_tables(), settings)["distance_bound"][0] == bound


def test_images_without_caption_lower_the_diversity() -> None:
    assignments, captions = _tables()
    table = valued(assignments.lazy(), captions.filter(pl.col("image_id") > "04").lazy(), Clusters(k=4))
    assert table["distinct_captions"][0] == 0.5


def test_row_order_changes_nothing() -> None:
    rng = np.random.default_rng(0)
    ids = [f"{row:05d}" for row in range(5000)]
    assignments = pl.DataFrame(
        {"image_id": ids, "cluster": rng.integers(0, 3, 5000), "distance": rng.random(5000)},
        schema_overrides={"cluster": pl.Int32, "distance": pl.Float32},
    )
    captions = pl.DataFrame({"image_id": ids, "caption": [str(word) for word in rng.integers(0, 900, 5000)]})
    settings = Clusters(k=3, keep_fraction=0.37)
    shuffled = assignments.sample(fraction=1, shuffle=True, seed=2)
    assert valued(assignments, captions, settings).equals(valued(shuffled, captions, settings))


def test_clusters_that_the_settings_lack_are_an_error() -> None:
    with pytest.raises(ValueError, match=r"name clusters \[2\], but clusters.k is 2"):
        valued(*_tables(), Clusters(k=2))

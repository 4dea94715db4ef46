"""Which images go into training: the rows of ``training_selection``, shard by shard."""

from __future__ import annotations

import polars as pl

from paris_assets.config import Clusters

LOW_VALUE = "low_value_cluster"
BEYOND = "beyond_keep_fraction"


def select(assignments: pl.DataFrame, values: pl.DataFrame, settings: Clusters) -> pl.DataFrame:
    """Verdict per image: selected in clusters of high value, up to the cluster's ``distance_bound``.

    The bound was decided over the whole set, so shards are selected one by one; images at exactly that distance are all
    kept. Sorted by image_id.

    Args:
        assignments: ``image_id``, ``cluster``, ``distance`` of one shard.
        values: ``cluster``, ``value``, ``distance_bound`` of ``values.valued`` with the same settings.

    Returns:
        ``image_id``, ``cluster`` i32, ``selected`` bool, ``reason`` (null when selected, else ``low_value_cluster`` or
        ``beyond_keep_fraction``).

    Raises:
        ValueError: an image's cluster has no value.
    """
    table = assignments.select("image_id", "cluster", "distance").join(
        values.select("cluster", "value", "distance_bound"), on="cluster", how="left"
    )
    unvalued = table.filter(pl.col("value").is_null())
    if len(unvalued):
        raise ValueError(f"cluster_values lack cluster {unvalued['cluster'][0]}: redo cluster_values")
    distance, bound = pl.col("distance"), pl.col("distance_bound")
    beyond = distance > bound if settings.prefer == "near" else distance < bound
    reason = pl.when(pl.col("value") == "low").then(pl.lit(LOW_VALUE)).when(beyond).then(pl.lit(BEYOND))
    return table.select("image_id", "cluster", selected=reason.is_null(), reason=reason).sort("image_id")

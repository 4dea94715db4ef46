"""Images to clusters: the rows of ``cluster_assignments``."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from functools import partial

import numpy as np
import polars as pl

from paris_assets.clusters.centroids import ClusterModel
from paris_assets.clusters.schema import CLUSTER_ASSIGNMENTS
from paris_assets.compute import Compute
from paris_assets.vectors.distances import Nearest, nearest, nearest_of_blocks
from paris_assets.vectors.rows import Blocks


def own_clusters(vectors: np.ndarray, model: ClusterModel) -> tuple[Nearest, np.ndarray | None]:
    """Coarse clusters of vectors (N, D) by the model's rule, and the nearest fine centroid (N,) int32 of a two-stage
    model."""
    return _own_clusters(partial(nearest, model.placed(vectors)), model)


def own_clusters_of_blocks(blocks: Blocks, model: ClusterModel, compute: Compute) -> Nearest:
    """Coarse clusters of (N, d) rows in the fitted space, the blocks being parts of the work."""
    return _own_clusters(partial(nearest_of_blocks, blocks, compute=compute), model)[0]


def _own_clusters(near: Callable[..., Nearest], model: ClusterModel) -> tuple[Nearest, np.ndarray | None]:
    fine = None if model.fine is None else near(model.fine).labels
    inherited = None
    if model.assignment == "inherit" and fine is not None and model.fine_to_coarse is not None:
        inherited = model.fine_to_coarse[fine]
    return near(model.coarse, model.penalties, inherited), fine


def assign(image_ids: Sequence[str], vectors: np.ndarray, model: ClusterModel) -> pl.DataFrame:
    """One row per image, sorted by image_id; a row depends on its own vector and the model alone, bit for bit.

    Args:
        image_ids: (N), any order.
        vectors: (N, D) float32 of ``features.join`` with the settings of the fit.

    Returns:
        ``image_id``, ``cluster`` i32, ``distance`` and ``second_distance`` f32 (Euclidean, not squared, to the own and
        to the nearest other **coarse** centroid; with ``inherit`` or a cap the own one can be the farther), and
        ``fine_cluster`` i32 (null for a direct fit). ``second_distance`` is null with a single cluster.

    Raises:
        ValueError: lengths or dimensions that do not fit, an id that comes twice, or vectors that are not finite.
    """
    if len(image_ids) != len(vectors):
        raise ValueError(f"{len(image_ids)} image_ids for {len(vectors)} vectors")
    found, fine = own_clusters(vectors, model)
    columns = {
        "image_id": list(image_ids),
        "cluster": found.labels,
        "distance": np.sqrt(found.own),
        "second_distance": np.sqrt(found.other),
        "fine_cluster": [None] * len(vectors) if fine is None else fine,
    }
    frame = CLUSTER_ASSIGNMENTS.frame(columns).with_columns(pl.col("second_distance").fill_nan(None))
    if frame["image_id"].n_unique() != len(frame):
        raise ValueError("image_ids to assign must be distinct")
    return frame.sort("image_id")

"""Rows whose image lies where images of a reference set lie."""

from __future__ import annotations

from typing import Any

import numpy as np
import polars as pl
import torch

from paris_assets.errors import explained
from paris_assets.pool.outcome import View
from paris_assets.pool.pool_table import UnusablePool
from paris_assets.settings.selectors import ImageBased
from paris_assets.vectors.cosine import SLACK, cosines, rough_cosines, unit_rows

PRODUCTS = 1 << 24
"""Held at a time."""


def like_references(step: ImageBased, view: View) -> tuple[np.ndarray, np.ndarray, dict[str, Any]]:
    """(M,) whether the nearest centroid of the row's image is one of the references', and whether it has a vector.

    Raises:
        UnusablePool: the pool has no image vectors, or files of other dimensions.
    """
    references, centroids = _vectors(step.references), _vectors(step.centroids)
    _require_columns(view, centroids, references, step)
    wanted = np.unique(nearest_centroids(references, centroids))
    near, found = np.zeros(len(view.table), bool), np.zeros(len(view.table), bool)
    assert view.known.pool_vectors is not None
    left = view.table.source_row[view.rows]
    for shard in view.known.pool_vectors.keys:
        frame = view.known.pool_vectors[shard].select("source_row", "image").drop_nulls().collect()
        frame = frame.filter(np.isin(frame["source_row"].to_numpy(), left))
        at = view.table.positions(frame["source_row"].to_numpy())
        found[at] = True
        near[at] = np.isin(nearest_centroids(frame["image"].to_numpy(), centroids), wanted) if len(at) else False
    facts = {"references": len(references), "centroids": len(centroids), "centroids_of_references": len(wanted)}
    return near[view.rows], found[view.rows], facts


def nearest_centroids(vectors: np.ndarray, centroids: np.ndarray) -> np.ndarray:
    """(N, D), (K, D) -> (N,) int64 centroid of the largest cosine, ties to the lower number; by each row alone."""
    units, step = unit_rows(centroids), max(1, PRODUCTS // len(centroids))
    blocks = [vectors[start : start + step] for start in range(0, len(vectors), step)]
    return np.concatenate([np.zeros(0, np.int64), *(_nearest(block, centroids, units) for block in blocks)])


def _nearest(vectors: np.ndarray, centroids: np.ndarray, units: torch.Tensor) -> np.ndarray:
    products = rough_cosines(vectors, units).numpy()
    perhaps = products >= products.max(axis=1, keepdims=True) - 2 * SLACK
    rows, columns = np.nonzero(perhaps)
    exact = cosines(vectors[rows], centroids[columns])
    order = np.lexsort((columns, -exact, rows))
    return columns[order][np.searchsorted(rows[order], np.arange(len(vectors)))]


def _vectors(path: str) -> np.ndarray:
    with explained(path):
        try:
            found = np.load(path, mmap_mode="r", allow_pickle=False)
        except ValueError as error:
            raise UnusablePool(f"{path} is no .npy file of numbers: {error}") from error
    if found.ndim != 2 or not len(found) or found.dtype.kind != "f":
        raise UnusablePool(
            f"{path} holds {found.dtype} of shape {found.shape}: (N, D) floating-point numbers are wanted"
        )
    return np.asarray(found)


def _require_columns(view: View, centroids: np.ndarray, references: np.ndarray, step: ImageBased) -> None:
    vectors = view.known.pool_vectors
    kind = None if vectors is None else vectors.frame().collect_schema().get("image")
    if not isinstance(kind, pl.Array):
        raise UnusablePool(f"the step {step.said} needs vectors of images, which the pool lacks: set pool.vectors")
    for path, found in ((step.references, references), (step.centroids, centroids)):
        if found.shape[1] != kind.size:
            raise UnusablePool(f"{path} holds vectors of {found.shape[1]} dimensions, the pool of {kind.size}")

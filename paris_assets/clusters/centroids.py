"""A fitted clustering, and the table that holds it."""

from __future__ import annotations

import json
from dataclasses import dataclass, field, replace
from typing import Any, Literal, get_args

import numpy as np
import polars as pl

from paris_assets.clusters.schema import CLUSTER_MODEL
from paris_assets.errors import BrokenInvariant, UserError
from paris_assets.vectors.reduction import Reduction

Assignment = Literal["nearest", "inherit"]


class CollapsedClustering(UserError, BrokenInvariant):
    """The clusters do not split the images; ``sizes`` holds the images of each."""

    def __init__(self, message: str, sizes: list[int]) -> None:
        super().__init__(message)
        self.sizes = sizes


class TooFewImages(UserError, BrokenInvariant):
    """Fewer images than clusters."""


@dataclass(frozen=True)
class ClusterModel:
    """Centroids and the rule that assigns images to them.

    Attributes:
        coarse: (K, d) float32 in the fitted space, one per expert, the largest cluster of the fit first unless
            numbers were kept.
        fine: (F, d) float32 of a two-stage fit, else None.
        fine_to_coarse: (F,) int32, the group of each fine centroid, else None.
        assignment: ``nearest`` coarse centroid (Decentralized Diffusion Models), or ``inherit`` the group of the
            nearest fine centroid (MoDE).
        normalize: whether the parts of a vector were L2-normalised before the fit.
        penalties: (K,) float64 added to the squared distances when ``nearest`` is decided, so that no cluster exceeds
            its cap (a power diagram); None without a cap.
        statistics: figures of the fit, JSON values only.
        reduction: how vectors (N, D) of ``features.join`` get into the fitted space; None: they are in it, d = D.
    """

    coarse: np.ndarray
    fine: np.ndarray | None
    fine_to_coarse: np.ndarray | None
    assignment: Assignment
    normalize: bool
    penalties: np.ndarray | None = None
    statistics: dict[str, Any] = field(default_factory=dict)
    reduction: Reduction | None = None

    @property
    def k(self) -> int:
        """Number of coarse clusters."""
        return len(self.coarse)

    @property
    def dimensions(self) -> int:
        """D, of the vectors that are assigned."""
        return self.coarse.shape[1] if self.reduction is None else len(self.reduction.mean)

    def placed(self, vectors: np.ndarray) -> np.ndarray:
        """(N, d) float32 in the fitted space, of vectors (N, D) float32 of ``features.join``."""
        return vectors if self.reduction is None else self.reduction.apply(vectors)

    def reordered(self, order: np.ndarray) -> ClusterModel:
        """The same clusters; number i is that of ``order[i]`` (K,) int before."""
        rank = np.empty(len(order), dtype=np.int32)
        rank[order] = np.arange(len(order))
        listed = {name: self.statistics[name] for name in ("sizes", "shares") if name in self.statistics}
        moved = {name: [values[number] for number in order.tolist()] for name, values in listed.items()}
        return replace(
            self,
            coarse=np.ascontiguousarray(self.coarse[order]),
            fine_to_coarse=None if self.fine_to_coarse is None else rank[self.fine_to_coarse],
            penalties=None if self.penalties is None else self.penalties[order],
            statistics={**self.statistics, **moved},
        )


def model_frame(model: ClusterModel) -> pl.DataFrame:
    """One row per centroid, coarse before fine; then those of the reduction, if there is one.

    Columns: ``level`` (``coarse``/``fine``), ``index`` i32, ``coarse`` i32 (the group that a fine centroid belongs to;
    of a coarse one itself), ``penalty`` f64 (null without a cap), ``assignment``, ``normalize``, ``statistics`` (JSON,
    on the first row), ``centroid`` Array(Float32, d). With a reduction ``basis`` Array(Float32, D), and rows of the
    levels ``mean`` and ``component`` that have it in place of a centroid.
    """
    k, fine = model.k, 0 if model.fine is None else len(model.fine)
    groups = [] if model.fine_to_coarse is None else model.fine_to_coarse.tolist()
    penalties = [None] * k if model.penalties is None else model.penalties.tolist()
    centroids = model.coarse if model.fine is None else np.concatenate([model.coarse, model.fine])
    columns = {
        "level": ["coarse"] * k + ["fine"] * fine,
        "index": [*range(k), *range(fine)],
        "coarse": [*range(k), *groups],
        "penalty": [*penalties, *[None] * fine],
        "assignment": [model.assignment] * (k + fine),
        "normalize": [model.normalize] * (k + fine),
        "statistics": [json.dumps(model.statistics, sort_keys=True), *[None] * (k + fine - 1)],
    }
    width = model.coarse.shape[1]
    vectors = pl.Series("centroid", centroids.astype(np.float32), dtype=pl.Array(pl.Float32, width))
    rows = pl.DataFrame(columns, schema=CLUSTER_MODEL.fixed()).with_columns(vectors)
    if model.reduction is None:
        return rows
    return pl.concat([rows, _reduction_frame(model.reduction, model)], how="diagonal")


def _reduction_frame(reduction: Reduction, model: ClusterModel) -> pl.DataFrame:
    basis = reduction.mean[None] if reduction.components is None else np.vstack([reduction.mean, reduction.components])
    components = len(basis) - 1
    columns = {
        "level": ["mean"] + ["component"] * components,
        "index": [0, *range(components)],
        "assignment": [model.assignment] * len(basis),
        "normalize": [model.normalize] * len(basis),
        "basis": pl.Series(basis, dtype=pl.Array(pl.Float32, basis.shape[1])),
    }
    kinds = CLUSTER_MODEL.fixed()
    return pl.DataFrame(columns).with_columns(pl.col(name).cast(kinds[name]) for name in columns if name != "basis")


def read_model(frame: pl.DataFrame) -> ClusterModel:
    """The model that ``model_frame`` wrote, bit for bit; rows may come in any order.

    Raises:
        ValueError: the table holds no coarse centroid or an unknown assignment rule.
    """
    coarse = frame.filter(level="coarse").sort("index")
    fine = frame.filter(level="fine").sort("index")
    if coarse.is_empty() or coarse["assignment"][0] not in get_args(Assignment):
        raise ValueError("cluster_model holds no coarse centroids with a known assignment rule: refit it")
    statistics = frame["statistics"].drop_nulls()
    return ClusterModel(
        coarse=coarse["centroid"].to_numpy(),
        fine=None if fine.is_empty() else fine["centroid"].to_numpy(),
        fine_to_coarse=None if fine.is_empty() else fine["coarse"].to_numpy(),
        assignment=coarse["assignment"][0],
        normalize=coarse["normalize"][0],
        penalties=None if coarse["penalty"].has_nulls() else coarse["penalty"].to_numpy(),
        statistics=json.loads(statistics[0]) if len(statistics) else {},
        reduction=_read_reduction(frame, coarse["normalize"][0]),
    )


def _read_reduction(frame: pl.DataFrame, unit: bool) -> Reduction | None:
    mean = frame.filter(level="mean")
    if mean.is_empty():
        return None
    components = frame.filter(level="component").sort("index")
    return Reduction(
        mean["basis"].to_numpy()[0], None if components.is_empty() else components["basis"].to_numpy(), unit
    )

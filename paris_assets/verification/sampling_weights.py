"""Sampling weights as a manifest states them, against those in the tars."""

from __future__ import annotations

import math
from typing import Any

import polars as pl

from paris_assets.verification.findings import Findings
from paris_assets.verification.manifest_checks import MANIFEST
from paris_assets.verification.sample_shapes import SCHEMA

TOLERANCE = 1e-6
"""Relative, of sums: tars are read in another order than the summary added them up in."""
Bounds = tuple[float, float]


def weight_bounds(settings: dict[str, Any]) -> Bounds | None:
    """Least and largest sampling weight of samples published under these settings; None where they have none.

    Bounds that are no numbers are NaN, which every weight is outside of.
    """
    held = settings.get("concepts")  # manifests of 0.1.0 have none
    if not isinstance(held, dict) or not any(held.get(name) for name in ("labeller", "phrases", "listed")):
        return None
    low, high = (held.get(name) for name in ("min_weight", "max_weight"))
    return _number(low), _number(high)


class Weights:
    """What the weights of the samples to train on are like, expert by expert, added up shard by shard."""

    def __init__(self, bounds: Bounds) -> None:
        self._bounds, self._parts = bounds, list[pl.DataFrame]()
        self.add(pl.DataFrame(schema=SCHEMA))

    def add(self, samples: pl.DataFrame) -> None:
        """The samples of a shard: columns of ``sample_shapes.SCHEMA``."""
        weight = pl.col("weight")
        sums = samples.filter(split=0).group_by(cluster=pl.col("expert").cast(pl.String))
        self._parts.append(
            sums.agg(
                count=pl.len(),
                total=weight.sum(),
                squares=(weight**2).sum(),
                min_weight=weight.min(),
                max_weight=weight.max(),
                at_bounds=weight.is_in(self._bounds).sum(),
            )
        )

    def check(self, stated: Any, findings: Findings) -> None:
        """Every expert's figures as the manifest's ``weights_per_cluster`` states them."""
        held = stated if isinstance(stated, dict) else {}
        found = {row.pop("cluster"): row for row in self._figures().to_dicts()}
        for cluster in sorted(held.keys() | found.keys()):
            figures = found.get(cluster, {"effective_samples": 0.0})
            said = held.get(cluster)
            if not isinstance(said, dict) or not all(_near(said.get(name), value) for name, value in figures.items()):
                expected = f"weights_per_cluster.{cluster} = {figures}, as the tars hold"
                findings.problem(MANIFEST, expected, repr(said)[:120])

    def _figures(self) -> pl.DataFrame:
        sums = ("count", "total", "squares", "at_bounds")
        ends = (pl.col("min_weight").min(), pl.col("max_weight").max())
        added = pl.concat(self._parts).group_by("cluster").agg(pl.sum(*sums), *ends).sort("cluster")
        effective = pl.when(pl.col("squares") > 0).then(pl.col("total") ** 2 / pl.col("squares")).otherwise(0.0)
        share = pl.col("at_bounds") / pl.col("count")
        return added.select("cluster", "min_weight", "max_weight", effective_samples=effective, at_bounds=share)


def _number(value: Any) -> float:
    return float(value) if type(value) in (int, float) else math.nan


def _near(stated: Any, found: float | None) -> bool:
    return stated is found is None or math.isclose(_number(stated), _number(found), rel_tol=TOLERANCE)

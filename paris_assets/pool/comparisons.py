"""What the table `selection_probe` says: each subset against random rows of its size and against all, and the curve."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import polars as pl

from paris_assets.pool.gains import INTERVAL, Gain, around, gain, said
from paris_assets.pool.trials import ALL, RANKED

METRIC = "recall_at_1"
RANDOM, WHOLE = "random rows of its size", ALL


@dataclass(frozen=True)
class Comparison:
    """A subset against others.

    Attributes:
        others: ``RANDOM`` or ``WHOLE``.
        rows: that the subset had to train on, the mean of the runs.
        mean: its value, and that of the others.
    """

    subset: str
    others: str
    rows: float
    mean: float
    mean_of_others: float
    gain: Gain
    said: str


@dataclass(frozen=True)
class CurvePoint:
    """One fraction of the pruning curve: mean, low and high of the best rows, and of random ones; None without."""

    fraction: float
    rows: float
    best: tuple[float, float, float]
    random: tuple[float, float, float] | None


def subsets_of(table: pl.DataFrame) -> list[str]:
    """Subsets that were trained on, beside all rows, as they stand in the table."""
    own = table.filter(pl.col("control_of").is_null() & pl.col("fraction").is_null() & (pl.col("subset") != ALL))
    return own["subset"].unique(maintain_order=True).to_list()


def controls_of(table: pl.DataFrame, subset: str) -> np.ndarray:
    """(C, S) values of the random subsets of its size, by seed; C is 0 where there are none."""
    own = table.filter(pl.col("control_of") == subset, pl.col("fraction").is_null(), pl.col("metric") == METRIC)
    return _by_seed(own)


def compared_with_others(table: pl.DataFrame, confidence: float) -> list[Comparison]:
    """Every subset against random ones of its size, where there are any, and against all rows."""
    whole = _by_seed(_of(table, ALL))
    found = []
    for subset in subsets_of(table):
        own = _of(table, subset)
        for words, others in ((RANDOM, controls_of(table, subset)), (WHOLE, whole)):
            if len(others):
                found.append(_comparison(subset, words, own, others, confidence))
    return found


def curve_of(table: pl.DataFrame, confidence: float) -> list[CurvePoint]:
    """The pruning curve, smallest fraction first; empty where no step ranks."""
    own = table.filter(pl.col("fraction").is_not_null(), pl.col("metric") == METRIC)
    points = []
    for (fraction,), part in own.group_by("fraction", maintain_order=True):
        best = part.filter(pl.col("subset") == RANKED)
        random = _by_seed(part.filter(pl.col("control_of") == RANKED))
        points.append(
            CurvePoint(
                float(str(fraction)),
                _mean(best["rows"]),
                around(_by_seed(best)[0], confidence),
                around(random[0], confidence) if len(random) else None,
            )
        )
    return sorted(points, key=lambda point: point.fraction)


def facts_of(comparisons: Sequence[Comparison], seeds: int, confidence: float) -> dict[str, Any]:
    """The comparisons as small JSON values."""
    return {
        "metric": METRIC,
        "seeds": seeds,
        "confidence": confidence,
        "interval": INTERVAL,
        "differences": [
            {
                "subset": one.subset,
                "others": one.others,
                "rows": round(one.rows),
                **{name: round(getattr(one.gain, name), 5) for name in ("difference", "low", "high")},
                "said": one.said,
            }
            for one in comparisons
        ],
    }


def _comparison(subset: str, words: str, own: pl.DataFrame, others: np.ndarray, confidence: float) -> Comparison:
    values = _by_seed(own)[0]
    found = gain(values, others, confidence)
    sentence = said(subset, words, found, confidence)
    return Comparison(subset, words, _mean(own["rows"]), float(values.mean()), float(others.mean()), found, sentence)


def _of(table: pl.DataFrame, subset: str) -> pl.DataFrame:
    return table.filter(
        pl.col("subset") == subset,
        pl.col("control_of").is_null(),
        pl.col("fraction").is_null(),
        pl.col("metric") == METRIC,
    )


def _by_seed(rows: pl.DataFrame) -> np.ndarray:
    """(C, S): a line for each name, by seed."""
    parts = rows.sort("seed").partition_by("subset", maintain_order=True)
    return np.array([part["value"].to_numpy() for part in parts]).reshape(len(parts), rows.height // max(len(parts), 1))


def _mean(values: pl.Series) -> float:
    return float(values.to_numpy().mean())

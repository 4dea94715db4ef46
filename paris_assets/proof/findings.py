"""What the table `training_probe` says: who predicts better, with intervals over duplicate groups."""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np
import polars as pl

from paris_assets.proof.measured import MIXTURES
from paris_assets.proof.statistics import (
    Bootstrap,
    Diagonal,
    calibration_error,
    chance_error,
    diagonal_of,
    holm,
)
from paris_assets.proof.times import ROUTED_AT, ROUTER_AT, TIMES

SINGLE = ("untrained", "common", "monolith")
LEAST_SAMPLES, LEAST_GROUPS = 200, 16
LEAST_TRAINED = 8
"""Duplicate groups that an expert is trained on, for a statement on it alone."""


@dataclass(frozen=True)
class Measured:
    """The table as arrays: images x times.

    Attributes:
        clusters: of the experts that have held-out images.
        own: (N,) their number among these.
        experts: (N, T, K); ``losses`` (N, T) of each other network and mixture.
        routed, permuted, confidence: (N, T, draws); ``nll`` (N, T).
    """

    clusters: list[int]
    own: np.ndarray
    groups: np.ndarray
    folds: np.ndarray
    upscaled: np.ndarray
    experts: np.ndarray
    losses: dict[str, np.ndarray]
    routed: np.ndarray
    permuted: np.ndarray
    confidence: np.ndarray
    nll: np.ndarray

    @classmethod
    def of(cls, table: pl.DataFrame, clusters: list[int]) -> Measured:
        """Rows of `training_probe`.

        Args:
            clusters: of all experts, as the column ``experts`` counts them.
        """
        table = table.sort("image_id", "t")
        images = table.height // len(TIMES)
        first = table.gather_every(len(TIMES))
        labels = first["cluster"].to_numpy()
        measured = [number for number, cluster in enumerate(clusters) if (labels == cluster).any()]
        kept = [clusters[number] for number in measured]

        def by_time(name: str) -> np.ndarray:
            values = table[name]
            plain = np.array(values.to_list()) if values.dtype == pl.List else values.to_numpy()
            return plain.reshape(images, len(TIMES), *plain.shape[1:])

        own = np.searchsorted(kept, labels)
        losses = {name: by_time(name) for name in (*SINGLE, *MIXTURES)}
        experts = by_time("experts")[:, :, measured]
        at_own = np.take_along_axis(experts, own[:, None, None], 2)[:, :, 0]
        losses |= {"own": at_own, "others": (experts.sum(2) - at_own) / max(len(kept) - 1, 1)}
        return cls(
            kept,
            own,
            first["group_id"].to_numpy(),
            first["fold"].to_numpy(),
            first["upscaled"].to_numpy(),
            experts,
            losses,
            *(by_time(name) for name in ("routed", "permuted", "confidence", "nll")),
        )


def figures_of(table: pl.DataFrame, known: Mapping[str, Any], confidence: float, seed: int) -> dict[str, Any]:
    """The findings as JSON values; what is not finite is null.

    Args:
        known: ``samples``, ``clusters``; of each expert ``groups`` and ``trained_groups``, the fewest of a hold-out.
    """
    held = Measured.of(table, known["clusters"])
    drawn = Bootstrap(held.groups, held.own, confidence, seed)
    mean = {name: losses.mean(1) for name, losses in held.losses.items()}
    diagonal = diagonal_of(held.experts.mean(1), held.own, held.folds, seed)
    others = float(mean["others"].mean())
    return _plain(
        {
            "times": TIMES,
            "held_out": len(held.own),
            "held_out_groups": len(set(held.groups.tolist())),
            "confidence": confidence,
            "small": _small(known),
            "loss": {name: losses.mean(0).tolist() for name, losses in held.losses.items()},
            "own_below_others": {
                **_below(drawn, mean["own"], mean["others"]),
                "images": float((mean["own"] < mean["others"]).mean()),
                "by_time": [
                    _below(drawn, held.losses["own"][:, at], held.losses["others"][:, at]) for at in range(len(TIMES))
                ],
            },
            "own_below_common": _below(drawn, mean["own"], mean["common"]),
            "visible_effect": diagonal.visible / others,
            "diagonal": _diagonal(diagonal, held.clusters, known["trained_groups"]),
            "mixtures": {
                name: {
                    "loss": vars(drawn.of(mean[name])),
                    "less_monolith": vars(drawn.of(mean[name] - mean["monolith"])),
                    "by_time": held.losses[name].mean(0).tolist(),
                }
                for name in ("common", "own", *MIXTURES)
            },
            "monolith": vars(drawn.of(mean["monolith"])),
            "routed": vars(drawn.of(_at(held.losses["top_1"] - held.losses["common"], ROUTED_AT))),
            "router": _router(held, drawn),
        }
    )


def _at(values: np.ndarray, t: float) -> np.ndarray:
    """Of images x times those at one time."""
    return values[:, TIMES.index(t)]


def _below(drawn: Bootstrap, values: np.ndarray, others: np.ndarray) -> dict[str, float]:
    """How far values (N,) lie below others, as a share of these."""
    return vars(drawn.ratio(others - values, others))


def _diagonal(found: Diagonal, clusters: list[int], trained_groups: Mapping[str, int]) -> dict[str, Any]:
    named = [number for number, cluster in enumerate(clusters) if trained_groups[str(cluster)] >= LEAST_TRAINED]
    adjusted = holm(found.p_experts[named]).tolist()
    return {
        "clusters": clusters,
        "matrix": found.matrix.tolist(),
        "centred": found.centred.tolist(),
        "statistic": found.statistic,
        "null_mean": found.null_mean,
        "null_error": found.null_error,
        "z": found.z,
        "p": found.p,
        "row_minima": int((found.matrix.argmin(1) == np.arange(len(found.matrix))).sum()),
        "p_experts": {str(clusters[number]): p for number, p in zip(named, adjusted, strict=True)},
    }


def _router(held: Measured, drawn: Bootstrap) -> dict[str, Any]:
    labels = np.array(held.clusters)[held.own][:, None, None]
    hits, permuted = ((routed == labels).mean(2) for routed in (held.routed, held.permuted))
    counts = np.bincount(held.own)
    shares, majority = counts / counts.sum(), float(counts.max() / counts.sum())
    natural = ~held.upscaled
    here = held.routed[:, TIMES.index(ROUTER_AT)]
    confusion = [
        [int((here[held.own == row] == cluster).sum()) for cluster in held.clusters] for row in range(len(counts))
    ]
    return {
        "accuracy": [vars(drawn.of(_at(hits, t))) for t in TIMES],
        "balanced": [vars(drawn.balanced(_at(hits, t), held.own)) for t in TIMES],
        "nll": [float(_at(held.nll, t).mean()) for t in TIMES],
        "calibration_error": [
            calibration_error(_at(held.confidence, t).ravel(), (_at(held.routed, t) == labels[:, 0]).ravel())
            for t in TIMES
        ],
        "prior_entropy": float(-(shares * np.log(shares)).sum()),
        "chance": 1 / len(counts),
        "chance_error": chance_error(held.own),
        "majority": majority,
        "majority_error": math.sqrt(majority * (1 - majority) / len(held.own)),
        "permuted": vars(drawn.balanced(_at(permuted, ROUTER_AT), held.own)),
        "not_upscaled": {
            "images": int(natural.sum()),
            "accuracy": float(_at(hits, ROUTER_AT)[natural].mean()) if natural.any() else None,
        },
        "confusion": confusion,
    }


def _small(known: Mapping[str, Any]) -> str:
    """Why the figures are of few images, or an empty string."""
    groups = known["groups"]
    few = [cluster for cluster, count in groups.items() if count < LEAST_GROUPS]
    said = [f"{known['samples']} samples are fewer than {LEAST_SAMPLES}"] if known["samples"] < LEAST_SAMPLES else []
    said += [f"experts {', '.join(few)} have fewer than {LEAST_GROUPS} duplicate groups"] if few else []
    return "; ".join(said)


def _plain(value: Any) -> Any:
    """JSON values, None for what is not finite."""
    if isinstance(value, Mapping):
        return {name: _plain(part) for name, part in value.items()}
    if isinstance(value, list | tuple):
        return [_plain(part) for part in value]
    return None if isinstance(value, float) and not math.isfinite(value) else value

"""Numbers that stay: a new fit's clusters get those of the old clusters whose images they hold."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import numpy as np
from scipy.optimize import linear_sum_assignment

from paris_assets.clusters.assignment import own_clusters
from paris_assets.clusters.centroids import ClusterModel

FACT = "numbers"


def numbered_as(model: ClusterModel, old: ClusterModel, vectors: np.ndarray) -> ClusterModel:
    """The model with its clusters numbered after those of an old one, and what became of them as the fact ``numbers``.

    Both models place the same vectors; of all pairings of old and new clusters the one that the most images agree with
    is taken (Kuhn 1955). A pair without a common image is none. Clusters without a predecessor, or with one whose
    number is no longer there because clusters are fewer now, get the free numbers, the lowest first, by falling size.

    Args:
        model: the new fit, numbered by falling size.
        old: of any number of clusters.
        vectors: (N, D) float32 of the new fit.

    A fit that finds the old centroids again says what the old one said, so that making it again changes no byte.

    Returns:
        ``statistics["numbers"]`` holds ``before`` (old clusters), ``matched`` (whether the old model takes vectors of
        this width; if not nothing else is there and numbers are by size), ``agreement`` (share of the images whose
        number is the same under both), ``moved`` (number -> old number that was too high to keep), ``new`` (numbers
        without a predecessor) and ``gone`` (old numbers without a successor).
    """
    if old.dimensions != vectors.shape[1]:
        return _said(model, {"before": old.k, "matched": False})
    labels, before = (own_clusters(vectors, one)[0].labels for one in (model, old))
    common = np.zeros((model.k, old.k), np.int64)
    np.add.at(common, (labels, before), 1)
    pairs = zip(*(side.tolist() for side in linear_sum_assignment(common, maximize=True)), strict=True)
    origin = {cluster: number for cluster, number in pairs if common[cluster, number]}
    numbers = {cluster: number for cluster, number in origin.items() if number < model.k}
    free = sorted(set(range(model.k)) - set(numbers.values()))
    numbers |= dict(zip((cluster for cluster in range(model.k) if cluster not in numbers), free, strict=True))
    order = np.array(sorted(numbers, key=lambda cluster: numbers[cluster]))
    known, renumbered = origin.items(), model.reordered(order)
    if np.array_equal(renumbered.coarse, old.coarse):
        return replace(renumbered, statistics=renumbered.statistics | _told(old))
    return _said(
        renumbered,
        {
            "before": old.k,
            "matched": True,
            "agreement": float((np.argsort(order)[labels] == before).mean()),
            "moved": {str(numbers[cluster]): number for cluster, number in sorted(known) if number >= model.k},
            "new": sorted(numbers[cluster] for cluster in range(model.k) if cluster not in origin),
            "gone": sorted(set(range(old.k)) - set(origin.values())),
        },
    )


def numbers_said(numbers: dict[str, Any]) -> str:
    """What became of the old clusters, as a sentence."""
    if not numbers["matched"]:
        return f"Clusters are numbered by size: the {numbers['before']} clusters before were made of other vectors."
    said = [f"{numbers['agreement']:.1%} of the images that were fitted on keep their number"]
    said += [f"cluster {number} was cluster {old}" for number, old in numbers["moved"].items()]
    said += [f"{_listed(numbers['new'])} new"] if numbers["new"] else []
    said += [f"of those before {_listed(numbers['gone'])} gone"] if numbers["gone"] else []
    return f"Numbers follow the {numbers['before']} clusters before: {'; '.join(said)}."


def _listed(numbers: list[int]) -> str:
    return f"cluster {numbers[0]} is" if len(numbers) == 1 else f"clusters {', '.join(map(str, numbers))} are"


def _told(old: ClusterModel) -> dict[str, Any]:
    return {FACT: old.statistics[FACT]} if FACT in old.statistics else {}


def _said(model: ClusterModel, numbers: dict[str, Any]) -> ClusterModel:
    # In the order in which the table gives them back: the record has its bytes.
    return replace(model, statistics={**model.statistics, FACT: dict(sorted(numbers.items()))})

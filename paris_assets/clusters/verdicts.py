"""Headline figures in words: what each means, and whether its value is good."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, Literal


@dataclass(frozen=True)
class Verdict:
    """One headline figure.

    Attributes:
        metric: key in ``Quality.figures``.
        name: what it is called.
        value: formatted.
        verdict: ``good``, ``fair`` or ``weak``; empty where no bound is meaningful.
        meaning: one sentence.
    """

    metric: str
    name: str
    value: str
    verdict: Literal["good", "fair", "weak", ""]
    meaning: str


@dataclass(frozen=True)
class _Scale:
    metric: str
    name: str
    form: str
    good: float
    fair: float
    meaning: str

    def judge(self, value: float | None) -> Literal["good", "fair", "weak", ""]:
        if value is None:
            return ""
        sign = 1 if self.good > self.fair else -1
        return "good" if sign * value >= sign * self.good else "fair" if sign * value >= sign * self.fair else "weak"


# Bounds for photos from the web, where clusters shade into each other: a comparable set of 9,000 photos in 8 clusters
# had silhouette 0.04, Davies-Bouldin 5.1 and boundary fraction 0.48; textbook bounds (silhouette 0.5) are not met.
SCALES = (
    _Scale("silhouette", "Silhouette", ".3f", 0.1, 0.03,
           "From −1 to 1: how much nearer images are to their own cluster than to the next one (cosine). "
           "Web photos often stay below 0.1."),
    _Scale("boundary_fraction", "At a boundary", ".0%", 0.3, 0.6,
           "Images whose second nearest centroid is less than 1.2 times as far as their own (Euclidean). "
           "The router will find these hard."),
    _Scale("stability_mean", "Stability", ".2f", 0.8, 0.5,
           "Mean adjusted Rand index of refits with other seeds: 1 means the same clusters every time, 0 chance."),
    _Scale("balance", "Balance", ".0%", 0.9, 0.75,
           "Effective number of clusters over their number: 100 % when all are equally large, so that every expert "
           "sees as much."),
    _Scale("contrast", "Contrast", ".2f", 0.15, 0.05,
           "Mean cosine of image pairs within a cluster minus that between clusters: how much more alike the images "
           "of one expert are."),
    _Scale("davies_bouldin", "Davies–Bouldin", ".2f", 2.0, 4.0,
           "Spread within clusters over the distance between them, for each one's worst neighbour; smaller is better."),
)  # fmt: skip

SAID = {
    "silhouette": {"good": "well separated for web photos", "fair": "mildly separated", "weak": "barely separated"},
    "balance": {"good": "evenly sized", "fair": "somewhat uneven in size", "weak": "very uneven in size"},
    "stability_mean": {
        "good": "found again by other seeds",
        "fair": "only partly found again by other seeds",
        "weak": "not found again by other seeds",
    },
    "boundary_fraction": {
        "good": "few images lie at a boundary",
        "fair": "about half of the images lie at a boundary",
        "weak": "most images lie at a boundary",
    },
}


def verdicts(figures: dict[str, Any]) -> list[Verdict]:
    """The headline figures of ``quality.measure`` with their verdicts."""
    values = {**figures, "balance": figures["effective_clusters"] / figures["k"], "contrast": _contrast(figures)}
    judged = []
    for scale in SCALES:
        value = values[scale.metric]
        text = "–" if value is None else format(value, scale.form).replace("-", "−").replace("%", " %")
        judged.append(Verdict(scale.metric, scale.name, text, scale.judge(value), scale.meaning))
    return judged


def summary(judged: list[Verdict]) -> str:
    """One sentence from the verdicts; empty where nothing could be judged."""
    said = {item.metric: SAID[item.metric][item.verdict] for item in judged if item.metric in SAID and item.verdict}
    names = [name for name in ("silhouette", "balance", "stability_mean") if name in said]
    if "silhouette" not in said:
        return ""
    at_boundary = any(item.metric == "boundary_fraction" and item.verdict == "weak" for item in judged)
    if at_boundary and said["silhouette"] == SAID["silhouette"]["good"]:
        said["silhouette"] = SAID["silhouette"]["fair"]
    parts = [said[name] for name in names]
    border = f"; {said['boundary_fraction']}" if "boundary_fraction" in said else ""
    return f"The clusters are {', '.join(parts[:-1])}{' and ' if len(parts) > 1 else ''}{parts[-1]}{border}."


def _contrast(figures: dict[str, Any]) -> float | None:
    inside, outside = figures["intra_cluster_cosine"], figures["inter_cluster_cosine"]
    return None if inside is None or outside is None else inside - outside

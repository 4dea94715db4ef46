"""What the networks say of held-out photos with other fonts, words and logos: the figures of the model card."""

from __future__ import annotations

import itertools
from collections.abc import Callable, Iterable, Sequence
from pathlib import Path
from typing import NamedTuple

import numpy as np
import torch
from scipy.stats import rankdata
from sklearn.metrics import roc_auc_score

from paris_assets.models.batches import batched
from paris_assets.models.degradation import cast_scores, load, quality_scores, watermark_scores
from paris_assets.models.degradation_network import QUALITY
from paris_assets.models.degradation_views import tiles, view
from paris_assets.models.device import Placement
from tools.degradation.damage import (
    KINDS_OF_BLUR,
    KINDS_OF_NOISE,
    Damaged,
    blur,
    compressed,
    damaged,
    levels,
    noise,
    random_cast,
    surviving,
    table_scale,
)
from tools.degradation.drawing import Drawing, test_drawing
from tools.degradation.overlays import DISTRACTIONS, distracted
from tools.degradation.samples import Marked, marked, worn

OPACITIES = (0.08, 0.2, 0.35, 0.5, 0.75)
AREAS = (0.0, 0.005, 0.015, 0.04, 1.0)
SEED = 1_000_003
"""Of no training sample."""
BATCH = 8
TIMES = 4
"""Random damages of each photo, and half of its watermarks."""

Photos = Sequence[np.ndarray]
Scorer = Callable[[Iterable[np.ndarray]], np.ndarray]
Figures = dict[str, float]


class Marks(NamedTuple):
    """What is known of marked pictures, (N,) each, and the score of each."""

    visible: np.ndarray
    opacity: np.ndarray
    area: np.ndarray
    score: np.ndarray


class Scorers(NamedTuple):
    """Pictures of any size -> (N, 3) blur, noise, blocking; (N,) cast; (N,) watermark."""

    quality: Scorer
    cast: Scorer
    watermark: Scorer


def scorers_of(file: Path) -> Scorers:
    """The shipped scorer's computation, in fp32 on the CPU, with the weights of a file."""
    placement = Placement(torch.device("cpu"), torch.float32, "fp32")
    network = load(file, placement)

    def scorer(sees: Callable[[np.ndarray], np.ndarray], scores: Callable[..., np.ndarray]) -> Scorer:
        def told(pictures: Iterable[np.ndarray]) -> np.ndarray:
            seen = (sees(picture) for picture in pictures)
            return np.concatenate([scores(network, np.stack(batch), placement) for batch in batched(seen, BATCH)])

        return told

    return Scorers(scorer(tiles, quality_scores), scorer(view, cast_scores), scorer(view, watermark_scores))


def evaluated(scorers: Scorers, photos: Photos, times: int = TIMES, drawing: Drawing | None = None) -> Figures:
    """Every figure of the model card, each photo with so many random damages; drawn as the test's where not told."""
    drawing = drawing or test_drawing()
    return {
        **quality_figures(scorers.quality, photos, times),
        **kind_figures(scorers.quality, photos),
        **cast_figures(scorers.cast, photos, times),
        **mark_figures(marks(scorers.watermark, photos, drawing, 2 * times)),
        **false_alarms(scorers.watermark, photos, drawing),
    }


def spearman(first: np.ndarray | Sequence[float], second: np.ndarray | Sequence[float]) -> float:
    """Spearman's rank correlation, ties at their mean rank."""
    return float(np.corrcoef(rankdata(first), rankdata(second))[0, 1])


def quality_figures(scorer: Scorer, photos: Photos, times: int) -> Figures:
    """Spearman's correlation of blur, noise and blocking with their own label, all three damages at once and
    independent of each other, and with each other's."""
    made = [
        damaged(photo, np.random.default_rng((SEED, 0, index, time)))
        for index, photo in enumerate(photos)
        for time in range(times)
    ]
    labels, found = np.stack([each.labels() for each in made]), scorer(each.pixels for each in made)
    figures = {
        f"{score} with {label}": spearman(found[:, QUALITY.index(score)], labels[:, column])
        for score in QUALITY
        for column, label in enumerate(QUALITY)
    }
    figures |= {
        f"label {first} with label {second}": spearman(labels[:, row], labels[:, column])
        for (row, first), (column, second) in itertools.combinations(enumerate(QUALITY), 2)
    }
    error = np.abs(found - labels).mean(0)
    return figures | {f"{score}, mean error": float(error[column]) for column, score in enumerate(QUALITY)}


def kind_figures(scorer: Scorer, photos: Photos) -> Figures:
    """Spearman's correlation with the amount of each kind of blur and of noise, compressed at quality 90."""
    figures = Figures()
    for kind in KINDS_OF_BLUR:
        made = [_blurred(photo, kind, index) for index, photo in enumerate(photos)]
        figures[f"blur, {kind}"] = _own(scorer, made, "blur")
    for kind in KINDS_OF_NOISE:
        made = [_noisy(photo, kind, index) for index, photo in enumerate(photos)]
        figures[f"noise, {kind}"] = _own(scorer, made, "noise")
    return figures


def _own(scorer: Scorer, made: Sequence[Damaged], name: str) -> float:
    labels, found = [each.labels() for each in made], scorer(each.pixels for each in made)
    return spearman(found[:, QUALITY.index(name)], np.stack(labels)[:, QUALITY.index(name)])


def _blurred(photo: np.ndarray, kind: str, index: int) -> Damaged:
    random = np.random.default_rng((SEED, 1, index))
    soft, width = blur(photo, kind, 5.0 * (index + 0.5) / 46 % 5.0, random.uniform(0, np.pi))
    return Damaged(compressed(levels(soft), 90), width, 0.0, table_scale(90))


def _noisy(photo: np.ndarray, kind: str, index: int) -> Damaged:
    grain = noise(
        photo.astype(np.float32), kind, 1 + 40 * (index * 17 % 46) / 46, np.random.default_rng((SEED, 2, index))
    )
    final = compressed(levels(photo + grain), 90)
    return Damaged(final, 0.0, surviving(final, photo.astype(np.float32), grain), table_scale(90))


def cast_figures(scorer: Scorer, photos: Photos, times: int) -> Figures:
    """Spearman's correlation of cast with the length of the shift of the light that a photo was put under."""
    made = [
        random_cast(photo, np.random.default_rng((SEED, 3, index, time)))
        for index, photo in enumerate(photos)
        for time in range(times)
    ]
    sizes = [float(np.linalg.norm(shift)) for _, shift in made]
    found = scorer(pixels for pixels, _ in made)
    return {"cast with shift": spearman(found, sizes)}


def marks(scorer: Scorer, photos: Photos, drawing: Drawing, times: int) -> Marks:
    """Photos, half of them with a watermark; captions, signs and logos on those with and those without."""
    made = [
        marked(photo, drawing, np.random.default_rng((SEED, 4, index, time)))
        for index, photo in enumerate(photos)
        for time in range(times)
    ]
    found = scorer(each.pixels for each in made)
    visible, opacity, area = (np.array(values) for values in zip(*map(_known, made), strict=True))
    return Marks(visible, opacity, area, found)


def _known(mark: Marked) -> tuple[bool, float, float]:
    return mark.visible, mark.opacity, mark.area


def mark_figures(found: Marks) -> Figures:
    """ROC-AUC of all, and of the watermarks of each opacity and area against all pictures without a visible one; share
    of these at one half and more; R2 of the score as a guess of the label."""
    seen, score = found.visible, found.score
    figures = {"AUC": float(roc_auc_score(seen, score)), "R2": 1 - float(((score - seen) ** 2).mean() / seen.var())}
    figures |= {
        "recall at 0.5": float((score[seen] >= 0.5).mean()),
        "false at 0.5": float((score[~seen] >= 0.5).mean()),
    }
    for name, values, edges in (("opacity", found.opacity, OPACITIES), ("area", found.area, AREAS)):
        for low, high in itertools.pairwise(edges):
            chosen = seen & (values >= low) & (values < high)
            if chosen.any():
                part = chosen | ~seen
                figures[f"AUC, {name} {low:g} to {high:g}"] = float(roc_auc_score(chosen[part], score[part]))
    return figures


def false_alarms(scorer: Scorer, photos: Photos, drawing: Drawing) -> Figures:
    """Share of pictures at one half and more: photos alone, and with an opaque caption, subtitle, sign or logo."""
    figures = {
        "false, photos": _alarms(
            scorer, [worn(photo, np.random.default_rng((SEED, 5, index))) for index, photo in enumerate(photos)]
        )
    }
    for kind in DISTRACTIONS:
        random = [np.random.default_rng((SEED, 6, index)) for index in range(len(photos))]
        pictures = [
            worn(distracted(photo.astype(np.float32), drawing, each, kind), each)
            for photo, each in zip(photos, random, strict=True)
        ]
        figures[f"false, {kind}"] = _alarms(scorer, pictures)
    return figures


def _alarms(scorer: Scorer, pictures: Sequence[np.ndarray]) -> float:
    return float((scorer(pictures) >= 0.5).mean())

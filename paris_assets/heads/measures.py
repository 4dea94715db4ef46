"""How good a head is on images that it was not trained on."""

from __future__ import annotations

from typing import Any

import numpy as np
import polars as pl
from scipy.stats import beta, spearmanr
from sklearn.metrics import roc_auc_score

BINS = 10
UNKNOWN = "unknown"


def threshold_at(scores: np.ndarray, labels: np.ndarray, max_false_positives: float) -> float:
    """The smallest score above which lies at most a share of the images with label 0; infinite where there are none."""
    real = np.sort(scores[labels == 0])[::-1]
    allowed = int(max_false_positives * len(real))
    return float(real[allowed]) if len(real) else float("inf")


def classifier_metrics(rows: pl.DataFrame, threshold: float) -> dict[str, Any]:
    """Figures of one part.

    Args:
        rows: label (0 or 1), score (0 to 1) and generator (of images with label 1).
        threshold: an image is called positive strictly above it.

    Returns:
        Counts, ROC-AUC, Brier score, expected calibration error (``BINS`` bins of equal width), at the threshold the
        false-positive rate, how large it may be at 95 % by the number of images, and recall, and for every generator
        its count and recall. What cannot be told is None.
    """
    labels, scores = rows["label"].to_numpy(), rows["score"].to_numpy().astype(np.float64)
    called = scores > threshold
    positives = rows.filter(pl.col("label") == 1).with_columns(pl.col("generator").fill_null(UNKNOWN))
    generators = positives.group_by("generator").agg(pl.len(), recall=(pl.col("score") > threshold).mean())
    return {
        "real": int((labels == 0).sum()),
        "positive": int((labels == 1).sum()),
        "auc": auc(labels, scores),
        "brier": float(np.square(scores - labels).mean()) if len(labels) else None,
        "calibration_error": calibration_error(labels, scores),
        "threshold": threshold,
        "false_positive_rate": _share(called[labels == 0]),
        "false_positive_rate_at_most": upper_bound(called[labels == 0]),
        "recall": _share(called[labels == 1]),
        "recall_per_generator": {
            name: {"images": count, "recall": recall} for name, count, recall in generators.sort("generator").rows()
        },
    }


def regressor_metrics(labels: np.ndarray, scores: np.ndarray) -> dict[str, Any]:
    """Count, Spearman's rank correlation, mean absolute error, and R2 against predicting the mean of these labels."""
    wide = scores.astype(np.float64)
    varies = len(labels) > 1 and labels.std() > 0 and wide.std() > 0
    return {
        "images": len(labels),
        "spearman": float(spearmanr(labels, wide).statistic) if varies else None,  # type: ignore[attr-defined]
        "mean_absolute_error": float(np.abs(labels - wide).mean()) if len(labels) else None,
        "r2": float(1 - np.square(labels - wide).mean() / labels.var()) if varies else None,
    }


def confounds(rows: pl.DataFrame) -> dict[str, float | None]:
    """How well the file alone tells the labels apart, 0.5 (not at all) to 1: a head may have learned no more.

    Args:
        rows: label (0 or 1), short_side and bits_per_pixel.
    """
    labels, found = rows["label"].to_numpy(), dict[str, float | None]()
    for name in ("short_side", "bits_per_pixel"):
        value = auc(labels, rows[name].to_numpy())
        found[name] = None if value is None else max(value, 1 - value)
    return found


def auc(labels: np.ndarray, scores: np.ndarray) -> float | None:
    """ROC-AUC, or None where only one class is there."""
    return float(roc_auc_score(labels, scores)) if len(set(labels.tolist())) == 2 else None


def calibration_error(labels: np.ndarray, scores: np.ndarray) -> float | None:
    """Mean distance of the share of positives from the mean score within bins, weighted by images (Naeini 2015)."""
    if not len(labels):
        return None
    bins = np.clip((scores * BINS).astype(int), 0, BINS - 1)
    sums = [abs(float((labels - scores)[bins == number].sum())) for number in range(BINS)]
    return sum(sums) / len(labels)


def upper_bound(flags: np.ndarray, confidence: float = 0.95) -> float | None:
    """Largest rate that so many of so many would still be seen at, with this confidence (Clopper & Pearson 1934)."""
    count, hits = len(flags), int(flags.sum())
    return None if not count else 1.0 if hits == count else float(beta.ppf(confidence, hits + 1, count - hits))


def _share(flags: np.ndarray) -> float | None:
    return float(flags.mean()) if len(flags) else None

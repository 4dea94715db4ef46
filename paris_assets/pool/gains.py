"""Whether one subset is better than others: paired differences over seeds, their intervals, and what may be said."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from scipy import stats

INTERVAL = (
    "t interval of differences paired by seed; against random subsets also by how far these lie apart, with degrees of "
    "freedom after Satterthwaite (1946)"
)


@dataclass(frozen=True)
class Gain:
    """A difference and what is known of it.

    Attributes:
        difference: mean over seeds of the value less that of the others.
        low, high: ends of its interval.
        seeds: pairs of values.
    """

    difference: float
    low: float
    high: float
    seeds: int

    @property
    def sign(self) -> int:
        """1 for a gain, -1 for a loss, 0 where the interval holds zero: nothing may then be claimed."""
        return int(self.low > 0) - int(self.high < 0)


def gain(values: np.ndarray, others: np.ndarray, confidence: float) -> Gain:
    """The difference of a subset from another, or from the mean of several random ones.

    Over seeds alone, a random subset that happens to be a good one would be called better than random: the seeds vary
    the training, but not which rows were drawn. So the variance between random subsets is added, once for the subset
    and once for the mean of the others: what is left is a gain beyond that of one more draw.

    Args:
        values: (S,) by seed, S > 1.
        others: (C, S) of C other subsets under the same seeds.
        confidence: of the interval, such as 0.95.
    """
    pairs = values - others.mean(0)
    of_seeds = float(pairs.var(ddof=1)) / len(pairs)
    of_draws, draws = _between(others) * (1 + 1 / len(others)), len(others) - 1
    error = of_seeds + of_draws
    freedom = error**2 / (of_seeds**2 / (len(pairs) - 1) + (of_draws**2 / draws if draws else 0)) if error else 1
    reach = float(stats.t.ppf((1 + confidence) / 2, freedom)) * float(np.sqrt(error))
    mean = float(pairs.mean())
    return Gain(mean, mean - reach, mean + reach, len(pairs))


def said(subset: str, others: str, found: Gain, confidence: float) -> str:
    """A sentence that claims no more than the interval allows."""
    known = f"{confidence:.0%} interval {found.low:+.4f} to {found.high:+.4f}, {found.seeds} seeds"
    if found.sign:
        words = "better" if found.sign > 0 else "worse"
        return f"{subset} is {words} than {others} by {abs(found.difference):.4f} ({known})"
    return f"no gain of {subset} over {others} is shown: {found.difference:+.4f} ({known}, which holds zero)"


def around(values: np.ndarray, confidence: float) -> tuple[float, float, float]:
    """Mean of values (S,) by seed, and the ends of its t interval."""
    error = float(values.std(ddof=1)) / np.sqrt(len(values))
    reach = float(stats.t.ppf((1 + confidence) / 2, len(values) - 1)) * error
    return float(values.mean()), float(values.mean()) - reach, float(values.mean()) + reach


def _between(values: np.ndarray) -> float:
    """Variance between the rows of (C, S) beyond what their noise explains: the component of a two-way layout."""
    draws, seeds = values.shape
    if draws < 2:
        return 0.0
    rest = values - values.mean(0) - values.mean(1, keepdims=True) + values.mean()
    noise = float(np.square(rest).sum()) / ((draws - 1) * (seeds - 1))
    return max(float(values.mean(1).var(ddof=1)) - noise / seeds, 0.0)

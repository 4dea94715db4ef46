"""How far votes agree beyond chance."""

from __future__ import annotations

from collections.abc import Sequence
from itertools import combinations

import numpy as np

VERDICTS = ("keep", "drop", "mixed")


def fleiss_kappa(votes: Sequence[Sequence[str]]) -> float | None:
    """Fleiss' kappa (1971) of the votes on each item, by any voters; items of less than two votes say nothing.

    Numbers of votes may differ: agreement is the mean over items of the share of their pairs that agree, and chance is
    by the shares of the verdicts among all votes. None where chance alone would agree, or no item has two votes.
    """
    counts = np.array([[list(each).count(name) for name in VERDICTS] for each in votes if len(each) > 1], float)
    if not len(counts):
        return None
    sizes = counts.sum(1)
    agreed = ((counts * (counts - 1)).sum(1) / (sizes * (sizes - 1))).mean()
    chance = ((counts.sum(0) / sizes.sum()) ** 2).sum()
    return None if chance == 1 else float((agreed - chance) / (1 - chance))


def cohen_kappa(first: Sequence[str], second: Sequence[str]) -> float | None:
    """Cohen's kappa (1960) of two judges of the same items; None where chance alone would agree, or without items."""
    if not first:
        return None
    table = np.zeros((len(VERDICTS), len(VERDICTS)))
    for one, other in zip(first, second, strict=True):
        table[VERDICTS.index(one), VERDICTS.index(other)] += 1 / len(first)
    chance = float(table.sum(0) @ table.sum(1))
    return None if np.isclose(chance, 1) else float((table.trace() - chance) / (1 - chance))


def mean_cohen_kappa(votes: Sequence[Sequence[str]]) -> float | None:
    """Mean of Cohen's kappa over pairs of votes (the first with the second, ...), on items that have all votes; pairs
    of which chance would agree are left out."""
    most = max(map(len, votes), default=0)
    whole = [each for each in votes if len(each) == most]
    pairs = [
        cohen_kappa([each[a] for each in whole], [each[b] for each in whole]) for a, b in combinations(range(most), 2)
    ]
    known = [kappa for kappa in pairs if kappa is not None]
    return float(np.mean(known)) if known else None

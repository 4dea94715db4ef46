"""Which images are held out of every training, by duplicate group."""

from __future__ import annotations

from collections.abc import Sequence
from hashlib import blake2b

import numpy as np

LEAST_GROUPS, LEAST_EXPERTS = 16, 2
ALWAYS_TRAINED = -1


def folds_of(groups: Sequence[str], experts: np.ndarray, share: float, folds: int, seed: int) -> np.ndarray:
    """(N,) the hold-out in which each image is measured, or ``ALWAYS_TRAINED``.

    Groups are taken by a hash of their own, so not those that the published split holds out; one that several experts
    share counts for the first of them. Of each expert's groups the given share is held out: at least one of two, and
    never all.

    Args:
        groups: of each image.
        experts: (N,) number of its expert.
        share: held out where there is one fold.
        folds: 1, or how many parts the groups are divided into.
    """
    first = dict[str, int]()
    for group, expert in zip(groups, experts.tolist(), strict=True):
        first[group] = min(expert, first.get(group, expert))
    fold = dict[str, int]()
    for expert in sorted(set(first.values())):
        own = sorted((group for group, of in first.items() if of == expert), key=lambda group: _rank(group, seed))
        if folds > 1:
            fold.update((group, place % folds) for place, group in enumerate(own))
            continue
        taken = min(max(1, round(share * len(own))), max(1, len(own) - 1))
        fold.update((group, 0 if place < taken else ALWAYS_TRAINED) for place, group in enumerate(own))
    for expert in np.unique(experts):
        own = {group for group, of in zip(groups, experts, strict=True) if of == expert}
        if len({fold[group] for group in own}) == 1:  # nothing would be left to train it on
            fold.update((group, ALWAYS_TRAINED) for group in own)
    return np.array([fold[group] for group in groups])


def too_few(groups: Sequence[str], experts: np.ndarray) -> str:
    """Why nothing can be proved, or an empty string."""
    counts = groups_of_experts(groups, experts)
    enough = sum(count >= LEAST_GROUPS for count in counts.values())
    if enough >= LEAST_EXPERTS:
        return ""
    return f"{enough} experts have {LEAST_GROUPS} duplicate groups or more, and {LEAST_EXPERTS} are needed"


def groups_of_experts(groups: Sequence[str], experts: np.ndarray) -> dict[int, int]:
    """Number of an expert -> duplicate groups that it has."""
    pairs = set(zip(groups, experts.tolist(), strict=True))
    return {expert: sum(of == expert for _, of in pairs) for expert in sorted({of for _, of in pairs})}


def _rank(group: str, seed: int) -> bytes:
    return blake2b(group.encode(), digest_size=8, key=b"training probe", salt=seed.to_bytes(8, "little")).digest()

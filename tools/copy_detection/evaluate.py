"""Precision and recall, edit by edit, of any method that says how alike two pictures are."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, NamedTuple

import numpy as np

from tools.copy_detection.edits import Edit

SEED = 1_000_007
"""Of no training view."""
ALL = "all edits"

Photos = Sequence[np.ndarray]


@dataclass(frozen=True)
class Method:
    """How pictures are described, and how alike two descriptions are; a pair counts as a copy from `threshold` on.

    Attributes:
        describe: (H, W, 3) uint8 pictures -> their descriptions.
        alike: descriptions of Q and of R pictures -> (Q, R) numbers, the greater the more alike.
        threshold: None: to be chosen.
    """

    name: str
    describe: Callable[[Iterable[np.ndarray]], Any]
    alike: Callable[[Any, Any], np.ndarray]
    threshold: float | None = None


class Counts(NamedTuple):
    """Of pairs: those rightly taken for copies, those taken for copies, copies, and all that were compared."""

    right: int
    found: int
    copies: int
    pairs: int

    @property
    def precision(self) -> float:
        """Share of copies among what is found; 1 where nothing is."""
        return self.right / self.found if self.found else 1.0

    @property
    def recall(self) -> float:
        """Share of the copies that is found."""
        return self.right / self.copies

    @property
    def false_per_million(self) -> float:
        """Of pairs that are no copies."""
        return 1e6 * (self.found - self.right) / (self.pairs - self.copies)


def edited(photos: Photos, edit: Edit) -> list[np.ndarray]:
    """Each photo after an edit, at random from a seed of its own."""
    return [edit(photo, np.random.default_rng((SEED, index))) for index, photo in enumerate(photos)]


def likeness(method: Method, photos: Photos, edits: Mapping[str, Edit]) -> dict[str, np.ndarray]:
    """Edit -> (N, N): how alike the edited photo of each row is to the photo of each column."""
    described = method.describe(photos)
    return {name: method.alike(method.describe(edited(photos, edit)), described) for name, edit in edits.items()}


def counted(alike: np.ndarray, threshold: float) -> Counts:
    """Of an (N, N) matrix whose diagonal are the copies."""
    found = alike >= threshold
    return Counts(int(np.trace(found)), int(found.sum()), len(alike), alike.size)


def pooled(alike: Mapping[str, np.ndarray], threshold: float) -> Counts:
    """Over all edits."""
    return Counts(*(sum(part) for part in zip(*(counted(matrix, threshold) for matrix in alike.values()), strict=True)))


def chosen_threshold(alike: Mapping[str, np.ndarray], precision: float) -> float:
    """The smallest threshold, in hundredths, from which on the precision over all edits is at least this."""
    for hundredths in range(99, -100, -1):
        if pooled(alike, hundredths / 100).precision < precision:
            return (hundredths + 1) / 100
    return -0.99


def compared(methods: Sequence[Method], photos: Photos, edits: Mapping[str, Edit]) -> dict[str, list[Counts]]:
    """Edit, and `all`, -> what each method finds at its threshold. Raises ValueError: a method has none."""
    found = dict[str, list[Counts]]()
    for method in methods:
        if method.threshold is None:
            raise ValueError(f"{method.name} has no threshold yet")
        alike = likeness(method, photos, edits)
        for name, matrix in alike.items():
            found.setdefault(name, []).append(counted(matrix, method.threshold))
        found.setdefault(ALL, []).append(pooled(alike, method.threshold))
    return {name: found[name] for name in [*edits, ALL]}


def table(methods: Sequence[Method], found: Mapping[str, Sequence[Counts]]) -> str:
    """Markdown: a row for each edit with precision and recall of each method, and one of the false pairs in a million
    pairs of different photos."""
    heads = ["precision / recall", *(method.name for method in methods)]
    rows = [[name, *(f"{each.precision:.2f} / {each.recall:.2f}" for each in counts)] for name, counts in found.items()]
    rows.append(["false pairs in a million", *(f"{each.false_per_million:.0f}" for each in found[ALL])])
    return "\n".join(f"| {' | '.join(row)} |" for row in [heads, ["---"] * len(heads), *rows])

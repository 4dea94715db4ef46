"""Thumbnails of the images that have a close pHash, in order of rank, and who stands for whom among them."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from functools import cached_property

import numpy as np
import polars as pl

from paris_assets.curation.candidates import Candidates
from paris_assets.curation.near_vectors import NearVectors
from paris_assets.curation.same_picture import same_picture

BLOCK_PAIRS = 1 << 14
ALIGNED = 1 << 9  # pairs verified at a time: what they need fits the cache
CROWDED = 1 << 10  # pairs of two runs from which on candidates are looked for before thumbnails are aligned


class Gallery:
    """Thumbnails of ranked images, of which two agree that show the same picture, or have close vectors.

    Args:
        stored: tables of `image_id` and `thumbnail` of these images and perhaps of others.
        image_ids: the images, in order of rank.
        published: (N,) bool, those that stay keepers.
        near: vectors of these and of other images, where they are compared.
        rows: (N,) ascending positions of the images in `near`.

    Raises:
        ValueError: an image without thumbnail.
    """

    def __init__(
        self,
        stored: Iterable[pl.LazyFrame],
        image_ids: pl.Series,
        min_correlation: float,
        published: np.ndarray,
        near: NearVectors | None,
        rows: np.ndarray,
    ) -> None:
        self.thumbnails = _thumbnails(stored, image_ids)
        self.published = published
        self.min_correlation = min_correlation
        self._near, self._rows = near, rows

    def stars(self, group: np.ndarray, judged: np.ndarray | None = None) -> np.ndarray:
        """Leader of each image, (N,): within its group, the best-ranked one that it agrees with and that is no copy.

        The first images of each group are judged among themselves, then the rest against the leaders found; then twice
        as many of those that are left. So a crowd of copies meets few leaders, not each other.

        Args:
            group: (N,) group of each image.
            judged: ascending positions of the images that take part; by default all.
        """
        leader = np.arange(len(group))
        left = leader if judged is None else judged
        left = left[np.argsort(group[left], kind="stable")]
        size = 1
        while len(left):
            first = _places_in_runs(np.unique(group[left], return_counts=True)[1]) < size
            head, tail = left[first], left[~first]
            self._follow(leader, group, head, head)
            self._follow(leader, group, head[leader[head] == head], tail)
            left = tail[leader[tail] == tail]
            size *= 2
        return leader

    def _follow(self, leader: np.ndarray, group: np.ndarray, heads: np.ndarray, rest: np.ndarray) -> None:
        """Set the leader of those of `rest` that agree with one of `heads` of their group; both are sorted by group."""
        free = rest[~self.published[rest]]
        groups = np.unique(group[heads])
        blocks = self.pairs(heads, run_ends(group[heads], groups), free, run_ends(group[free], groups))
        found = self.agreeing(pairs[pairs[:, 0] < pairs[:, 1]] for pairs in blocks)
        for better, worse in found[np.lexsort(found.T[::-1])].tolist():
            if leader[better] == better and leader[worse] == worse:
                leader[worse] = better

    def agreeing(self, blocks: Iterator[np.ndarray]) -> np.ndarray:
        """Those of blocks of (P, 2) pairs that show the same picture, or have close vectors."""
        found = [np.zeros((0, 2), np.int64)]
        for pairs in blocks:
            agreed = self.look_alike(pairs)
            if self._near is not None:
                agreed[~agreed] = self._near.close(self._rows[pairs[~agreed]])
            found.append(pairs[agreed])
        return np.concatenate(found)

    def look_alike(self, pairs: np.ndarray) -> np.ndarray:
        """(P, 2) -> (P,) bool: whether thumbnails show the same picture."""
        same = [np.zeros(0, bool)]
        for block in np.split(pairs, range(ALIGNED, len(pairs), ALIGNED)):
            left, right = self.thumbnails[block[:, 0]], self.thumbnails[block[:, 1]]
            same.append(same_picture(left, right, self.min_correlation))
        return np.concatenate(same)

    def pairs(
        self, left: np.ndarray, left_runs: np.ndarray, right: np.ndarray, right_runs: np.ndarray
    ) -> Iterator[np.ndarray]:
        """Blocks of (P, 2) pairs of the images in runs that belong together, without those that cannot agree.

        Args:
            left, right: positions of images.
            left_runs, right_runs: (R, 2) start and end of each run in `left` and in `right`.
        """
        counts = np.stack([np.diff(left_runs)[:, 0], np.diff(right_runs)[:, 0]], axis=1)
        products = counts.prod(axis=1)
        few = np.flatnonzero((products > 0) & (products <= CROWDED))
        for block in np.split(few, np.flatnonzero(np.diff(np.cumsum(products[few]) // BLOCK_PAIRS)) + 1):
            # Every image of the left run, then every image of the right one for each of these.
            run = np.repeat(block, counts[block, 0])
            at = left_runs[run, 0] + _places_in_runs(counts[block, 0])
            met = right_runs[np.repeat(run, counts[run, 1]), 0] + _places_in_runs(counts[run, 1])
            yield np.stack([left[np.repeat(at, counts[run, 1])], right[met]], axis=1)
        for run in np.flatnonzero(products > CROWDED):
            sides = left[slice(*left_runs[run])], right[slice(*right_runs[run])]
            yield from self._candidates.between(*sides)
            if self._near is not None:
                for pairs in self._near.between(*(self._rows[side] for side in sides)):
                    yield np.searchsorted(self._rows, pairs)

    @cached_property
    def _candidates(self) -> Candidates:
        return Candidates(self.thumbnails)


def _thumbnails(stored: Iterable[pl.LazyFrame], image_ids: pl.Series) -> np.ndarray:
    """(N, bytes) uint8, of one table after the other: a plan over all of them would take memory of its own."""
    order, ascending = image_ids.arg_sort().to_numpy(), image_ids.sort()
    found, seen = np.zeros((0, 0), np.uint8), np.zeros(len(image_ids), bool)
    for table in stored:
        block = table.select("image_id", "thumbnail").drop_nulls().collect()
        places = ascending.search_sorted(block["image_id"]).to_numpy().clip(max=len(order) - 1)
        own = ascending.gather(places) == block["image_id"]
        at, thumbnails = order[places[own.to_numpy()]], block.filter(own)["thumbnail"].to_numpy()
        if not found.size:
            found = np.zeros((len(image_ids), *thumbnails.shape[1:]), np.uint8)
        found[at], seen[at] = thumbnails, True
    if not seen.all():
        without = image_ids.filter(pl.Series(~seen))
        raise ValueError(f"{len(without)} images have a pHash but no thumbnail, {without[0]} among them")
    return found


def run_ends(ascending: np.ndarray, values: np.ndarray) -> np.ndarray:
    """Start and end of the run of each value: [3, 7, 7], (R,) [7, 3] -> (R, 2) [[1, 3], [0, 1]]."""
    return np.stack([np.searchsorted(ascending, values, "left"), np.searchsorted(ascending, values, "right")], axis=-1)


def _places_in_runs(lengths: np.ndarray) -> np.ndarray:
    """[2, 3] -> [0, 1, 0, 1, 2]."""
    return np.arange(lengths.sum()) - np.repeat(np.cumsum(lengths) - lengths, lengths)

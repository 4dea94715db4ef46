"""Stored vectors of images in order of rank: which are close, and what has to be joined for that."""

from __future__ import annotations

from collections.abc import Iterable
from pathlib import Path
from tempfile import TemporaryFile
from typing import NamedTuple

import numpy as np
import polars as pl
from threadpoolctl import threadpool_limits

from paris_assets.compute import Compute
from paris_assets.curation.schema import VECTORS
from paris_assets.errors import BrokenInvariant
from paris_assets.vectors.cells import neighbourhoods
from paris_assets.vectors.cosine import cosines
from paris_assets.vectors.names import positions
from paris_assets.vectors.pairs import ClosePairs, Tile


class Vectors(NamedTuple):
    """Vectors of images, and when two of them are close.

    Attributes:
        frames: `image_id` and `vector` (Array(Float16)) of some images, each once or more. Images without one are close
            to none.
        least: smallest cosine.
        method: what `duplicate_groups.method` says of a copy that these alone show.
        probes: how many cells of near vectors each one meets; None: all pairs are looked at.
    """

    frames: Iterable[pl.DataFrame]
    least: float
    method: str = VECTORS
    probes: int | None = None


class NearVectors:
    """The pairs of images whose vectors are close.

    Args:
        ranked: image_ids in order of rank.
        vectors: of some of them and perhaps of others.
        scratch: local folder for the vectors, which need not fit into memory.

    Raises:
        BrokenInvariant: vectors of several dimensions.
    """

    def __init__(self, ranked: pl.Series, vectors: Vectors, scratch: Path) -> None:
        self.method = vectors.method
        self._vectors = _laid_out(ranked, vectors.frames, scratch)
        with TemporaryFile(dir=scratch) as file:  # the map keeps it open
            self._close = ClosePairs(self._vectors, vectors.least, file)
        self._probes = vectors.probes

    def ties(self, compute: Compute | None = None) -> np.ndarray:
        """(T, 2) close pairs that join the same images as all those met; of a crowd of copies few are computed.

        Args:
            compute: who compares; by default the threads of this process.
        """
        compute, kept, groups = compute or Compute(), [np.zeros((0, 2), np.int64)], Groups(len(self._vectors))
        sides = None if self._probes is None else neighbourhoods(self._vectors, self._probes, compute=compute)
        with threadpool_limits(1):  # each part on one core
            for close in compute.map(_ties_of_tile, self._close.tiles(sides), None):
                apart = close[groups.apart(close)]
                groups.join(apart)
                kept.append(apart)
        return np.concatenate(kept)

    def close(self, pairs: np.ndarray) -> np.ndarray:
        """(P, 2) positions -> (P,) bool."""
        return self._close.close(pairs)

    def cosines(self, pairs: np.ndarray) -> np.ndarray:
        """(P, 2) positions -> (P,) float64; 0 where one has no vector."""
        return self._close.cosines(pairs)

    def between(self, left: np.ndarray, right: np.ndarray) -> Iterable[np.ndarray]:
        """Blocks of (P, 2) close pairs, one of `left` and one of `right`."""
        return self._close.between(left, right)


def _ties_of_tile(_: None, tile: Tile) -> np.ndarray:
    """(T, 2) close pairs of a tile, by their positions among all vectors, that join the same ones as all of it."""
    kept, groups = [np.zeros((0, 2), np.int64)], Groups(len(tile.places))
    for pairs in tile.candidates():
        # First one for each image on the right: where all are near to all, that joins them.
        first = np.zeros(len(pairs), bool)
        first[np.unique(pairs[:, 1], return_index=True)[1]] = True
        for part in (pairs[first], pairs[~first]):
            apart = part[groups.apart(part)]
            close = apart[tile.close.close(apart)]
            groups.join(close)
            kept.append(close)
    return tile.places[np.concatenate(kept)]


def cosines_with_keepers(groups: pl.DataFrame, vectors: pl.LazyFrame, method: str, most: int) -> np.ndarray:
    """Cosines of copies by vectors with the keepers of their groups, by the stored vectors.

    Args:
        groups: `image_id`, `group_id`, `keeper` and `method` of `duplicate_groups`.
        vectors: `image_id` and `vector` of all shards.
        method: of the copies that are looked at.
        most: of them.
    """
    keepers = groups.filter("keeper").select("group_id", kept="image_id")
    copies = groups.filter(pl.col("method") == method).unique("image_id").sort("image_id").head(most)
    pairs = copies.join(keepers, on="group_id", maintain_order="left").select("image_id", "kept")
    wanted = pl.concat([pairs["image_id"], pairs["kept"]]).unique().implode()
    own = vectors.filter(pl.col("image_id").is_in(wanted)).unique("image_id").collect()
    sides = [pairs.select(image_id=side).join(own, on="image_id", how="left", maintain_order="left") for side in pairs]
    missing = [side["vector"].is_null() for side in sides]
    there = ~(missing[0] | missing[1])
    found = np.full(pairs.height, -1.0)
    found[there.to_numpy()] = cosines(*(side["vector"].filter(there).to_numpy() for side in sides))
    return found


def _laid_out(ranked: pl.Series, frames: Iterable[pl.DataFrame], scratch: Path) -> np.ndarray:
    """(N, D) float16 vectors in the order of `ranked`, in a file without a name; zeros where there is none."""
    order = ranked.arg_sort()
    names = ranked.gather(order)
    laid_out = np.zeros((len(ranked), 1), np.float16)
    for frame in frames:
        vectors = frame["vector"].to_numpy()
        if not isinstance(laid_out, np.memmap):
            with TemporaryFile(dir=scratch) as file:  # the map keeps it open
                laid_out = np.memmap(file, np.float16, "w+", shape=(max(len(ranked), 1), vectors.shape[1]))
        if laid_out.shape[1] != vectors.shape[1]:
            raise BrokenInvariant(f"vectors of {vectors.shape[1]} dimensions among those of {laid_out.shape[1]}")
        places, known = positions(names, frame["image_id"])
        laid_out[order.to_numpy()[places[known]]] = vectors[known]
    return laid_out


class Groups:
    """Numbers from 0 that are joined by pairs (Galler and Fischer 1964)."""

    def __init__(self, count: int) -> None:
        self._above = np.arange(count)

    def apart(self, pairs: np.ndarray) -> np.ndarray:
        """(P, 2) -> (P,) bool: whether the two are in different groups."""
        tops = self._tops(pairs)
        return tops[:, 0] != tops[:, 1]

    def join(self, pairs: np.ndarray) -> None:
        """Put the two of each of (P, 2) pairs into one group."""
        for left, right in self._tops(pairs).tolist():
            low, high = sorted((self._top(left), self._top(right)))
            self._above[high] = low

    def _tops(self, numbers: np.ndarray) -> np.ndarray:
        tops = self._above[numbers]
        while not np.array_equal(tops, above := self._above[tops]):
            tops = above
        self._above[numbers] = tops
        return tops

    def _top(self, number: int) -> int:
        while number != (above := int(self._above[number])):
            number = above
        return number

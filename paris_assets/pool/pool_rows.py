"""Vectors of a pool that is larger than memory: which rows have one, and those fitted on, laid out in a file."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from tempfile import TemporaryFile
from typing import NamedTuple

import numpy as np
import polars as pl

from paris_assets.errors import BrokenInvariant, UsageError
from paris_assets.storage.shards import Shards
from paris_assets.vectors.half_precision import NOT_FINITE, ZERO, faults, hashes, keys
from paris_assets.vectors.rows import UnitHalves

BATCH_ROWS = 16_384
FAULTS = ("null", "zero", "not_finite")
"""Why a row has no vector."""


class Batch(NamedTuple):
    """Some rows in order, and the vectors of those that have one.

    Attributes:
        frame: `source_row` and the vectors as they were read.
        halves: (n, D) float16, the parts side by side.
        known: (rows,) bool, n of them true.
        faults: reason -> rows without a vector.
        ends: where each part of a vector ends.
    """

    frame: pl.DataFrame
    halves: np.ndarray
    known: np.ndarray
    faults: dict[str, int]
    ends: list[int]

    def units(self) -> np.ndarray:
        """(n, D) float32, each part of length one."""
        return UnitHalves(self.halves, self.ends).take(np.arange(len(self.halves)))


@dataclass(frozen=True)
class Pool:
    """What one pass over the vectors found.

    Attributes:
        rows: all of them, without a vector or with one.
        keys: (N,) uint64 of those with one, in the order of the pool.
        distinct: how many different vectors there are.
        without: reason -> rows without a vector.
        ends: where each part of a vector ends.
    """

    rows: int
    keys: np.ndarray
    distinct: int
    without: dict[str, int]
    ends: list[int]


def batches(vectors: pl.LazyFrame, features: Sequence[str]) -> Iterator[Batch]:
    """A table of `pool_vectors` some rows at a time.

    Raises:
        UsageError: a feature that the table lacks.
        BrokenInvariant: a column of another type.
    """
    kinds = vectors.collect_schema()
    for name in features:
        if name not in kinds:
            raise UsageError(
                f"pool.concepts.features names {name!r}, but the pool has no {name} vectors: name others, or a source "
                f"that has them (pool.vectors)"
            )
    read = vectors.select("source_row", *features)
    for frame in read.collect_batches(chunk_size=BATCH_ROWS, maintain_order=True):
        if frame.height:
            yield _batch(frame, features)


def _batch(frame: pl.DataFrame, features: Sequence[str]) -> Batch:
    parts = [_halves(frame[name]) for name in features]
    ends = np.cumsum([part.shape[1] for part in parts])
    missing = ~frame.select(pl.all_horizontal(pl.col(*features).is_not_null())).to_series().to_numpy()
    halves = parts[0] if len(parts) == 1 else np.concatenate(parts, axis=1)
    wrong = faults(halves.view(np.uint16), ends)
    known = ~missing & (wrong == 0)
    masks = missing, ~missing & (wrong == ZERO), ~missing & (wrong == NOT_FINITE)
    counted = {reason: int(mask.sum()) for reason, mask in zip(FAULTS, masks, strict=True)}
    return Batch(frame, halves if known.all() else halves[known], known, counted, ends.tolist())


def _halves(column: pl.Series) -> np.ndarray:
    """(N, D) float16, zeros where null."""
    kind = column.dtype
    if not isinstance(kind, pl.Array) or kind.inner != pl.Float16:
        raise BrokenInvariant(f"vectors of the pool must be arrays of half precision; {column.name} is {kind}")
    if not column.null_count():
        return np.ascontiguousarray(column.to_numpy())
    found = np.zeros((len(column), kind.size), np.float16)
    found[column.is_not_null().to_numpy()] = column.drop_nulls().to_numpy()
    return found


def survey(pool: Shards, features: Sequence[str], seed: int) -> Pool:
    """Which rows have vectors, with a key of each that depends on ``seed`` and on what vectors there are."""
    without: dict[str, int] = dict.fromkeys(FAULTS, 0)
    rows, ends, hashed = 0, None, [np.empty(0, np.uint64)]
    for shard in pool.keys:
        for batch in batches(pool[shard], features):
            if ends not in (None, batch.ends):
                raise BrokenInvariant(
                    f"vectors of shard {shard} end at {batch.ends}, those of shards before it at {ends}: all vectors "
                    "of a pool must have the same dimensions"
                )
            rows, ends = rows + batch.frame.height, batch.ends
            without = {reason: count + batch.faults[reason] for reason, count in without.items()}
            hashed.append(hashes(batch.halves.view(np.uint16), seed))
    together = np.concatenate(hashed)
    return Pool(rows, keys(together), len(np.unique(together)), without, ends or [0])


def laid_out(pool: Shards, features: Sequence[str], found: Pool, most: int | None, scratch: Path) -> UnitHalves:
    """The vectors fitted on, in the order of their keys, in a file that goes when they do.

    Args:
        most: how many at most: those of the smallest keys.
        scratch: folder for the file.
    """
    order = np.argsort(found.keys, kind="stable")[:most]
    places = np.full(len(found.keys), -1)
    places[order] = np.arange(len(order))
    with TemporaryFile(dir=scratch) as file:  # the map keeps it open
        halves = np.memmap(file, np.float16, "w+", shape=(len(order), found.ends[-1]))
    at = 0
    for shard in pool.keys:
        for batch in batches(pool[shard], features):
            place = places[at : at + len(batch.halves)]
            halves[place[place >= 0]] = batch.halves[place >= 0]
            at += len(batch.halves)
    return UnitHalves(halves, found.ends)

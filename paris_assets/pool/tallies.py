"""Counts and first rows of groups over a stream of tables, the same in any order of tables and rows."""

from __future__ import annotations

from collections.abc import Sequence
from typing import NamedTuple

import numpy as np
import polars as pl

from paris_assets.pool.drawn import mixed

KEPT_ROWS = 1 << 18
"""Rows that wait to be merged, at least: merging costs as much as what is there."""


class Tally:
    """Sums of integer columns by keys; memory is that of the distinct keys.

    Args:
        keys: columns that name a group; all others are added up.
    """

    def __init__(self, keys: Sequence[str]) -> None:
        self._keys, self._parts, self._waiting, self._merged = list(keys), list[pl.DataFrame](), 0, 0

    def add(self, table: pl.DataFrame) -> None:
        """Rows whose keys may repeat."""
        part = _summed(table, self._keys)
        self._parts.append(part)
        self._waiting += part.height
        if self._waiting > max(KEPT_ROWS, self._merged):
            self._merge()

    @property
    def added(self) -> bool:
        """Whether anything has been added."""
        return bool(self._parts)

    def total(self) -> pl.DataFrame:
        """The sums, sorted by the keys; at least one table has been added."""
        self._merge()
        return self._parts[0].sort(self._keys)

    def _merge(self) -> None:
        self._parts = [_summed(pl.concat(self._parts), self._keys)]
        self._waiting, self._merged = 0, self._parts[0].height


class _Counted(NamedTuple):
    """(m,) distinct uint64 keys, ascending, the concept of each (int32), and how often it came (uint32)."""

    keys: np.ndarray
    concepts: np.ndarray
    counts: np.ndarray

    @classmethod
    def merged(cls, parts: Sequence[_Counted]) -> _Counted:
        """Parts whose keys may repeat, as one."""
        keys, concepts, counts = (np.concatenate(arrays) for arrays in zip(*parts, strict=True))
        if not len(keys):
            return cls(keys, concepts, counts)
        order = np.argsort(keys, kind="stable")  # which is quick where parts are sorted
        keys = keys[order]
        first = np.flatnonzero(np.concatenate([[True], keys[1:] != keys[:-1]]))
        return cls(keys[first], concepts[order[first]], np.add.reduceat(counts[order], first, dtype=np.uint32))


class HashCounts:
    """How often each hash came in each concept: 16 bytes for each distinct pair, and 80 more while it merges.

    A pair is one number of 64 bits here: of 13 million pairs two are taken for one with a chance of 1 in 200,000.
    """

    def __init__(self) -> None:
        self._parts, self._waiting, self._merged = list[_Counted](), 0, 0

    def add(self, concepts: np.ndarray, hashes: np.ndarray) -> None:
        """(n,) int32 concepts and (n,) uint64 hashes of rows, which may repeat."""
        keys = _pairs(concepts, hashes)
        part = _Counted.merged([_Counted(keys, concepts.astype(np.int32), np.ones(len(keys), np.uint32))])
        self._parts.append(part)
        self._waiting += len(part.keys)
        if self._waiting > max(KEPT_ROWS, self._merged // 4):
            self._merge()

    def by_concept(self) -> pl.DataFrame:
        """`concept`, `distinct` hashes and `most`, the count of the most frequent one; rows have been added."""
        _, concepts, counts = self._merge()
        distinct, most = np.bincount(concepts), np.zeros(concepts.max(initial=-1) + 1, np.int64)
        np.maximum.at(most, concepts, counts)
        found = np.flatnonzero(distinct)
        columns = {"concept": found.astype(np.int32), "distinct": distinct[found], "most": most[found]}
        return pl.DataFrame(columns, schema_overrides={"distinct": pl.Int64})

    def of(self, concepts: np.ndarray, hashes: np.ndarray) -> np.ndarray:
        """(n,) int64 counts of pairs that have been added."""
        keys, _, counts = self._merge()
        return counts[np.searchsorted(keys, _pairs(concepts, hashes))].astype(np.int64)

    def _merge(self) -> _Counted:
        if self._waiting:
            self._parts = [_Counted.merged(self._parts)]
            self._waiting, self._merged = 0, len(self._parts[0].keys)
        return self._parts[0]


def _pairs(concepts: np.ndarray, hashes: np.ndarray) -> np.ndarray:
    return mixed(hashes ^ mixed(concepts.astype(np.uint64)))


class First:
    """The first ``count`` rows of each concept in an order, of rows with equal ``distinct`` the first alone.

    Args:
        order: expressions; all together tell any two rows apart.
        distinct: columns beside `concept`; none: every row counts.
    """

    def __init__(self, count: int, order: Sequence[pl.Expr], distinct: Sequence[str] = ()) -> None:
        self._count, self._order, self._distinct = count, list(order), ["concept", *distinct]
        self._best: pl.DataFrame | None = None

    def add(self, table: pl.DataFrame) -> None:
        """More rows."""
        first = self._chosen(table)
        self._best = _copied(first if self._best is None else self._chosen(pl.concat([self._best, first])))

    def rows(self) -> pl.DataFrame:
        """The rows, by concept and in order; at least one table has been added."""
        assert self._best is not None
        return self._best

    def _chosen(self, table: pl.DataFrame) -> pl.DataFrame:
        ordered = table.sort("concept", *self._order)
        if len(self._distinct) > 1:
            ordered = ordered.unique(self._distinct, keep="first", maintain_order=True)
        return ordered.filter(pl.int_range(pl.len()).over("concept") < self._count)


def _copied(table: pl.DataFrame) -> pl.DataFrame:
    """The rows in memory of their own: strings of a few rows would else hold on to those of all that they came with."""
    copied = pl.from_arrow(table.to_arrow(compat_level=pl.CompatLevel.oldest()))
    assert isinstance(copied, pl.DataFrame)  # of a table, never a series
    return copied


def _summed(table: pl.DataFrame, keys: list[str]) -> pl.DataFrame:
    return table.group_by(keys).agg(pl.all().sum())

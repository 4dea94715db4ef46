"""A partitioned table as an asset reads it that reads all shards."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass

import polars as pl


@dataclass(frozen=True)
class Shards:
    """All partitions of a table, or of several with equal keys the same ones.

    Attributes:
        keys: the shards, in the order in which they were registered.
        scan: shards -> one lazy frame over them, in that order.
    """

    keys: Sequence[str]
    scan: Callable[[Sequence[str]], pl.LazyFrame]

    def frame(self) -> pl.LazyFrame:
        """One lazy frame over all shards, in order."""
        return self.scan(self.keys)

    def __getitem__(self, shard: str) -> pl.LazyFrame:
        return self.scan([shard])

    @classmethod
    def of(cls, tables: dict[str, pl.DataFrame | pl.LazyFrame]) -> Shards:
        """Tables in memory, by shard."""
        return cls(list(tables), lambda keys: pl.concat([tables[key].lazy() for key in keys]))

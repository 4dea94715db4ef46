"""In how many images each concept is seen, in memory that the number of distinct phrases does not decide."""

from __future__ import annotations

from collections.abc import Callable, Iterable

import numpy as np
import polars as pl

SLOTS = 1 << 26  # 256 MB of counters, of which the system gives only what is written
MERGE_ROWS = 4_000_000

Parts = Callable[[], Iterable[pl.DataFrame]]
"""Gives the pairs (image_id, concept) of all images, shard by shard; called for each pass."""


def frequencies(parts: Parts, least: int, slots: int = SLOTS) -> pl.DataFrame:
    """Images of each concept that ``least`` images show, exactly.

    Most phrases of captions are seen once, and there are far more of them than concepts. A first pass counts pairs by a
    hash of the concept in a table of fixed size, a second one only concepts whose slot reached ``least``: the others
    cannot (Park, Chen and Yu 1995). The result depends on no hash and no order.

    Args:
        parts: of all shards; an image is in one of them.
        slots: counters, a power of two.

    Returns:
        concept, df Int64, sorted by concept.
    """
    counters = np.zeros(slots, np.uint32)
    for pairs in parts() if least > 1 else ():
        found, times = np.unique(_slots(pairs, slots), return_counts=True)
        counters[found] += times.astype(np.uint32)
    merged, waiting, rows = _count(pl.DataFrame(schema={"concept": pl.String})), list[pl.DataFrame](), 0
    for pairs in parts():
        possible = pairs if least == 1 else pairs.filter(pl.Series(counters[_slots(pairs, slots)] >= least))
        waiting.append(_count(possible))
        rows += waiting[-1].height
        if rows > MERGE_ROWS:
            merged, waiting, rows = _added([merged, *waiting]), [], 0
    return _added([merged, *waiting]).filter(pl.col("df") >= least).sort("concept")


def _slots(pairs: pl.DataFrame, slots: int) -> np.ndarray:
    return pairs["concept"].hash(seed=0).to_numpy() & np.uint64(slots - 1)


def _count(pairs: pl.DataFrame) -> pl.DataFrame:
    return pairs.group_by("concept").agg(pl.len().cast(pl.Int64).alias("df"))


def _added(counts: list[pl.DataFrame]) -> pl.DataFrame:
    return pl.concat(counts).group_by("concept").agg(pl.col("df").sum())

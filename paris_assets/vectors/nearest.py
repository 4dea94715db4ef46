"""The nearest of many vectors to a few, by cosine: exact, one block in memory at a time, without an index."""

from __future__ import annotations

import numpy as np
import polars as pl
import torch

from paris_assets.vectors.cosine import SLACK, cosines_of_pairs, rough_cosines, unit_rows

BLOCK = 1 << 11  # rows widened and multiplied at a time: they stay in the cache
PRODUCTS = 1 << 24  # held at a time
_FOUND = pl.Schema({"query": pl.UInt32, "image_id": pl.String, "place": pl.UInt32, "cosine": pl.Float64})


class Nearest:
    """The rows most like each query among all that were added, in whatever order.

    Products of unit vectors in float32 choose the candidates; those that may be among the nearest are computed again
    (``cosines``), so that the answer is the same for any block and number of threads.

    Args:
        queries: (Q, D) vectors.
        count: how many to find for each query.
        at_least: smallest cosine.
    """

    def __init__(self, queries: np.ndarray, count: int, at_least: float = -1.0) -> None:
        self._queries, self._count, self._at_least = queries, count, at_least
        self._units = unit_rows(queries)
        self._best = pl.DataFrame(schema=_FOUND)
        self._worst = np.full(len(queries), at_least)

    def add(self, image_ids: pl.Series, vectors: np.ndarray, place: int = 0) -> None:
        """Look at (N, D) vectors of distinct images; ``place`` comes back with what is found among them."""
        step = max(1, PRODUCTS // len(self._queries))
        for start in range(0, len(vectors), step):
            self._add(image_ids.slice(start, step), vectors[start : start + step], place)

    def _add(self, image_ids: pl.Series, vectors: np.ndarray, place: int) -> None:
        blocks = (vectors[start : start + BLOCK] for start in range(0, len(vectors), BLOCK))
        products = torch.cat([rough_cosines(block, self._units) for block in blocks])
        least = torch.topk(products, min(self._count, len(products)), dim=0).values[-1].numpy()
        rows, queries = np.nonzero(products.numpy() >= np.maximum(least, self._worst).astype(np.float32) - SLACK)
        if len(rows) == 0:
            return
        candidates = pl.DataFrame(
            {
                "query": queries,
                "image_id": image_ids.gather(rows),
                "place": np.full(len(rows), place),
                "cosine": cosines_of_pairs(vectors, self._queries, np.column_stack([rows, queries])),
            }
        )
        self._keep(candidates.cast(_FOUND).filter(pl.col("cosine") >= self._at_least))

    def _keep(self, candidates: pl.DataFrame) -> None:
        ranked = pl.concat([self._best, candidates]).sort("query", -pl.col("cosine"), "image_id", "place")
        distinct = ranked.unique(["query", "image_id"], keep="first", maintain_order=True)
        self._best = distinct.group_by("query", maintain_order=True).head(self._count)
        full = self._best.group_by("query").agg(pl.len(), pl.col("cosine").last()).filter(pl.col("len") == self._count)
        self._worst[full["query"].to_numpy()] = full["cosine"].to_numpy()

    def found(self) -> pl.DataFrame:
        """`query` (its position), `image_id`, `place` (the smallest, of an image that was added twice) and `cosine`,
        for each query the largest first, equal ones in the order of image_ids."""
        return self._best

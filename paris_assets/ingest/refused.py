"""Images that were taken down: rows that are not asked for, and bytes that are not kept wherever they come from."""

from __future__ import annotations

import hashlib
from collections.abc import Iterable
from dataclasses import dataclass

import polars as pl

TAKEN_DOWN = "takedown"
"""Reason of rows that are refused."""


@dataclass(frozen=True)
class Refused:
    """What is refused.

    Attributes:
        image_ids: of the bytes as fetched.
        urls: sha256 of addresses.
        source_rows: rows of this shard.
    """

    image_ids: frozenset[str] = frozenset()
    urls: frozenset[str] = frozenset()
    source_rows: frozenset[int] = frozenset()

    def rows(self, rows: pl.DataFrame) -> list[int]:
        """Those of some source rows that are not to be asked for."""
        found = set(self.source_rows)
        if self.urls:
            found |= {row for row, url in rows.select("source_row", "url").iter_rows() if self._has(url)}
        return [row for row in rows["source_row"] if row in found]

    def standing(self, ledger: pl.DataFrame, left_out: Iterable[int]) -> pl.DataFrame:
        """Rows of an earlier ledger that are refused since.

        Args:
            left_out: what ``rows`` gave.
        """
        by_row = pl.col("source_row").is_in(pl.Series(list(left_out), dtype=pl.Int64).implode())
        by_bytes = pl.col("image_id").is_in(pl.Series(sorted(self.image_ids), dtype=pl.String).implode())
        known = (pl.col("reason") == TAKEN_DOWN).fill_null(False)
        return ledger.filter((by_row | by_bytes.fill_null(False)) & ~known)

    def _has(self, url: str | None) -> bool:
        return url is not None and hashlib.sha256(url.encode()).hexdigest() in self.urls


NOTHING = Refused()

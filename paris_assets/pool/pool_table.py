"""The rows of a pool in memory: numbers only, about 50 bytes a row, whatever their captions and vectors take."""

from __future__ import annotations

import hashlib
from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np
import polars as pl

from paris_assets.errors import BrokenInvariant, UserError
from paris_assets.storage.shards import Shards

UID = r"^[0-9a-f]{32}$"
HALVES = {
    "high": pl.col("uid").str.head(16).str.to_integer(base=16, dtype=pl.UInt64),
    "low": pl.col("uid").str.tail(16).str.to_integer(base=16, dtype=pl.UInt64),
}
"""The first and the last 64 bits of a column `uid`."""


class UnusablePool(UserError, ValueError):
    """The pool cannot be selected from as the settings ask; the message names row or column."""


@dataclass(frozen=True)
class PoolTable:
    """The rows of all shards by rising source_row; every array is (N,).

    Attributes:
        source_row: int64, distinct.
        shard: int32, position in `shards`.
        high, low: uint64, the two halves of the uid.
        repeated: bool, whether an earlier row has the same uid, made of the same url and text.
        shards: keys.
    """

    source_row: np.ndarray
    shard: np.ndarray
    high: np.ndarray
    low: np.ndarray
    repeated: np.ndarray
    shards: list[str]

    def __len__(self) -> int:
        return len(self.source_row)

    def aligned(self, frame: pl.LazyFrame, column: str) -> pl.Series:
        """(N,) a column of a table of all shards, by source_row; null where the table lacks the row."""
        found = frame.select("source_row", value=column).collect(engine="streaming").sort("source_row")
        if found.height == len(self) and np.array_equal(found["source_row"].to_numpy(), self.source_row):
            return found["value"]
        rows = pl.DataFrame({"source_row": self.source_row})
        return rows.join(found, on="source_row", how="left", maintain_order="left")["value"]

    def order(self, rows: np.ndarray, *keys: np.ndarray) -> np.ndarray:
        """(M,) positions `rows` sorted by the (N,) keys, the first the weightiest, then by uid and source_row."""
        ranked = (self.source_row, self.low, self.high, *reversed(keys))
        return rows[np.lexsort([key[rows] for key in ranked])]

    def positions(self, source_rows: np.ndarray) -> np.ndarray:
        """Where source rows are in this table.

        Raises:
            BrokenInvariant: one is not there.
        """
        at = np.searchsorted(self.source_row, source_rows)
        if len(at) and (at.max() >= len(self) or not np.array_equal(self.source_row[at], source_rows)):
            raise BrokenInvariant("a table of the pool has rows that source_rows lacks: make it again")
        return at

    def uids(self, rows: slice) -> pl.Series:
        """32 lower-case hex digits each."""
        return uid_digits(self.high[rows], self.low[rows])


def read_pool(source_rows: Shards) -> PoolTable:
    """The rows of all shards.

    A row without a uid gets the first 128 bits of the sha256 of its url (else its locator), a line feed and its text.

    Raises:
        UnusablePool: a uid is not 32 lower-case hex digits, two rows have one, or there are no rows.
    """
    parts = [_of_shard(source_rows[key], number, key) for number, key in enumerate(source_rows.keys)]
    rows = pl.concat(parts).sort("source_row") if parts else pl.DataFrame()
    if rows.is_empty():
        raise UnusablePool("the pool has no rows: look at --source")
    high, low, made = rows["high"].to_numpy(), rows["low"].to_numpy(), rows["made"].to_numpy()
    source_row = rows["source_row"].to_numpy()
    repeated = _repeated(source_row, high, low, made)
    return PoolTable(source_row, rows["shard"].to_numpy(), high, low, repeated, list(source_rows.keys))


def uid_digits(high: np.ndarray, low: np.ndarray) -> pl.Series:
    """(N,) uint64 halves -> (N,) uids, leading zeros with them."""
    pairs = np.ascontiguousarray(np.stack([high, low], axis=1).astype(">u8"))
    return pl.Series("uid", np.frombuffer(pairs.tobytes().hex().encode(), "S32").astype("U32"), pl.String)


def uid_halves(uids: pl.Series) -> tuple[np.ndarray, np.ndarray]:
    """(N,) uids of 32 hex digits -> their first and last 64 bits, (N,) uint64 each."""
    frame = uids.to_frame("uid").select(**HALVES)
    return frame["high"].to_numpy(), frame["low"].to_numpy()


def _of_shard(source_rows: pl.LazyFrame, number: int, key: str) -> pl.DataFrame:
    rows = source_rows.select("source_row", "uid").collect()
    wrong = rows.filter(~pl.col("uid").str.contains(UID))
    if wrong.height:
        row, uid = wrong.row(0)
        raise UnusablePool(
            f"row {row} of the source (shard {key}): the uid {uid!r} is not 32 lower-case hex digits, which lists of "
            "uids are made of: mend it, or name another column with source.columns"
        )
    made = rows["uid"].is_null()
    if made.any():
        rows = rows.with_columns(uid=pl.coalesce("uid", pl.Series(list(_made_uids(source_rows)))))
    high, low = uid_halves(rows["uid"])
    shard = pl.lit(number, pl.Int32)
    return rows.select("source_row", shard=shard, high=pl.Series(high), low=pl.Series(low), made=made)


def _made_uids(source_rows: pl.LazyFrame) -> Iterator[str]:
    place = source_rows.select(pl.coalesce("url", "locator", pl.lit("")), pl.col("text").fill_null(""))
    for url, text in place.collect().iter_rows():
        yield hashlib.sha256(f"{url}\n{text}".encode()).hexdigest()[:32]


def _repeated(source_row: np.ndarray, high: np.ndarray, low: np.ndarray, made: np.ndarray) -> np.ndarray:
    """(N,) bool: whether a row before has the same uid."""
    order = np.lexsort((source_row, low, high))
    same = (high[order][1:] == high[order][:-1]) & (low[order][1:] == low[order][:-1])
    both_made = made[order][1:] & made[order][:-1]
    given = np.flatnonzero(same & ~both_made)
    if len(given):
        first, second = order[given[0]], order[given[0] + 1]
        raise UnusablePool(
            f"rows {source_row[first]} and {source_row[second]} of the source have the uid "
            f"{uid_digits(high[[first]], low[[first]])[0]} (and {len(given) - 1} more pairs): uids are to be unique; "
            "leave out one of them, or name another column with source.columns"
        )
    repeated = np.zeros(len(order), bool)
    repeated[order[1:][same]] = True
    return repeated

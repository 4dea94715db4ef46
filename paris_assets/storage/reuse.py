"""Keep rows that were computed before under the same code and settings; compute only the missing ones."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Sequence

import polars as pl

BLOCK_ROWS = 512


def reuse_rows(
    wanted: pl.DataFrame,
    previous: pl.LazyFrame | None,
    compute: Callable[[pl.DataFrame], Iterable[pl.DataFrame]],
    on: Sequence[str] = ("image_id",),
) -> Iterator[pl.DataFrame]:
    """Rows for ``wanted``, sorted by image_id, equal to those of a fresh computation.

    Args:
        wanted: distinct image_ids, sorted, with whatever ``compute`` needs.
        previous: rows made before under the same fingerprint, or None.
        compute: makes rows, sorted by image_id, for a part of ``wanted``; at least one chunk, which may be empty.
        on: columns that decide whether an earlier row is the same; all of them are columns of ``previous``.
    """
    if previous is None:
        yield from compute(wanted)
        return
    keys = list(on)
    kept = wanted.select(keys).join(previous.select(keys).collect(), on=keys, how="semi", nulls_equal=True)
    missing = wanted.join(kept, on=keys, how="anti", nulls_equal=True)
    if missing.height == wanted.height:
        yield from compute(wanted)
        return
    yield previous.head(0).collect()
    fresh = _Buffered(compute(missing) if missing.height else ())
    for block in wanted.iter_slices(BLOCK_ROWS):
        low, high = block["image_id"][0], block["image_id"][-1]
        within = previous.filter(pl.col("image_id").is_between(pl.lit(low), pl.lit(high))).collect()
        old = within.join(kept, on=keys, how="semi", nulls_equal=True)
        yield pl.concat([old, *fresh.up_to(high)]).sort("image_id")


class _Buffered:
    """Chunks of sorted rows, handed out up to an image_id."""

    def __init__(self, chunks: Iterable[pl.DataFrame]) -> None:
        self._chunks = iter(chunks)
        self._rest: pl.DataFrame | None = None

    def up_to(self, image_id: str) -> list[pl.DataFrame]:
        taken = []
        while (chunk := self._rest if self._rest is not None else next(self._chunks, None)) is not None:
            taken.append(chunk.filter(pl.col("image_id") <= image_id))
            rest = chunk.filter(pl.col("image_id") > image_id)
            self._rest = rest if rest.height else None
            if rest.height:
                break
        return taken

"""Text embeddings of true tokens only: rows of their own lengths, as tables hold them and as training pads them."""

from __future__ import annotations

from collections.abc import Iterable, Sequence

import numpy as np
import polars as pl

WIDTH = np.dtype("<f2")


def packed(rows: Iterable[np.ndarray]) -> pl.Series:
    """(tokens, dim) arrays of any lengths -> Binary: their float16 values, little-endian, token after token."""
    return pl.Series([np.ascontiguousarray(row, WIDTH).tobytes() for row in rows], dtype=pl.Binary)


def unpacked(column: pl.Series, tokens: Sequence[int] | pl.Series) -> list[np.ndarray]:
    """Binary rows of ``packed``, and how many tokens each has -> (tokens, dim) float16 arrays, read-only.

    Raises:
        ValueError: bytes that are not so many tokens of one width; names the row.
    """
    arrays = []
    for row, (data, count) in enumerate(zip(column, tokens, strict=True)):
        if count < 1 or not data or len(data) % (count * WIDTH.itemsize):
            raise ValueError(f"row {row} holds {len(data or b'')} bytes, which are not {count} tokens of float16")
        arrays.append(np.frombuffer(data, WIDTH).reshape(count, -1))
    return arrays


def padded(rows: Sequence[np.ndarray], tokens: int | None = None) -> tuple[np.ndarray, np.ndarray]:
    """What a network is fed: rows padded on the right with exact zeros, and where they are true.

    Args:
        rows: (n, dim) arrays of one dtype and any lengths, at least one.
        tokens: length of all; None: that of the longest. The empty prompt is padded as any other row.

    Returns:
        (N, tokens, dim) of the rows' dtype; (N, tokens) bool mask: position < n.

    Raises:
        ValueError: a row is longer than ``tokens``, of another width than the first, or there is none.
    """
    if not len(rows):
        raise ValueError("there is no row to pad, so its width is unknown")
    longest, widths = max(len(row) for row in rows), {row.shape[1:] for row in rows}
    if len(widths) > 1:
        raise ValueError(f"rows of one batch have the widths {', '.join(map(str, sorted(widths)))}")
    length = longest if tokens is None else tokens
    if longest > length:
        raise ValueError(f"a row has {longest} tokens, more than the {length} that rows are padded to")
    values = np.zeros((len(rows), length, *widths.pop()), rows[0].dtype)
    for at, row in enumerate(rows):
        values[at, : len(row)] = row
    counts = np.array([len(row) for row in rows])
    return values, np.arange(length) < counts[:, None]


def masked_mean(rows: Sequence[np.ndarray]) -> np.ndarray:
    """(n, dim) arrays of true tokens -> (N, dim) float32: of each the mean over its tokens, summed in float64."""
    return np.stack([row.astype(np.float64).mean(0) for row in rows]).astype(np.float32)

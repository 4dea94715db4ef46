"""64-bit hashes of texts that are the same on every machine, unlike those of a table's library, and draws by them."""

from __future__ import annotations

import numpy as np
import polars as pl

from paris_assets.compiled import compiled
from paris_assets.pool.drawn import mixed


def text_hash(texts: pl.Series) -> np.ndarray:
    """(n) strings, none null -> (n,) uint64: FNV-1a (Fowler, Noll and Vo) of their UTF-8 bytes, mixed by ``mixed``."""
    if texts.is_empty():
        return np.empty(0, np.uint64)
    array = texts.rechunk().to_arrow(compat_level=pl.CompatLevel.oldest())
    offsets = np.frombuffer(array.buffers()[1], np.int64)[array.offset : array.offset + len(array) + 1]
    held = array.buffers()[2]
    data = np.frombuffer(held, np.uint8) if held is not None and held.size else np.zeros(1, np.uint8)
    return mixed(_fnv1a(data, offsets))


def drawn(hashes: np.ndarray, seed: int) -> np.ndarray:
    """(n,) uint64 -> (n,) uint64, another order of them for each seed."""
    return mixed(hashes ^ mixed(np.array([seed % (1 << 64)], np.uint64)))


@compiled
def _fnv1a(data: np.ndarray, offsets: np.ndarray) -> np.ndarray:
    found = np.empty(len(offsets) - 1, np.uint64)
    for row in range(len(found)):
        value = np.uint64(0xCBF29CE484222325)
        for place in range(offsets[row], offsets[row + 1]):
            value = (value ^ np.uint64(data[place])) * np.uint64(0x100000001B3)
        found[row] = value
    return found

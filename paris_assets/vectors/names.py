"""Vectors by the names of their images."""

from __future__ import annotations

import numpy as np
import polars as pl


def positions(names: pl.Series, some: pl.Series) -> tuple[np.ndarray, np.ndarray]:
    """Where each of some names would stand among sorted ones (n,) int64, and whether it does (n,) bool."""
    if not len(names):
        return np.zeros(len(some), np.int64), np.zeros(len(some), bool)
    places = names.search_sorted(some).clip(0, len(names) - 1).to_numpy().astype(np.int64)
    return places, (names.gather(places) == some).to_numpy()

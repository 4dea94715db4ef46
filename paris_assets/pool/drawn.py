"""Exact shares, and chance that depends on a row's uid and a seed alone: the same in any order, on any machine."""

from __future__ import annotations

import hashlib
from fractions import Fraction

import numpy as np


def share_of(count: int, share: float) -> int:
    """Exactly floor(share * count), the share as it is written: 0.29 * 100 is less than 29 in floating point."""
    return int(Fraction(str(share)) * count)


def lots(high: np.ndarray, low: np.ndarray, seed: int, purpose: str) -> np.ndarray:
    """(N,) uint64 lots of uids, which may have any pattern, as good as random; others for each seed and purpose."""
    digest = hashlib.sha256(f"{seed}\n{purpose}".encode()).digest()
    return mixed(mixed(high ^ np.uint64(int.from_bytes(digest[:8]))) ^ low ^ np.uint64(int.from_bytes(digest[8:16])))


def chances(lots_: np.ndarray) -> np.ndarray:
    """(N,) lots as float64, 0 to below 1."""
    return (lots_ >> np.uint64(11)).astype(np.float64) * 2.0**-53


def random_rows(rows: np.ndarray, high: np.ndarray, low: np.ndarray, count: int, seed: int, purpose: str) -> np.ndarray:
    """(count,) of the positions `rows`, those with the smallest lots, ties by uid."""
    drawn = lots(high[rows], low[rows], seed, purpose)
    return rows[np.lexsort((low[rows], high[rows], drawn))[:count]]


def control_purpose(number: int, subset: str = "selection") -> str:
    """What the lots of a random control are for."""
    return f"control {number} of {subset}"


def mixed(values: np.ndarray) -> np.ndarray:
    """(n,) uint64 -> (n,) uint64, a bijection in which every bit depends on all: SplitMix64 (Steele et al. 2014)."""
    value = values + np.uint64(0x9E3779B97F4A7C15)
    value = (value ^ (value >> np.uint64(30))) * np.uint64(0xBF58476D1CE4E5B9)
    value = (value ^ (value >> np.uint64(27))) * np.uint64(0x94D049BB133111EB)
    return value ^ (value >> np.uint64(31))

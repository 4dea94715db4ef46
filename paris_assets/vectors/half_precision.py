"""What can be said of half-precision vectors by their bits alone: which are vectors at all, and a key of each."""

from __future__ import annotations

from typing import Any

import numpy as np

from paris_assets.compiled import compiled

GOOD, ZERO, NOT_FINITE = 0, 1, 2


@compiled
def faults(bits: np.ndarray, ends: np.ndarray) -> np.ndarray:
    """(N,) uint8 ``GOOD``, ``ZERO`` where a part has no direction, or ``NOT_FINITE``.

    Args:
        bits: (N, D) uint16 of float16.
        ends: where each part of a row ends.
    """
    found = np.zeros(len(bits), np.uint8)
    for i in range(len(bits)):
        row, begin = bits[i], 0
        for end in ends:
            most = np.uint16(0)
            for d in range(begin, end):
                most = max(most, np.uint16(row[d] & 0x7FFF))
            found[i] = max(found[i], 2 if most >= 0x7C00 else 1 if most == 0 else 0)
            begin = end
    return found


@compiled
def _mixed(value: Any) -> Any:
    """The finaliser of SplitMix64 (Steele, Lea & Flood 2014)."""
    value = (value ^ (value >> np.uint64(30))) * np.uint64(0xBF58476D1CE4E5B9)
    value = (value ^ (value >> np.uint64(27))) * np.uint64(0x94D049BB133111EB)
    return value ^ (value >> np.uint64(31))


@compiled
def hashes(bits: np.ndarray, seed: int) -> np.ndarray:
    """(N,) uint64 of (N, D) uint16: equal for equal rows, and random in all else."""
    found = np.empty(len(bits), np.uint64)
    for i in range(len(bits)):
        row = bits[i]
        total = np.uint64(seed) + np.uint64(0x9E3779B97F4A7C15)
        for d in range(len(row)):
            total = _mixed(total ^ np.uint64(row[d])) + np.uint64(0x9E3779B97F4A7C15)
        found[i] = total
    return found


@compiled
def _again(hashed: np.ndarray, order: np.ndarray) -> np.ndarray:
    found, times = np.empty(len(hashed), np.uint64), np.uint64(0)
    for i in range(len(order)):
        same = i > 0 and hashed[order[i]] == hashed[order[i - 1]]
        times = times + np.uint64(1) if same else np.uint64(0)
        found[order[i]] = _mixed(hashed[order[i]] ^ _mixed(times + np.uint64(1)))
    return found


def keys(hashed: np.ndarray) -> np.ndarray:
    """(N,) uint64 that differ between equal rows, too: the smallest are a uniform sample of the rows.

    Which vectors it holds, and how often, depends on nothing but the vectors that are there: not on their order, nor on
    files.
    """
    return _again(hashed, np.argsort(hashed, kind="stable"))

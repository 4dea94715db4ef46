"""Seconds to find all pairs of 64-bit hashes within a radius: ours against faiss and numpy. All find the same pairs.

Run: `python -m paris_assets_tests.benchmarks.bench_duplicates [hashes] [radius]`
"""

from __future__ import annotations

import sys
import time
from collections.abc import Callable

import faiss
import numpy as np

from paris_assets.curation.hamming import choose_chunks, close_pairs


def hashes_with_copies(count: int) -> np.ndarray:
    """Uniform hashes, a fifth of them copies with up to 8 bits flipped, ascending."""
    random = np.random.default_rng(0)
    hashes = random.integers(0, 2**64, count, dtype=np.uint64)
    copies = hashes[: count // 5].copy()
    for _ in range(8):
        copies ^= np.uint64(1) << random.integers(0, 64, len(copies)).astype(np.uint64)
    return np.unique(np.concatenate([hashes[: count - len(copies)], copies]))


def ours(hashes: np.ndarray, radius: int) -> int:
    """Pairs found by close_pairs."""
    return sum(len(block[0]) for block in close_pairs(hashes, radius))


def numpy_rows(hashes: np.ndarray, radius: int) -> int:
    """Each hash against all later ones, one numpy call per hash."""
    return sum(int((np.bitwise_count(hashes[i + 1 :] ^ hashes[i]) <= radius).sum()) for i in range(len(hashes) - 1))


def faiss_flat(hashes: np.ndarray, radius: int) -> int:
    """IndexBinaryFlat.range_search finds each pair twice, and each hash itself; its radius is exclusive."""
    index = faiss.IndexBinaryFlat(64)
    vectors = hashes.view(np.uint8).reshape(-1, 8)
    index.add(vectors)
    return (int(index.range_search(vectors, radius + 1)[0][-1]) - len(hashes)) // 2


def faiss_multi_hash(hashes: np.ndarray, radius: int) -> int:
    """IndexBinaryMultiHash with 4 tables of 16 bits, probed as far as exactness demands."""
    index = faiss.IndexBinaryMultiHash(64, 4, 16)
    index.nflip = radius // 4
    vectors = hashes.view(np.uint8).reshape(-1, 8)
    index.add(vectors)
    limits, _, found = index.range_search(vectors, radius + 1)
    pairs = np.stack([np.repeat(np.arange(len(hashes)), np.diff(limits).astype(np.int64)), found])
    return len(np.unique(pairs[:, pairs[0] < pairs[1]], axis=1).T)


def main(count: int, radius: int) -> None:
    """Print seconds, pairs and the ratio to ours."""
    hashes = hashes_with_copies(count)
    methods: dict[str, Callable[[np.ndarray, int], int]] = {
        "ours": ours, "faiss MultiHash": faiss_multi_hash, "faiss Flat": faiss_flat, "numpy row by row": numpy_rows
    }  # fmt: skip
    print(f"{len(hashes)} hashes, radius {radius}; ours cuts them into {choose_chunks(len(hashes), radius)} chunks")
    reference = None
    for name, method in methods.items():
        if count > 200_000 and method in (faiss_flat, numpy_rows):
            continue
        start = time.perf_counter()
        pairs = method(hashes, radius)
        seconds = time.perf_counter() - start
        reference = reference or (seconds, pairs)
        if pairs != reference[1]:
            raise SystemExit(f"{name} finds {pairs} pairs, ours {reference[1]}")
        print(f"{name:18} {seconds:8.2f} s   {pairs} pairs   {seconds / reference[0]:6.1f} x ours")


if __name__ == "__main__":
    main(*(int(value) for value in (sys.argv[1:] + ["50000", "10"][len(sys.argv) - 1 :])))

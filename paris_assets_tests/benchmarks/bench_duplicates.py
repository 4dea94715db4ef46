"""Seconds to find all pairs of 64-bit hashes within a radius: ours against faiss and numpy. All find the same pairs.

Run: `python -m paris_assets_tests.benchmarks.bench_duplicates [--radius 8] [hashes ...]`

Each figure is of a process of its own, with its peak of memory; `core s` is the time of all cores together, which a
busy machine changes least. Clumped: 30 % of the hashes are few bits from one of some centres, a thousand from each, as
those of flat pictures and of pages of text are. Few: a million flat pictures with 500 hashes.
"""

from __future__ import annotations

import argparse
import json
import resource
import subprocess
import sys
import time

import faiss
import numpy as np

from paris_assets.curation.hamming import choose_chunks, close_pairs
from paris_assets_tests.curation.numpy_pairs import indexed_pairs

COUNTS = (100_000, 300_000, 1_000_000, 3_000_000, 11_000_000)
MOST = {"faiss MultiHash": 100_000, "faiss Flat": 100_000, "numpy": 1_000_000}
"""Hashes beyond which a method takes too long."""
CLUMP = 1000  # hashes about one centre


def uniform(count: int) -> np.ndarray:
    """Uniform hashes, a fifth of them copies with up to 8 bits flipped, ascending."""
    random = np.random.default_rng(0)
    hashes = random.integers(0, 2**64, count, dtype=np.uint64)
    copies = hashes[: count // 5].copy()
    _flip(copies, 8, random)
    return np.unique(np.concatenate([hashes[: count - len(copies)], copies]))


def clumped(count: int) -> np.ndarray:
    """As above, but 30 % are 8 flips from one of some centres."""
    random = np.random.default_rng(1)
    crowd = np.repeat(random.integers(0, 2**64, max(1, count * 3 // 10 // CLUMP), dtype=np.uint64), CLUMP)
    _flip(crowd, 8, random)
    return np.unique(np.concatenate([uniform(count - len(crowd)), crowd]))


def few(count: int) -> np.ndarray:
    """What is left of so many flat pictures: `np.unique` collapses equal hashes before any search."""
    random = np.random.default_rng(2)
    return np.unique(random.integers(0, 2**64, 500, dtype=np.uint64)[random.integers(0, 500, count)])


def _flip(hashes: np.ndarray, times: int, random: np.random.Generator) -> None:
    for _ in range(times):
        hashes ^= np.uint64(1) << random.integers(0, 64, len(hashes)).astype(np.uint64)


def ours(hashes: np.ndarray, radius: int) -> int:
    """Pairs found by close_pairs."""
    return sum(len(block[0]) for block in close_pairs(hashes, radius))


def numpy_index(hashes: np.ndarray, radius: int) -> int:
    """The same search in numpy, on one thread."""
    chunks = 3 if len(hashes) > 500_000 else 4
    return sum(len(block[0]) for block in indexed_pairs(hashes, radius, chunks))


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


METHODS = {"ours": ours, "faiss MultiHash": faiss_multi_hash, "faiss Flat": faiss_flat, "numpy": numpy_index}
KINDS = {"uniform": uniform, "clumped": clumped, "few": few}


def measure(kind: str, count: int, radius: int, method: str) -> None:
    """Print figures of one method as JSON, less what making the hashes took."""
    list(close_pairs(uniform(10_000), radius))  # loads what is compiled
    hashes = KINDS[kind](count)
    start, spent = time.perf_counter(), time.process_time()
    pairs = METHODS[method](hashes, radius)
    seconds, core_seconds = time.perf_counter() - start, time.process_time() - spent
    peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss >> 10
    chunks = len(choose_chunks(hashes, radius))
    figures = {"hashes": len(hashes), "pairs": pairs, "s": seconds, "core_s": core_seconds, "mib": peak}
    print(json.dumps({**figures, "chunks": chunks}))


def main(counts: list[int], radius: int) -> None:
    """Print the table."""
    print(f"radius {radius} bits, {len(METHODS)} methods on this machine")
    print(f"{'hashes':>22} {'method':16} {'s':>9} {'core s':>9} {'peak MiB':>9} {'pairs':>12}")
    for kind, count in [(kind, count) for count in counts for kind in KINDS if kind != "few" or count == 1_000_000]:
        expected = None
        for method in METHODS:
            if count > MOST.get(method, count) or (kind != "uniform" and method != "ours"):
                continue
            asked = [sys.executable, "-m", __spec__.name, "--one", kind, method, "--radius", str(radius), str(count)]
            found = json.loads(subprocess.run(asked, check=True, capture_output=True, text=True).stdout)
            expected = expected or found["pairs"]
            if found["pairs"] != expected:
                raise SystemExit(f"{method} finds {found['pairs']} pairs, ours {expected}")
            said = f"ours, {found['chunks']} chunks" if method == "ours" else method
            figures = f"{found['s']:9.2f} {found['core_s']:9.2f} {found['mib']:9,} {found['pairs']:12,}"
            print(f"{kind:>9} {found['hashes']:12,} {said:16} {figures}", flush=True)


if __name__ == "__main__":
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("counts", nargs="*", type=int, default=COUNTS)
    parser.add_argument("--radius", type=int, default=8)
    parser.add_argument("--one", nargs=2, metavar=("KIND", "METHOD"))
    given = parser.parse_args()
    if given.one:
        measure(given.one[0], given.counts[0], given.radius, given.one[1])
    else:
        main(given.counts, given.radius)

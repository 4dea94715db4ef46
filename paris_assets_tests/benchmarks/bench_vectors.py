"""The nearest of stored vectors and all close pairs, ours against faiss's flat index: all are exact.

Run: `python -m paris_assets_tests.benchmarks.bench_vectors [vectors] [vectors for pairs]`

Vectors are made up, 512-d in half precision, with the falling spectrum and the common mean of CLIP's. Two threads each;
seconds of the wall clock and of the CPU, of which the latter depends less on the neighbours.
"""

from __future__ import annotations

import sys
import time
from collections.abc import Callable
from functools import partial
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

import faiss
import numpy as np
import polars as pl
import torch

from paris_assets.vectors.nearest import Nearest
from paris_assets.vectors.pairs import ClosePairs

DIMS, TOP, SHARD, THREADS = 512, 20, 10_000, 2
LEAST = (0.95, 0.9, 0.8)


def embeddings(count: int) -> np.ndarray:
    """(count, 512) float16, a twentieth of them copies with a little noise."""
    random = np.random.default_rng(0)
    spectrum = 1 / np.sqrt(1 + np.arange(DIMS) / 8)
    mean, found = random.standard_normal(DIMS) * spectrum, np.empty((count, DIMS), np.float16)
    for start in range(0, count, SHARD):
        rows = random.standard_normal((min(SHARD, count - start), DIMS)) * spectrum + mean
        copies = len(rows) // 20
        rows[:copies] = rows[-copies:] + 0.02 * random.standard_normal((copies, DIMS))
        found[start : start + SHARD] = rows
    return found


def units(rows: np.ndarray) -> np.ndarray:
    """float32 of length one, which faiss's inner products need."""
    wide = rows.astype(np.float32)
    return wide / np.linalg.norm(wide, axis=1, keepdims=True)


def indexed(vectors: np.ndarray) -> Any:
    """faiss's flat index of unit vectors, filled by shards."""
    index = faiss.IndexFlatIP(DIMS)
    for start in range(0, len(vectors), SHARD):
        index.add(units(vectors[start : start + SHARD]))
    return index


def shards(folder: Path, vectors: np.ndarray) -> list[Path]:
    """Parquet files as a root has them."""
    files = []
    for start in range(0, len(vectors), SHARD):
        rows = vectors[start : start + SHARD]
        names = [f"{start + row:032x}" for row in range(len(rows))]
        files.append(folder / f"{start}.parquet")
        table = pl.DataFrame({"image_id": names, "clip": rows})
        table.write_parquet(files[-1], compression="uncompressed", statistics=False)
    return files


def searched(blocks: list[tuple[pl.Series, np.ndarray]], queries: np.ndarray) -> np.ndarray:
    """Positions of the nearest, by ours."""
    nearest = Nearest(queries, TOP)
    for image_ids, rows in blocks:
        nearest.add(image_ids, rows)
    return np.array([int(name, 16) for name in nearest.found()["image_id"]]).reshape(len(queries), TOP)


def timed(name: str, work: Callable[[], Any], repeats: int = 3) -> Any:
    """Print the best of several times; returns what the last gave."""
    best = [float("inf")] * 2
    for _ in range(repeats):
        wall, used = time.perf_counter(), time.process_time()
        result = work()
        best = [min(best[0], time.perf_counter() - wall), min(best[1], time.process_time() - used)]
    print(f"{name:58}{best[0]:9.2f}{best[1]:9.2f}", flush=True)
    return result


def search(count: int) -> None:
    """Searches of one, 16 and 256 queries, in memory and from files."""
    vectors = embeddings(count)
    print(f"\nthe {TOP} nearest of {count:,} vectors{'':24}seconds    CPU s")
    index = timed("faiss IndexFlatIP: widening, normalising and adding", lambda: indexed(vectors), 1)
    names = pl.Series([f"{row:032x}" for row in range(count)])
    blocks = [(names[start : start + SHARD], vectors[start : start + SHARD]) for start in range(0, count, SHARD)]
    with TemporaryDirectory() as folder:
        files = shards(Path(folder), vectors)

        def read() -> list[tuple[pl.Series, np.ndarray]]:
            tables = (pl.read_parquet(file) for file in files)
            return [(table["image_id"], table["clip"].to_numpy()) for table in tables]

        for batch in (1, 16, 256):
            queries = vectors[:batch].astype(np.float32)
            _, places = timed(f"faiss IndexFlatIP, {batch} queries", partial(index.search, units(queries), TOP))
            ours = timed(f"ours, {batch} queries, in memory", partial(searched, blocks, queries))
            timed(f"ours, {batch} queries, from files", lambda asked=queries: searched(read(), asked), 1)
            agreed = (np.sort(ours) == np.sort(places)).mean()
            print(f"  {agreed:.2%} of the places are the same")


def pairs(count: int) -> None:
    """All pairs within several bounds."""
    vectors = embeddings(count)
    index, wide = indexed(vectors), units(vectors)
    print(f"\nall pairs of {count:,} vectors{'':34}seconds    CPU s")
    for least in LEAST:
        ours = timed(f"ours, cosine {least}", lambda bound=least: sum(map(len, ClosePairs(vectors, bound))), 1)
        limits, _, _ = timed(f"faiss range_search, {least}", partial(index.range_search, wide, least), 1)
        print(f"  {ours} pairs; faiss {(int(limits[-1]) - count) // 2}")


def main(count: int, pair_count: int) -> None:
    """Print both tables."""
    torch.set_num_threads(THREADS)
    faiss.omp_set_num_threads(THREADS)
    pairs(pair_count)
    search(count)


if __name__ == "__main__":
    main(*(int(value) for value in (sys.argv[1:] + ["200000", "30000"][len(sys.argv) - 1 :])))

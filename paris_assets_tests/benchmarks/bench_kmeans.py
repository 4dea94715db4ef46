"""k-means against scikit-learn's on three sets of vectors, and streamed from a file of half precision.

Run: python -m paris_assets_tests.benchmarks.bench_kmeans [--rows N] [--k K ...] [--data NAME ...] [--stream N ...]
    [--iterations I]

Parity: one run each, n_init 1, of float32 unit vectors of 768 dimensions that lie in memory: noisy groups (2,000 of
uneven size), heavy tails (Student's t with 2.5 degrees of freedom, scaled group by group), and real ones (local
features that EfficientNet gives for random crops of the sample photos, 49 a crop). Each contender is a process of its
own; seconds of its CPU, which depend less on the neighbours, and its peak memory beyond the vectors. Under `taskset -c
0` with OMP_NUM_THREADS=1 no thread spins.

Streamed: rows in a file of half precision, converted as they pass; wall and CPU seconds, peak of the memory that is the
process's own (`anonymous`), and of the pages of the file that the system kept for it (`file`), which it may drop.
"""

from __future__ import annotations

import argparse
import multiprocessing
import sys
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

import numpy as np
import torch
from sklearn.cluster import KMeans

from paris_assets.config import Model
from paris_assets.images.decode import decode_rgb
from paris_assets.models.device import place
from paris_assets.models.efficientnet import SIZE, load
from paris_assets.models.resize import square
from paris_assets.vectors.lloyd import k_means, k_means_of_rows
from paris_assets.vectors.rows import UnitHalves
from paris_assets_tests.models.photos import photos

DIMS, GROUPS, BLOCK = 768, 2000, 16_384
SPOTS = 49  # of EfficientNet's last feature map


def _groups(rng: np.random.Generator, n: int) -> tuple[np.ndarray, np.ndarray]:
    centres = rng.standard_normal((GROUPS, DIMS), dtype=np.float32)
    return centres, rng.choice(GROUPS, n, p=rng.dirichlet(np.ones(GROUPS)))


def noisy(n: int) -> Iterator[np.ndarray]:
    """Blocks of (n, 768) rows around 2,000 centres."""
    rng = np.random.default_rng(0)
    centres, groups = _groups(rng, n)
    for start in range(0, n, BLOCK):
        own = centres[groups[start : start + BLOCK]]
        yield own + np.float32(1.2) * rng.standard_normal(own.shape, dtype=np.float32)


def heavy(n: int) -> Iterator[np.ndarray]:
    """As `noisy`, with rare rows far out and groups of differing width."""
    rng = np.random.default_rng(0)
    centres, groups = _groups(rng, n)
    width = rng.lognormal(-0.3, 0.5, GROUPS).astype(np.float32)
    for start in range(0, n, BLOCK):
        own = groups[start : start + BLOCK]
        tail = np.sqrt(2.5 / rng.chisquare(2.5, len(own))).astype(np.float32)
        noise = rng.standard_normal((len(own), DIMS), dtype=np.float32)
        yield centres[own] + (width[own] * tail)[:, None] * noise


def real(n: int) -> Iterator[np.ndarray]:
    """The first 768 channels of local features of crops, until there are n."""
    network, rng = load(place(Model(implementation="efficientnet-lite0"))), np.random.default_rng(0)
    pictures = [decode_rgb(data, min_side=2 * SIZE, max_pixels=sys.maxsize) for _, data in photos()]
    done = 0
    while done < n:
        crops = [_crop(pictures[rng.integers(len(pictures))], rng) for _ in range(16)]
        pixels = (torch.from_numpy(np.stack(crops)).permute(0, 3, 1, 2).float() - 127) / 128
        with torch.inference_mode():
            maps = network.extract_features(pixels.to(next(network.parameters()).dtype)).float()
        found = maps.flatten(2).permute(0, 2, 1).reshape(-1, maps.shape[1])[: n - done, :DIMS].numpy()
        done += len(found)
        yield found


def _crop(rgb: np.ndarray, rng: np.random.Generator) -> np.ndarray:
    side = int(min(rgb.shape[:2]) * rng.uniform(0.3, 0.9))
    top, left = (int(rng.integers(length - side + 1)) for length in rgb.shape[:2])
    return square(rgb[top : top + side, left : left + side], SIZE, SIZE)


DATA: dict[str, Callable[[int], Iterator[np.ndarray]]] = {"noisy": noisy, "heavy": heavy, "real": real}


def write(path: Path, blocks: Iterator[np.ndarray], n: int, kind: type) -> None:
    """Unit vectors to a .npy file, shuffled by nothing: blocks are drawn at random already."""
    found, at = np.lib.format.open_memmap(path, "w+", kind, (n, DIMS)), 0
    for block in blocks:
        found[at : at + len(block)] = block / np.maximum(np.linalg.norm(block, axis=1, keepdims=True), 1e-6)
        at += len(block)
    if kind is np.float32:
        np.random.default_rng(1).shuffle(found)
    found.flush()


def inertia(vectors: np.ndarray, centroids: np.ndarray) -> float:
    """Sum of squared distances to the nearest centroid."""
    lengths, total = np.square(centroids).sum(axis=1), 0.0
    for start in range(0, len(vectors), BLOCK):
        block = vectors[start : start + BLOCK]
        apart = np.square(block).sum(axis=1) + (lengths - 2 * block @ centroids.T).min(axis=1)
        total += float(apart.sum(dtype=np.float64))
    return total


def held() -> dict[str, float]:
    """MB of memory that this process holds, by kind."""
    lines = (line.split() for line in Path("/proc/self/status").read_text().splitlines())
    return {words[0][:-1]: int(words[1]) / 1024 for words in lines if words[0] in ("RssAnon:", "RssFile:")}


@contextmanager
def watched() -> Iterator[dict[str, float]]:
    """Peaks of what this process holds, MB: `RssAnon` and `RssFile`, looked at twenty times a second."""
    peaks, over = held(), threading.Event()
    peaks["before"] = peaks["RssAnon"]

    def look() -> None:
        while not over.wait(0.05):
            peaks.update({name: max(peaks[name], value) for name, value in held().items()})

    watcher = threading.Thread(target=look)
    watcher.start()
    try:
        yield peaks
    finally:
        over.set()
        watcher.join()


def parity(path: Path, k: int, ours: bool, answer: Any) -> None:
    """One fit in a process of its own: CPU seconds, wall seconds, MB, inertia."""
    vectors = np.load(path)
    k_means(vectors[:4096], 4, None, 3, 1, [0])  # compiled before
    start, used = time.perf_counter(), time.process_time()
    with watched() as peaks:
        if ours:
            centroids = k_means(vectors, k, None, 50, 1, [0])
        else:
            centroids = KMeans(k, n_init=1, random_state=0).fit(vectors).cluster_centers_  # type: ignore[arg-type]
        times = time.process_time() - used, time.perf_counter() - start
    answer.put((*times, peaks["RssAnon"] - peaks["before"], inertia(vectors, centroids)))


def streamed(path: Path, k: int, iterations: int, answer: Any) -> None:
    """One fit of rows in a file: wall and CPU seconds, anonymous MB, MB of the file."""
    halves = np.load(path, mmap_mode="r+")
    k_means_of_rows(UnitHalves(halves[:4096], [DIMS]), 4, None, 3, 1, [0])
    start, used = time.perf_counter(), time.process_time()
    with watched() as peaks:
        k_means_of_rows(UnitHalves(halves, [DIMS]), k, None, iterations, 1, [0])
    answer.put((time.perf_counter() - start, time.process_time() - used, peaks["RssAnon"], peaks["RssFile"]))


def alone(work: Callable[..., None], *arguments: Any) -> tuple[float, ...]:
    """What work answers from a process of its own."""
    context = multiprocessing.get_context("spawn")
    answer = context.SimpleQueue()
    process = context.Process(target=work, args=(*arguments, answer))
    process.start()
    process.join()
    if process.exitcode:
        raise SystemExit(f"{work.__name__} ended with {process.exitcode}")
    return answer.get()


def main() -> None:
    parser = argparse.ArgumentParser()
    parser.add_argument("--rows", type=int, default=100_000)
    parser.add_argument("--k", type=int, nargs="*", default=[8, 256, 1024])
    parser.add_argument("--data", nargs="*", choices=DATA, default=list(DATA))
    parser.add_argument("--stream", type=int, nargs="*", default=[])
    parser.add_argument("--iterations", type=int, default=50, help="most of a streamed fit")
    asked = parser.parse_args()
    with TemporaryDirectory() as folder:
        path = Path(folder) / "vectors.npy"
        if not asked.stream:
            print("data       k   CPU s: ours  sklearn  ratio   s: ours  sklearn   MB: ours  sklearn   inertia")
        for name in [] if asked.stream else asked.data:
            write(path, DATA[name](asked.rows), asked.rows, np.float32)
            for k in asked.k:
                mine, theirs = (alone(parity, path, k, ours) for ours in (True, False))
                more = mine[3] / theirs[3] - 1
                print(
                    f"{name:6}{k:6}{mine[0]:14.1f}{theirs[0]:9.1f}{theirs[0] / mine[0]:7.1f}{mine[1]:10.1f}"
                    f"{theirs[1]:9.1f}{mine[2]:11.0f}{theirs[2]:9.0f}   {mine[3]:.1f} / {theirs[3]:.1f} = {more:+.2%}",
                    flush=True,
                )
        if asked.stream:
            print("     rows     k        s    CPU s   anonymous MB   file MB")
        for n in asked.stream:
            write(path, noisy(n), n, np.float16)
            for k in asked.k:
                wall, used, anonymous, file = alone(streamed, path, k, asked.iterations)
                print(f"{n:9}{k:6}{wall:9.1f}{used:9.1f}{anonymous:15.0f}{file:10.0f}", flush=True)


if __name__ == "__main__":
    main()

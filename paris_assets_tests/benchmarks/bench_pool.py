"""Seconds and memory of every asset that chooses rows, on made-up lists in the shape of DataComp's.

`python -m paris_assets_tests.benchmarks.bench_pool [rows ...] [--keep FOLDER]` (default 10000 100000 1000000) writes
tables with 768-d float16 vectors of captions and images beside them (3 kB a row) and runs the profile `datacomp-demo`
from `source_rows` to `pool_selection`, without an image. Each asset runs over all shards in a process of its own; its
memory is the peak of that process (VmHWM), imports included.

What is made up: 512 groups of vectors with captions of their own words, a sixteenth of them junk, 5 % copies; the score
of a row is the cosine of its two vectors as they are stored.
"""

from __future__ import annotations

import hashlib
import json
import subprocess
import sys
import tempfile
import time
from pathlib import Path

import numpy as np
import polars as pl

from paris_assets.config import Profile
from paris_assets.dag.graph import Graph
from paris_assets.definitions import asset_graph
from paris_assets.profiles import load_profile
from paris_assets.runs.run import Request
from paris_assets_tests.fixtures.direct import bring_up_to_date

DIM, FILE_ROWS, GROUPS, JUNK_GROUPS = 768, 100_000, 512, 32
SPREAD, COPIES = 0.8, 0.05
LAST = "pool_selection"
ROWS_PER_SHARD = 25_000


def make(folder: Path, rows: int) -> None:
    """Write tables and arrays, 100,000 rows a file."""
    folder.mkdir(parents=True)
    random = np.random.default_rng(0)
    centres = _unit(random.standard_normal((GROUPS, DIM), np.float32))
    words = np.array([f"w{number:x}" for number in random.integers(0, 1 << 20, (GROUPS, 40)).ravel()])
    for first in range(0, rows, FILE_ROWS):
        count = min(FILE_ROWS, rows - first)
        random = np.random.default_rng(first + 1)
        groups = random.integers(0, GROUPS, count)
        text = _near(centres[groups], random)
        image = _near(text.astype(np.float32) * random.random((count, 1), np.float32), random)
        copied = np.flatnonzero(random.random(count) < COPIES)
        image[copied] = image[copied // 2]
        stem = hashlib.sha256(str(first).encode()).hexdigest()[:32]
        np.savez(folder / f"{stem}.npz", l14_txt=text, l14_img=image)
        score = (text.astype(np.float32) * image).sum(1)
        _table(first, groups, words.reshape(GROUPS, -1), score, random).write_parquet(folder / f"{stem}.parquet")


def _table(
    first: int, groups: np.ndarray, words: np.ndarray, score: np.ndarray, random: np.random.Generator
) -> pl.DataFrame:
    """DataComp's columns; captions of the last groups are names of files."""
    count = len(groups)
    chosen = words[groups[:, None], random.integers(0, words.shape[1], (count, 7))]
    numbers = pl.Series(np.arange(first, first + count))
    spoken = pl.DataFrame({f"w{place}": chosen[:, place] for place in range(7)}).select(
        pl.concat_str(pl.lit("a photo of the"), *(f"w{place}" for place in range(7)), separator=" ")
    )
    names = pl.select(pl.format("IMG_{}.JPG", numbers)).to_series()
    uids = [hashlib.sha256(f"{number}".encode()).hexdigest()[:32] for number in range(first, first + count)]
    return pl.DataFrame(
        {
            "uid": uids,
            "url": pl.select(pl.format("http://photos.example/{}.jpg", numbers)).to_series(),
            "text": pl.select(
                pl.when(pl.Series(groups >= GROUPS - JUNK_GROUPS)).then(names).otherwise(spoken.to_series())
            ).to_series(),
            "original_width": random.integers(100, 2000, count),
            "original_height": random.integers(100, 2000, count),
            "clip_b32_similarity_score": score + random.normal(0, 0.02, count).astype(np.float32),
            "clip_l14_similarity_score": score,
            "face_bboxes": pl.Series([[]] * count, dtype=pl.List(pl.List(pl.Float64))),
            "sha256": [uid * 2 for uid in uids],
        }
    )


def _near(vectors: np.ndarray, random: np.random.Generator) -> np.ndarray:
    """(N, DIM) float16 of unit length, each about one of the given vectors."""
    noise = random.standard_normal(vectors.shape, np.float32) * np.float32(SPREAD / DIM**0.5)
    return _unit(vectors + noise).astype(np.float16)


def _unit(vectors: np.ndarray) -> np.ndarray:
    return vectors / np.linalg.norm(vectors, axis=1, keepdims=True)


def profile_of(source: Path) -> Profile:
    """The demo's settings on another list."""
    return load_profile(
        "datacomp-demo",
        {"source.path": str(source), "source.rows_per_shard": ROWS_PER_SHARD, "ingest.serve": None, "pool.probe": None},
    )


def choosing(graph: Graph) -> list[str]:
    """The assets up to the selection, in an order in which each comes after those it reads."""
    wanted, found = [LAST], set[str]()
    while wanted:
        name = wanted.pop()
        found.add(name)
        wanted += [other for other in graph[name].inputs if other in graph and other not in found]
    return [name for name in graph if name in found]


def measure(asset: str, source: Path, root: Path) -> dict[str, float]:
    """Seconds and peak MB of one asset over all shards, in a process of its own."""
    command = [sys.executable, "-m", __spec__.name, "--one", asset, str(source), str(root)]
    done = subprocess.run(command, check=True, stdout=subprocess.PIPE, text=True)
    return json.loads(done.stdout.splitlines()[-1])


def _one(asset: str, source: Path, root: Path) -> None:
    profile, start = profile_of(source), time.perf_counter()
    bring_up_to_date(profile, root, Request(select=(asset,)))
    status = Path("/proc/self/status").read_text()  # VmHWM does not start with the parent's peak, as ru_maxrss does
    peak = int(status.partition("VmHWM:")[2].split()[0]) / 1024
    print(json.dumps({"seconds": time.perf_counter() - start, "peak_mb": peak}))


def main(sizes: list[int], folder: Path) -> None:
    """Print the table."""
    print(f"{'asset':22}" + "".join(f" {rows:>10,} s {'peak MB':>9}" for rows in sizes))
    figures: dict[str, list[str]] = {}
    for rows in sizes:
        source = folder / f"{rows}"
        if not source.exists():
            make(source, rows)
        with tempfile.TemporaryDirectory(dir=folder) as root:
            for asset in choosing(asset_graph(profile_of(source))):
                found = measure(asset, source, Path(root))
                figures.setdefault(asset, []).append(f" {found['seconds']:12.1f} {found['peak_mb']:9.0f}")
                print(f"{rows:,} rows: {asset} {found['seconds']:.1f} s", file=sys.stderr, flush=True)
    for asset, columns in figures.items():
        print(f"{asset:22}" + "".join(columns))


if __name__ == "__main__":
    arguments = sys.argv[1:]
    if arguments[:1] == ["--one"]:
        _one(arguments[1], Path(arguments[2]), Path(arguments[3]))
    else:
        kept = Path(arguments.pop(arguments.index("--keep") + 1)) if "--keep" in arguments else None
        wanted = [int(argument) for argument in arguments if argument != "--keep"] or [10_000, 100_000, 1_000_000]
        with tempfile.TemporaryDirectory() as temporary:
            main(wanted, kept or Path(temporary))

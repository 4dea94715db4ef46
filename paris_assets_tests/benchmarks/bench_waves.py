"""What each wave of a run takes in this process and in 2 and 4 worker processes, and how soon its first shard begins.

Run: `python -m paris_assets_tests.benchmarks.bench_waves [--rows N] [--rows-per-shard N] [--workers 1 2 4]`

The demo's networks and settings on its sample list, or its first rows. `--workers 1` is the process of the command
itself. On a machine that others use, wall time says what they do; processor time says what a run costs.
"""

from __future__ import annotations

import argparse
import os
import subprocess
import sys
import tempfile
import time
from dataclasses import dataclass
from itertools import pairwise
from pathlib import Path

import polars as pl

from paris_assets.config import Profile
from paris_assets.demo.sample import sample_folder
from paris_assets.profiles import load_profile
from paris_assets.runs import command
from paris_assets.runs.command import run_command
from paris_assets.runs.progress import Partition, RunProgress
from paris_assets.runs.run import Request
from paris_assets_tests.benchmarks.process_tree import processor_seconds


@dataclass
class Wave:
    """A wave as it went: when it began, when the first of its partitions did, and what had been spent by then."""

    assets: tuple[str, ...]
    shards: int
    began: float
    spent: float
    first: float | None = None


class TimedProgress(RunProgress):
    """A run's progress, which keeps when waves begin."""

    waves: list[Wave]

    def begin_wave(self, assets: tuple[str, ...], partitions: list[Partition]) -> None:
        """A wave starts."""
        shards = len({shard for _, shard in partitions})
        self.waves.append(Wave(assets, shards, time.monotonic(), processor_seconds(os.getpid())))
        super().begin_wave(assets, partitions)

    def listen(self, asset: str, shard: str, event: str) -> None:
        """A partition starts or ends."""
        wave = self.waves[-1]
        wave.first = wave.first or time.monotonic()
        super().listen(asset, shard, event)


def measure(profile: Profile, root: Path, workers: int) -> list[Wave]:
    """The waves of a run on a fresh root, and one more that says when it ended."""
    TimedProgress.waves = []
    command.RunProgress = TimedProgress  # type: ignore[misc]
    asked, spent = time.monotonic(), processor_seconds(os.getpid())
    assert run_command(profile, str(root), Request(workers=workers), dry_run=False) == 0
    found = TimedProgress.waves
    before = Wave(("before the first wave",), 0, asked, spent, found[0].began)
    return [before, *found, Wave(("end",), 0, time.monotonic(), processor_seconds(os.getpid()))]


def main() -> None:
    """Measure each number of workers in turn."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--rows", type=int, help="of the sample list, by default all")
    parser.add_argument("--rows-per-shard", type=int, default=25)
    parser.add_argument("--workers", type=int, nargs="*", default=[1, 2, 4])
    options = parser.parse_args()
    if len(options.workers) > 1:  # each in a process of its own, whose fork server is new
        given = ["--rows-per-shard", str(options.rows_per_shard), *(["--rows", str(options.rows)] * bool(options.rows))]
        for workers in options.workers:
            subprocess.run([sys.executable, "-m", __spec__.name, *given, "--workers", str(workers)], check=True)
        return
    with tempfile.TemporaryDirectory() as name:
        folder, workers = Path(name), options.workers[0]
        rows = pl.read_parquet(sample_folder() / "photos.parquet")
        rows.head(options.rows or rows.height).write_parquet(folder / "list.parquet")
        small = {"source.path": str(folder / "list.parquet"), "source.rows_per_shard": options.rows_per_shard}
        profile = load_profile("demo", {**small, "ingest.serve": str(sample_folder())})
        waves = measure(profile, folder / "root", workers)
        print(f"--workers {workers}: shards, wall s, processor s, s to the first partition")
        for wave, after in pairwise(waves):
            what = wave.assets[0] if len(wave.assets) == 1 else f"{wave.assets[0]} to {wave.assets[-1]}"
            figures = f"{after.began - wave.began:8.1f} {after.spent - wave.spent:8.1f}"
            print(f"  {what:44} {wave.shards:3} {figures} {(wave.first or after.began) - wave.began:6.2f}", flush=True)


if __name__ == "__main__":
    main()

"""What it costs to have parts of steps over all shards done by tasks of a Ray cluster, beside threads of one process.

Run: `python -m paris_assets_tests.benchmarks.bench_spread --rows 300000 1000000 [--step hashes ...] [--workers 1 2]`

The cluster is on this machine: an actor of one core, which does parts too, and tasks of one core each beside it. Each
step is done first by one thread of the actor alone, then with so many workers, in the same process, twice, of which the
second counts: then all is loaded. `core s` is processor time of all processes of the cluster together. With fewer idle
cores than workers and one more, `s` says nothing of a cluster; `parts` were done by workers.
"""

from __future__ import annotations

import argparse
import os
import sys
import tempfile
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np

from paris_assets import compute
from paris_assets.compute import Compute
from paris_assets.curation.hamming import close_pairs
from paris_assets.runs.cluster import connected
from paris_assets.runs.parts import PartTasks
from paris_assets.runs.version import version_here
from paris_assets_tests.benchmarks.bench_global import STEPS, made_by, make
from paris_assets_tests.fixtures.ray_cluster import processes_of, ray_cluster

NODE, RADIUS = "127.0.0.2", 10
TICKS = os.sysconf("SC_CLK_TCK")
HASHES = "hashes"


class Counted(PartTasks):
    """At most so many places, and how many parts came back."""

    def __init__(self, most: int) -> None:
        super().__init__(version_here(), 1, lambda: None)
        self._most, self.came = most, 0

    def places(self) -> int:
        return min(self._most, super().places())

    def do(self, function: Callable[..., Any], shared: Any, part: Any, done: Callable[[], bool]) -> Any:
        found = super().do(function, shared, part, done)
        self.came += not done()
        return found


class Worker:
    """An actor that does a step with some others."""

    def work(self, step: str, rows: int, folder: Path, workers: int) -> tuple[float, int]:
        """Seconds, and parts that came from workers."""
        compute.LOOK_S = 0.05
        tasks = Counted(workers) if workers else None
        who, start = Compute(1, tasks, alone_s=0), time.monotonic()
        if step == HASHES:
            hashes = np.unique(np.random.default_rng(0).integers(0, 2**64, rows, np.uint64))
            for _ in close_pairs(hashes, RADIUS, who):
                pass
        else:
            for _ in made_by(step, folder, who):
                pass
        return time.monotonic() - start, tasks.came if tasks else 0


def core_s(folder: Path) -> dict[int, float]:
    """Processor seconds of each process of a cluster so far."""
    found = {}
    for process in processes_of(folder):
        try:
            fields = Path(f"/proc/{process}/stat").read_text().rpartition(")")[2].split()
        except OSError:
            continue
        found[process] = (int(fields[11]) + int(fields[12])) / TICKS
    return found


def main() -> None:
    """Print the table."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--rows", type=int, nargs="+", default=[300_000])
    parser.add_argument("--step", nargs="+", choices=[HASHES, *STEPS], default=[HASHES])
    parser.add_argument("--workers", type=int, nargs="+", default=[1, 2])
    parser.add_argument("--store-mb", type=int, default=4000, help="of Ray's object store, which lies in /dev/shm")
    given = parser.parse_args()
    print(f"{'step':12}{'rows':>12}{'workers':>9}{'parts':>8}{'s':>9}{'core s':>9}{'of alone':>10}")
    out = sys.stdout  # which is turned away while there is a cluster
    with ray_cluster() as nodes:
        nodes.add(NODE, cpus=1 + max(given.workers), store_mb=given.store_mb)
        with connected(nodes.address) as cluster, tempfile.TemporaryDirectory() as scratch:
            assert cluster is not None
            worker = cluster.ray.remote(num_cpus=1)(Worker).remote()
            for step in given.step:
                for rows in given.rows:
                    folder = Path(scratch) / f"{step}-{rows}"
                    folder.mkdir()
                    if step != HASHES:
                        make(folder, rows, 10_000, step)
                    alone = 0.0
                    for workers in (0, *given.workers):
                        cluster.ray.get(worker.work.remote(step, rows, folder, workers))
                        before = core_s(nodes.folder)
                        seconds, came = cluster.ray.get(worker.work.remote(step, rows, folder, workers))
                        after = core_s(nodes.folder)
                        spent = sum(value - before.get(process, 0.0) for process, value in after.items())
                        alone = alone or spent
                        times = f"{came:8,}{seconds:9.1f}{spent:9.1f}{spent / alone:10.2f}"
                        print(f"{step:12}{rows:12,}{workers:9}{times}", file=out, flush=True)


if __name__ == "__main__":
    main()

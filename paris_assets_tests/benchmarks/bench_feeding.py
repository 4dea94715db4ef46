"""A GPU whose node has few cores waits for pictures: rows per second with those of other nodes, beside what it takes.

Run: `python -m paris_assets_tests.benchmarks.bench_feeding [--takes 240] [--decoders 0 1 2] [--slow-ms 0]`

The GPU is simulated by waiting: it takes so many rows a second (an A40 takes 416 of DINOv2-L where it reaches 45 % of
its peak). Pictures are real: JPEGs of 640 px are decoded and resized for it by the actor's own core, and by tasks of
one core each on another node of a Ray cluster on this machine, to which files are sent and from which rows come back.
Each line is the second of two runs, of which the first loads what is needed; `core s` is processor time of all
processes of the cluster. With fewer idle cores than decoders and one more, lines say nothing of a cluster, unless
`--slow-ms` lets every picture take so much longer without a processor, as a larger one would take with it.
"""

from __future__ import annotations

import argparse
import sys
import time
from functools import partial

import numpy as np

from paris_assets import compute
from paris_assets.clusters.embedding import embed
from paris_assets.compute import Compute
from paris_assets.models.resize import square
from paris_assets.runs.cluster import connected
from paris_assets_tests.benchmarks.bench_gpu import many
from paris_assets_tests.benchmarks.bench_spread import Counted, core_s
from paris_assets_tests.fixtures.ray_cluster import ray_cluster

GPUS, CORES = "127.0.0.2", "127.0.0.3"


def slowly(rgb: np.ndarray, slow_s: float) -> np.ndarray:
    """The row of a picture that takes longer."""
    time.sleep(slow_s)
    return square(rgb, 256, 224)


class Waiting:
    """An embedder that takes so many rows a second, one batch after the other; two are in flight."""

    dim, name, batch_size, in_flight = 3, "waiting", 64, 2
    min_side: int | None = None

    def __init__(self, takes: float, slow_s: float) -> None:
        self._batch_s, self._free_at = self.batch_size / takes, 0.0
        self.preprocess = partial(slowly, slow_s=slow_s)

    def run(self, batch: np.ndarray) -> np.ndarray:
        self._free_at = max(self._free_at, time.monotonic()) + self._batch_s
        found = batch[:, 0, 0].astype(np.float32)
        time.sleep(max(0.0, self._free_at - time.monotonic()))
        return found

    def identity(self) -> dict[str, str | None]:
        return {"implementation": self.name}


class Worker:
    """The actor with the GPU, and one core."""

    def work(self, images: list[tuple[str, bytes]], takes: float, slow_s: float, decoders: int) -> tuple[float, int]:
        """Seconds, and parts that came from others."""
        compute.LOOK_S, compute.WINDOW_S = 0.05, 0.5
        tasks = Counted(decoders) if decoders else None
        who, start = Compute(1, tasks, alone_s=0, decoders=decoders), time.monotonic()
        rows = sum(frame.height for frame in embed(images, Waiting(takes, slow_s), who))
        assert rows == len(images)
        return time.monotonic() - start, tasks.came if tasks else 0


def main() -> None:
    """Print the table."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--takes", type=float, default=240, help="rows per second that the GPU takes")
    parser.add_argument("--decoders", type=int, nargs="+", default=[0, 1])
    parser.add_argument("--images", type=int, default=1500)
    parser.add_argument("--long-side", type=int, default=640, help="of the JPEGs, pixels")
    parser.add_argument("--slow-ms", type=float, default=0, help="that each takes without a processor")
    given = parser.parse_args()
    images = many(given.images, given.long_side)
    print(f"{given.images} JPEGs of {given.long_side} px, a GPU that takes {given.takes:g} rows/s")
    print(f"{'decoders':>8}{'rows/s':>9}{'of what it takes':>18}{'parts':>7}{'core s':>8}")
    out = sys.stdout  # which is turned away while there is a cluster
    with ray_cluster() as nodes:
        nodes.add(GPUS, cpus=1, gpus=1, store_mb=1000)
        nodes.add(CORES, cpus=max(1, *given.decoders), store_mb=1000)
        with connected(nodes.address) as cluster:
            assert cluster is not None
            worker = cluster.ray.remote(num_cpus=1, num_gpus=1)(Worker).remote()
            files = cluster.ray.put(images)
            for decoders in given.decoders:
                cluster.ray.get(worker.work.remote(files, given.takes, given.slow_ms / 1000, decoders))
                before = core_s(nodes.folder)
                seconds, came = cluster.ray.get(worker.work.remote(files, given.takes, given.slow_ms / 1000, decoders))
                spent = sum(value - before.get(process, 0.0) for process, value in core_s(nodes.folder).items())
                rate = given.images / seconds
                line = f"{decoders:8}{rate:9.0f}{rate / given.takes:18.0%}{came:7}{spent:8.1f}"
                print(line, file=out, flush=True)


if __name__ == "__main__":
    main()

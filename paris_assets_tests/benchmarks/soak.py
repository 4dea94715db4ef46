"""A long run of tiny shards: memory, file handles and threads of every process that works must not grow with shards.

Run: `python -m paris_assets_tests.benchmarks.soak [--shards 1000] [--workers N | --ray] [--s3]`

Pictures of 32 px, networks of a few lines, all assets. Every few seconds each process of the run is looked at: this one
(the driver), worker processes, and with `--ray` the actors and what a cluster of its own consists of. For each wave of
shards and process: what it held after a fifth, in the middle and at the end of its wave, and how much that grows in 100
shards, by least squares; then the driver's processor time per shard in the first, middle and last third of each wave.
Ends with status 1 where one of these grows beyond the bounds below. Ctrl-C ends it early, with what was seen.
"""

from __future__ import annotations

import argparse
import os
import subprocess
import sys
import tempfile
import threading
import time
from collections import defaultdict
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import NamedTuple
from urllib.request import urlopen

import numpy as np
import polars as pl

from paris_assets.runs.command import run_command
from paris_assets.runs.progress import Partition, RunProgress
from paris_assets.runs.run import Request
from paris_assets_tests.benchmarks.process_tree import command_line, descendants
from paris_assets_tests.fixtures import small_world
from paris_assets_tests.fixtures.ray_cluster import processes_of, ray_cluster

ROWS, SIDE = 3, 32
MIB_PER_100, HANDLES_PER_100, THREADS_PER_100 = 2.0, 0.5, 0.5
"""What a process may grow by in 100 shards: so little over a wave of 10,000 that no machine minds."""
DRIVER_GROWTH = 1.5
"""How much dearer a shard may be for the driver in the last third of a wave than in the first."""
WARM = 0.2
"""Share of a wave in which processes still fill what they keep: networks, connections, pages of the heap."""
FEWEST = 20
"""Looks at a process during a wave, below which nothing can be said of how it grows."""
OURS = ("driver", "worker", "actor")
"""Whose growth counts; what belongs to Ray itself is shown beside."""
ROLES = {"ray::Actor": "actor", "ray::Mailbox": "mailbox", "raylet/raylet": "raylet", "gcs_server": "head"}


class Look(NamedTuple):
    """A process at a moment; ``shards`` of the wave had ended then."""

    wave: int
    shards: int
    mib: float
    handles: int
    threads: int


@dataclass
class Soak:
    """What is seen of a run.

    Attributes:
        looks: (role, process) -> looks at it.
        spent: wave -> processor time of this process when each shard of it ended.
    """

    every_s: float
    folder: Path | None
    wave: int = -1
    shards: int = 0
    names: list[str] = field(default_factory=list)
    looks: dict[tuple[str, int], list[Look]] = field(default_factory=lambda: defaultdict(list))
    spent: dict[int, list[float]] = field(default_factory=lambda: defaultdict(list))
    _ended: threading.Event = field(default_factory=threading.Event)

    def begin_wave(self, assets: tuple[str, ...], partitions: list[Partition]) -> None:
        """A wave starts."""
        shards = {shard for _, shard in partitions}
        self.wave, self.shards = self.wave + 1, 0
        self.names.append(f"{assets[0]} to {assets[-1]}, {len(shards)} shards" if shards != {"all"} else "all")

    def end_shard(self) -> None:
        """A shard of this wave has ended."""
        self.shards += 1
        self.spent[self.wave].append(time.process_time())

    @contextmanager
    def watching(self) -> Iterator[None]:
        """Look at all processes every few seconds."""
        thread = threading.Thread(target=self._watch, daemon=True)
        thread.start()
        try:
            yield
        finally:
            self._ended.set()
            thread.join()

    def _watch(self) -> None:
        while not self._ended.wait(self.every_s):
            for process, role in self._processes().items():
                look = _look(process, self.wave, self.shards)
                if look is not None:
                    self.looks[role, process].append(look)

    def _processes(self) -> dict[int, str]:
        found = {one: "store" if "moto" in command_line(one) else "worker" for one in descendants(os.getpid())}
        for process in processes_of(self.folder) if self.folder else []:
            found[process] = next((role for start, role in ROLES.items() if start in command_line(process)), "of ray")
        return {os.getpid(): "driver", **found}


def _look(process: int, wave: int, shards: int) -> Look | None:
    try:
        status = Path(f"/proc/{process}/status").read_text()
        handles = len(os.listdir(f"/proc/{process}/fd"))
    except OSError:
        return None
    values = dict(line.split(":", 1) for line in status.splitlines())
    if "VmRSS" not in values:
        return None
    return Look(wave, shards, int(values["VmRSS"].split()[0]) / 1024, handles, int(values["Threads"]))


class WatchedProgress(RunProgress):
    """A run's progress, which the soak counts shards by."""

    soak: Soak

    def begin_wave(self, assets: tuple[str, ...], partitions: list[Partition]) -> None:
        """A wave starts."""
        self.soak.begin_wave(assets, partitions)
        super().begin_wave(assets, partitions)

    def end_task(self, shard: str, partitions: list[Partition]) -> None:
        """A shard has ended."""
        self.soak.end_shard()
        super().end_task(shard, partitions)


def source(path: Path, shards: int) -> Path:
    """A list that embeds its images."""
    count = shards * ROWS
    images = [small_world.picture(number, (SIDE, SIDE)) for number in range(count)]
    texts = [f"{number} is the number of this picture" for number in range(count)]  # not the same where cut
    rows = pl.DataFrame({"image": pl.Series(images, dtype=pl.Binary), "text": texts})
    rows.write_parquet(path, row_group_size=ROWS * 50)
    return path


def slope_per_100(shards: list[int], values: list[float]) -> float:
    """By least squares; 0 where all were looked at after the same shard."""
    at = np.asarray(shards, float)
    return float(np.polyfit(at, values, 1)[0] * 100) if np.ptp(at) else 0.0


def growth(soak: Soak) -> Iterator[tuple[str, list[Look], tuple[float, float, float]]]:
    """(process, its looks, growth in 100 shards of MiB, handles, threads) by wave of shards."""
    for (role, process), looks in sorted(soak.looks.items()):
        for wave, ends in soak.spent.items():
            # When the last shard has ended, the command looks at all of them, by many threads.
            seen = [look for look in looks if look.wave == wave and WARM * len(ends) < look.shards < len(ends)]
            if len(seen) < FEWEST or len(ends) < FEWEST:
                continue
            shards = [look.shards for look in seen]
            mib, handles, threads = (
                slope_per_100(shards, [float(value) for value in values])
                for values in list(zip(*seen, strict=True))[2:]
            )
            yield f"wave {wave} {role} {process}", seen, (mib, handles, threads)


def report(soak: Soak) -> bool:
    """Print the tables; whether anything grows beyond its bound."""
    bounds, failed = (MIB_PER_100, HANDLES_PER_100, THREADS_PER_100), False
    for wave, name in enumerate(soak.names):
        print(f"wave {wave}: {name}")
    print(f"{'':32} {'MiB':>20} {'handles':>14} {'threads':>14}   growth in 100 shards")
    for name, seen, slopes in growth(soak):
        first, middle, last = seen[0], seen[len(seen) // 2], seen[-1]
        held = [" / ".join(f"{value:.0f}" for value in values) for values in zip(first, middle, last, strict=True)][2:]
        ours = any(role in name for role in OURS)
        over = ours and any(slope > bound for slope, bound in zip(slopes, bounds, strict=True))
        failed |= over
        grows = f"{slopes[0]:+.2f} MiB {slopes[1]:+.2f} {slopes[2]:+.2f}{'  TOO MUCH' if over else ''}"
        print(f"{name:32} {held[0]:>20} {held[1]:>14} {held[2]:>14}   {grows}")
    for wave, ends in soak.spent.items():
        third = len(ends) // 3
        if third < FEWEST // 2:
            continue
        parts = [(ends[at + third - 1] - ends[at]) / (third - 1) * 1000 for at in (0, third, len(ends) - third)]
        over = parts[2] > DRIVER_GROWTH * parts[0]
        failed |= over
        said = " / ".join(f"{part:.1f}" for part in parts)
        print(f"wave {wave} driver: {said} ms of processor time per shard{'  TOO MUCH' if over else ''}")
    return failed


@contextmanager
def bucket(folder: Path) -> Iterator[str]:
    """An S3 root on moto's server, which is a process of its own."""
    log = folder / "moto.log"
    with open(log, "wb") as file:
        command = [sys.executable, "-c", "from moto.server import main; main(['-H', '127.0.0.1', '-p', '5757'])"]
        server = subprocess.Popen(command, stdout=file, stderr=file, start_new_session=True)
    try:
        given = {"AWS_ENDPOINT_URL": "http://127.0.0.1:5757", "AWS_ALLOW_HTTP": "true", "AWS_REGION": "us-east-1"}
        os.environ.update({**given, "AWS_ACCESS_KEY_ID": "test", "AWS_SECRET_ACCESS_KEY": "test"})
        for _ in range(600):
            if b"Running on" in log.read_bytes():
                break
            time.sleep(0.2)
        urlopen("http://127.0.0.1:5757", timeout=60).close()
        import boto3

        boto3.client("s3", region_name="us-east-1").create_bucket(Bucket="bucket")
        yield "s3://bucket/root"
    finally:
        server.kill()
        server.wait()


def main() -> int:
    """Soak, and print what was seen."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--shards", type=int, default=1000)
    parser.add_argument("--workers", type=int, default=1)
    parser.add_argument("--ray", action="store_true", help="on a Ray cluster of two nodes, which is started for it")
    parser.add_argument("--s3", action="store_true", help="the root on moto's S3 server")
    parser.add_argument("--select", default="", help="assets to make, by default all")
    parser.add_argument("--every", type=float, default=5.0, help="seconds between looks")
    options = parser.parse_args()
    with ExitStack() as stack:
        folder = Path(stack.enter_context(tempfile.TemporaryDirectory()))
        os.chdir(folder)
        url = stack.enter_context(bucket(folder)) if options.s3 else str(folder / "root")
        cluster = stack.enter_context(ray_cluster()) if options.ray else None
        for node in ("127.0.0.2", "127.0.0.3") if cluster else ():
            cluster.add(node)  # type: ignore[union-attr]
        list_of = source(folder / "list.parquet", options.shards)
        profile = small_world.profile(list_of, source__rows_per_shard=ROWS, ray__cpus=1)
        soak = Soak(options.every, cluster.folder if cluster else None)
        WatchedProgress.soak = soak
        from paris_assets.runs import command

        command.RunProgress = WatchedProgress  # type: ignore[misc]
        select = tuple(options.select.split(",")) if options.select else ()
        request = Request(select=select, workers=options.workers, ray=cluster.address if cluster else None)
        start = time.monotonic()
        try:
            with soak.watching():
                status = run_command(profile, url, request, dry_run=False)
        except KeyboardInterrupt:  # what was seen until then is worth as much
            status = 130
        print(f"{options.shards} shards, {time.monotonic() - start:.0f} s; status {status}")
        return 1 if report(soak) else status


if __name__ == "__main__":
    sys.exit(main())

"""What a shard costs beside its images: many tiny shards, embedded bytes, cheap networks, two workers.

Run: `python -m paris_assets_tests.benchmarks.bench_overhead [shards ...] [--select ASSETS] [--workers N]`

For each number of shards: seconds per shard, how much later tasks cost than early ones, memory of the largest worker
and of the parent, bytes of Dagster's event storage per shard, and the parent's share of the processor time. All of them
should stay flat per shard. `--storage dagster` runs with Dagster's own SQLite storages for comparison.
"""

from __future__ import annotations

import argparse
import os
import tempfile
import threading
import time
from collections import defaultdict
from dataclasses import dataclass, field
from pathlib import Path

import polars as pl

from paris_assets.config import Profile
from paris_assets.definitions import asset_graph
from paris_assets.planning.waves import waves
from paris_assets.runs import command, execution
from paris_assets.runs.command import run_command
from paris_assets.runs.run import Request, RunReport
from paris_assets.runs.task_report import TaskReport
from paris_assets_tests.fixtures import small_world

ROWS, DISTINCT = 4, 2000
SLICE = "source_rows,raw_images,image_signals"


def source(folder: Path, shards: int) -> Path:
    """Files of 1,000 shards with ROWS small pictures each; pictures repeat after DISTINCT."""
    folder.mkdir()
    pictures = [small_world.picture(number) for number in range(min(DISTINCT, shards * ROWS))]
    for file, first in enumerate(range(0, shards, 1000)):
        numbers = range(first * ROWS, min(shards, first + 1000) * ROWS)
        images = pl.Series([pictures[number % len(pictures)] for number in numbers], dtype=pl.Binary)
        rows = pl.DataFrame({"image": images, "text": [f"picture number {number}" for number in numbers]})
        rows.write_parquet(folder / f"{file:03d}.parquet", row_group_size=ROWS * 50)
    return folder


@dataclass
class Watch:
    """Peak memory and processor time of this process and of its descendants, sampled from /proc.

    A process is its number and the tick at which it started: numbers are used again.
    """

    memory: dict[tuple[int, str], int] = field(default_factory=dict)
    seconds: dict[tuple[int, str], float] = field(default_factory=dict)
    _ended: threading.Event = field(default_factory=threading.Event)

    def __enter__(self) -> Watch:
        self._thread = threading.Thread(target=self._sample, daemon=True)
        self._thread.start()
        return self

    def __exit__(self, *error: object) -> None:
        self._look()
        self._ended.set()
        self._thread.join()

    def _sample(self) -> None:
        while not self._ended.wait(2):
            self._look()

    def _look(self) -> None:
        ticks = os.sysconf("SC_CLK_TCK")
        parents: dict[int, int] = {}
        for entry in Path("/proc").iterdir():
            if not entry.name.isdigit():
                continue
            try:
                fields = (entry / "stat").read_text().rpartition(")")[2].split()
                status = (entry / "status").read_text()
            except (FileNotFoundError, ProcessLookupError):
                continue
            process, key = int(entry.name), (int(entry.name), fields[19])
            parents[process] = int(fields[1])
            if "VmHWM:" in status and (self._ours(process, parents) or key in self.memory):
                self.memory[key] = int(status.split("VmHWM:")[1].split()[0]) << 10
                self.seconds[key] = (int(fields[11]) + int(fields[12])) / ticks

    @staticmethod
    def _ours(process: int, parents: dict[int, int]) -> bool:
        while process and process != os.getpid():
            process = parents.get(process, 0)
        return bool(process)


def measure(shards: int, select: str, workers: int, folder: Path) -> None:
    """One run on a fresh root, and what it took."""
    profile = small_world.profile(source(folder / "source", shards), source__rows_per_shard=ROWS)
    root, reports = folder / "root", list[TaskReport]()
    kept = command.print_summary
    command.print_summary = lambda catalog, report, console: _keep(report, reports)  # type: ignore[assignment]
    start, own = time.monotonic(), time.process_time()
    request = Request(select=tuple(select.split(",")) if select else (), workers=workers)
    with Watch() as watch:
        assert run_command(profile, str(root), request, dry_run=False) == 0
    command.print_summary = kept
    wall, own = time.monotonic() - start, time.process_time() - own
    others = sum(seconds for (process, _), seconds in watch.seconds.items() if process != os.getpid())
    events = sum(file.stat().st_size for file in (root / ".dagster").glob("*.db*"))
    home = sum(file.stat().st_size for file in (root / ".dagster").rglob("*") if file.is_file())
    largest = max((peak for (process, _), peak in watch.memory.items() if process != os.getpid()), default=0)
    parent = max(peak for (process, _), peak in watch.memory.items() if process == os.getpid())
    print(
        f"{shards:6} shards: {wall / shards:.3f} s per shard ({wall:.0f} s), parent {own / (own + others):.0%} of "
        f"{(own + others) / shards:.3f} processor seconds per shard and {parent >> 20} MiB, largest "
        f"worker {largest >> 20} MiB, events {events / shards / 1024:.1f} KiB and Dagster home "
        f"{home / shards / 1024:.1f} KiB per shard"
    )
    for name, (first, last) in _drift(reports, profile).items():
        print(f"       {name}: a task takes {first:.3f} s in the first tenth, {last:.3f} s in the last")


def _keep(report: RunReport, reports: list[TaskReport]) -> None:
    reports.extend(report.tasks)


def _drift(reports: list[TaskReport], profile: Profile) -> dict[str, tuple[float, float]]:
    """Mean seconds of the first and the last tenth of the tasks of each wave of shards."""
    number = {asset: wave.number for wave in waves(asset_graph(profile)) if wave.partitioned for asset in wave.assets}
    by_wave: dict[int, list[TaskReport]] = defaultdict(list)
    for report in reports:
        if report.task.assets[0] in number:
            by_wave[number[report.task.assets[0]]].append(report)
    found = {}
    for wave, tasks in sorted(by_wave.items()):
        tenth = max(1, len(tasks) // 10)
        walls = [task.wall_s for task in tasks]
        found[f"wave {wave}"] = (sum(walls[:tenth]) / tenth, sum(walls[-tenth:]) / tenth)
    return found


def main() -> None:
    """Measure each number of shards in turn."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("shards", type=int, nargs="*", default=[100, 1000])
    parser.add_argument("--select", default="", help=f"assets to make, such as {SLICE} (default: all)")
    parser.add_argument("--workers", type=int, default=2)
    parser.add_argument("--storage", choices=["ours", "dagster"], default="ours")
    options = parser.parse_args()
    if options.storage == "dagster":
        for name in ("run_storage", "event_log_storage"):
            execution.INSTANCE.pop(name)
    for shards in options.shards:
        with tempfile.TemporaryDirectory() as folder:
            measure(shards, options.select, options.workers, Path(folder))


if __name__ == "__main__":
    main()

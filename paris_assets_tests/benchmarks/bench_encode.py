"""Images per second and peak memory of fetching with re-encoding, against img2dataset with the same resize.

`python -m paris_assets_tests.benchmarks.bench_encode [images] [sample|large] [rounds]`; both fetch from one loopback
server, which has a process of its own, shrink to a short side of 256 (never enlarged, aspect kept) and write JPEGs of
quality 95 into tars. Each way is a process of its own; they take turns, and the best of each counts. img2dataset
is installed into a virtual environment that this makes in the temporary folder (`IMG2DATASET_PYTHON` names another),
and is timed in each of the ways in which it is used: one process of 64 threads, and a process per core with as many
threads in all; hashes and EXIF, which it would take besides, are left out. Rates are of its `download()` and of our
`fetch_shard`, without the start of the interpreter; memory is that of the process and all its children (PSS), most at
one moment. Where a machine is shared, what cores worked for an image says more than the rate.
"""

from __future__ import annotations

import os
import subprocess
import sys
import tempfile
import threading
import venv
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import NamedTuple

import polars as pl

from paris_assets_tests.benchmarks.bench_ingest import CONCURRENCY, SAMPLE, server_process
from paris_assets_tests.benchmarks.bench_signals import large_photographs

SIDE, QUALITY, HOST = 256, 95, "photos.example"
VERSION = "img2dataset==1.47.0"

OURS = """
import os, sys, time
from pathlib import Path
import polars as pl
from paris_assets.config import Ingest
from paris_assets.ingest.ledger import fetch_shard
from paris_assets.ingest.web.fetch import fetch_images
table, address, out, side, quality, concurrency = sys.argv[1:]
encode = {"short_side": int(side), "quality": int(quality)} if int(side) else None
settings = Ingest.model_validate({"concurrency": int(concurrency), "per_host": {"connections": int(concurrency)},
                                  "encode": encode, "resolve": {"photos.example": address}})
rows = pl.read_parquet(table)
before, start = sum(os.times()[:4]), time.perf_counter()
bodies = fetch_images(rows.select("source_row", "url").iter_rows(), settings)
done = fetch_shard(rows, bodies, settings, Path(out) / "ours.tar").filter(status="ok").height
print("RATE", done / (time.perf_counter() - start), done, sum(os.times()[:4]) - before)
"""
THEIRS = """
import json, os, sys, time
from pathlib import Path
from img2dataset import download
if __name__ == "__main__":
    table, out, side, quality, processes, threads = sys.argv[1:]
    before, start = sum(os.times()[:4]), time.perf_counter()
    download(url_list=table, input_format="parquet", url_col="url", output_folder=out, output_format="webdataset",
             image_size=int(side), resize_mode="keep_ratio", resize_only_if_bigger=True, encode_format="jpg",
             encode_quality=int(quality), processes_count=int(processes), thread_count=int(threads), timeout=10,
             retries=2, extract_exif=False, compute_hash=None, enable_wandb=False)
    seconds = time.perf_counter() - start
    done = sum(json.loads(path.read_text())["successes"] for path in Path(out).glob("*_stats.json"))
    print("RATE", done / seconds, done, sum(os.times()[:4]) - before)
"""


def img2dataset_python(folder: Path) -> str:
    """The interpreter of an environment with img2dataset, made here where none is named."""
    if named := os.environ.get("IMG2DATASET_PYTHON"):
        return named
    venv.create(folder, with_pip=True)
    python = str(folder / "bin" / "python")
    subprocess.run([python, "-m", "pip", "install", "--quiet", VERSION], check=True)
    return python


class Figures(NamedTuple):
    """Images per second of wall time, milliseconds that cores worked for an image, and MiB at the peak."""

    rate: float
    work_ms: float
    memory: float


def run(command: list[str]) -> tuple[int, Figures]:
    """How many images a command says that it fetched, and what it took, its children included."""
    process = subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True)
    with _peak_of(process.pid) as peak:
        said, errors = process.communicate()
    line = next((line for line in said.splitlines() if line.startswith("RATE")), None)
    if process.returncode or line is None:
        raise RuntimeError(f"{command[:3]}: {errors[-2000:]}")
    rate, done, seconds = map(float, line.split()[1:])
    return int(done), Figures(rate, 1000 * seconds / done, max(peak) / 1024)


@contextmanager
def _peak_of(pid: int) -> Iterator[list[int]]:
    """Collects the memory of a process and its children, KiB, twenty times a second."""
    found, over = [0], threading.Event()

    def look() -> None:
        while not over.wait(0.05):
            found.append(sum(map(_pss, _tree(pid))))

    thread = threading.Thread(target=look)
    thread.start()
    try:
        yield found
    finally:
        over.set()
        thread.join()


def _tree(pid: int) -> list[int]:
    try:
        tasks = list(Path(f"/proc/{pid}/task").iterdir())
        children = [int(child) for task in tasks for child in (task / "children").read_text().split()]
    except OSError:  # it has ended
        return []
    return [pid, *(each for child in children for each in _tree(child))]


def _pss(pid: int) -> int:
    try:
        lines = Path(f"/proc/{pid}/smaps_rollup").read_text().splitlines()
    except OSError:
        return 0
    return next((int(line.split()[1]) for line in lines if line.startswith("Pss:")), 0)


def served(kind: str, folder: Path, count: int) -> tuple[Path, list[str]]:
    """(folder to be served, paths below it): the sample's photos, or larger ones of about 110 KB."""
    if kind == "sample":
        return SAMPLE, [f"images/{path.name}" for path in sorted((SAMPLE / "images").iterdir())]
    for name, data in large_photographs(min(count, 200)):
        (folder / f"{name}.jpg").write_bytes(data)
    return folder, [path.name for path in sorted(folder.iterdir())]


def main(count: int, kind: str, rounds: int) -> None:
    """Print a table: each way's best rate and its peak memory, and the ratio to the better way of img2dataset."""
    with tempfile.TemporaryDirectory() as made:
        base = Path(made)
        python = img2dataset_python(base / "venv")
        (base / "photos").mkdir()
        folder, paths = served(kind, base / "photos", count)
        (base / "ours.py").write_text(OURS)
        (base / "theirs.py").write_text(THEIRS)
        with server_process(folder) as address:
            rates = _measured(
                base, python, address, [f"/{paths[row % len(paths)]}?row={row}" for row in range(count)], rounds
            )
    theirs = [found for name, found in rates.items() if name.startswith("img2dataset")]
    rate, work_ms = max(found.rate for found in theirs), min(found.work_ms for found in theirs)
    for name, found in rates.items():
        times = f"{found.rate / rate:5.2f} x its rate, {work_ms / found.work_ms:5.2f} x per second of a core"
        print(f"{name:26}{found.rate:7.0f} images/s{found.work_ms:8.2f} ms of a core{found.memory:7.0f} MiB  {times}")


def _measured(base: Path, python: str, address: str, paths: list[str], rounds: int) -> dict[str, Figures]:
    cores = os.cpu_count() or 1
    direct = base / "direct.parquet"
    rows = pl.DataFrame({"source_row": range(len(paths)), "url": [f"http://{HOST}{path}" for path in paths]})
    rows.with_columns(uid=None, text=pl.lit("")).write_parquet(base / "routed.parquet")
    rows.select(pl.col("url").str.replace(HOST, address, literal=True)).write_parquet(direct)
    best: dict[str, Figures] = {}
    for number in range(rounds):
        ours = [sys.executable, str(base / "ours.py"), str(base / "routed.parquet"), address, str(base)]
        ways = {"ours": [*ours, str(SIDE), str(QUALITY), str(CONCURRENCY)]}
        for processes in sorted({1, cores}):
            out = str(base / f"theirs-{number}-{processes}")
            ways[f"img2dataset, {processes} x {CONCURRENCY // processes}"] = [
                python, str(base / "theirs.py"), str(direct), out, str(SIDE), str(QUALITY), str(processes),
                str(CONCURRENCY // processes),
            ]  # fmt: skip
        ways["ours, bytes as fetched"] = [*ours, "0", "0", str(CONCURRENCY)]
        for name, command in ways.items():
            done, found = run(command)
            assert done >= 0.99 * len(paths), f"{name} fetched {done} of {len(paths)}"
            before = best.get(name, found)
            best[name] = Figures(
                max(found.rate, before.rate), min(found.work_ms, before.work_ms), max(found.memory, before.memory)
            )
    return best


if __name__ == "__main__":
    given = sys.argv[1:]
    main(
        int(given[0]) if given else 2000,
        given[1] if len(given) > 1 else "sample",
        int(given[2]) if len(given) > 2 else 3,
    )

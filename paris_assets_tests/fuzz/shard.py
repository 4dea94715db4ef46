"""A shard of damaged files and hostile servers through the real bodies, in a process of its own.

`python -m paris_assets_tests.fuzz.shard run FOLDER PORT` makes `source_rows` to `content_scores` of
`FOLDER/good.parquet`, and then, under `FOLDER/root`, of `FOLDER/list.parquet`; it writes to `FOLDER/run.json` how much
more memory each table took.

`python -m paris_assets_tests.fuzz.shard alone FOLDER` looks at each file by itself, in the opposite order, by one
thread; it writes `FOLDER/alone.parquet` (signals), and a line for each file to `FOLDER/alone.jsonl` once it is begun,
and once it is done.
"""

from __future__ import annotations

import ctypes
import hashlib
import importlib
import json
import os
import pkgutil
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import polars as pl

import paris_assets.signals
from paris_assets.config import Profile, Signals
from paris_assets.images.decode import NotAnImage, Undecodable, decode_rgb, read_header
from paris_assets.profiles import load_profile
from paris_assets.runs.run import Request
from paris_assets.signals.measure import measure
from paris_assets_tests.fixtures.direct import bring_up_to_date

TABLES = ("source_rows", "raw_images", "image_signals", "content_scores")
MAX_PIXELS, MAX_BYTES, TIMEOUT_S, ATTEMPTS = 4_000_000, 2_000_000, 2.0, 2
CORES = 2  # memory is bounded for each of them
_M_PERTURB = -6  # of glibc's malloc.h
SIDES = (64, 256)  # short sides for which networks decode


def all_signals() -> list[str]:
    """Import paths of every signal of the package."""
    found = []
    for module in pkgutil.iter_modules(paris_assets.signals.__path__):
        loaded = importlib.import_module(f"{paris_assets.signals.__name__}.{module.name}")
        own = (each for each in vars(loaded).values() if getattr(each, "__module__", "") == loaded.__name__)
        signals = (each for each in own if isinstance(each, type) and isinstance(vars(each).get("schema"), dict))
        found += [f"{each.__module__}:{each.__name__}" for each in signals]
    return found


def without_networks() -> list[str]:
    """Those whose memory is a matter of the file: a network takes as much for a good picture of the same size, some 120
    MB at the 736 pixels that `TextArea` sees."""
    return [name for name in all_signals() if not name.endswith(":TextArea")]


def profile(source: Path, port: int) -> Profile:
    """The demo's, without rules: every image that can be decoded is scored. Each row has a host of its own."""
    rows = pl.read_parquet(source, columns=["url"])["url"].drop_nulls()
    hosts = {url.split("/")[2]: f"127.0.0.1:{port}" for url in rows}
    return load_profile(
        "demo",
        {
            "source.path": str(source),
            "source.rows_per_shard": 1_000_000,
            "ingest.serve": None,
            "ingest.resolve": hosts,
            "ingest.max_pixels": MAX_PIXELS,
            "ingest.max_bytes": MAX_BYTES,
            "ingest.timeout_s": TIMEOUT_S,
            "ingest.retries": ATTEMPTS - 1,
            "ingest.backoff_s": 0.01,
            "ingest.max_wait_s": 0.2,
            "ingest.max_redirects": 3,
            "ingest.robots.obey": False,
            "signals.measures": all_signals(),
            "curation.signal_rules": [],
            "curation.report": False,
        },
    )


def run(folder: Path, port: int) -> None:
    """Both lists, as `paris run` does, one table after the other."""
    good, fuzzed = (profile(folder / name, port) for name in ("good.parquet", "list.parquet"))
    bring_up_to_date(good, folder / "good", Request(select=TABLES))
    grown = {}
    for table in TABLES:
        forget_peak()
        before = peak_mb()
        bring_up_to_date(fuzzed, folder / "root", Request(select=(table,)))
        grown[table] = peak_mb() - before
    (folder / "run.json").write_text(json.dumps(grown))


def alone(folder: Path) -> None:
    """Each file by itself."""
    rows = pl.read_parquet(folder / "list.parquet").drop_nulls("image").reverse()
    settings, frames = Signals(measures=all_signals(), threads=1), list[pl.DataFrame]()
    looked_with = Signals(measures=without_networks(), threads=1)
    good = pl.read_parquet(folder / "good.parquet").select("text", "image")
    list(measure(good.iter_rows(), settings))  # what is loaded once is loaded now
    with (folder / "alone.jsonl").open("w", buffering=1) as lines:
        for name, data in rows.select("text", "image").iter_rows():
            lines.write(json.dumps({"name": name}) + "\n")
            forget_peak()
            started, before = time.process_time(), peak_mb()
            seen, is_fetched = _looked_at(data, looked_with)
            cost = {"seconds": time.process_time() - started, "grown_mb": peak_mb() - before}
            lines.write(json.dumps({"name": name, **seen, **cost}) + "\n")
            if is_fetched:
                with poisoned_memory():
                    frames += measure([(hashlib.sha256(data).hexdigest()[:32], data)], settings)
    pl.concat(frames).unique("image_id").write_parquet(folder / "alone.parquet")


def _looked_at(data: bytes, settings: Signals) -> tuple[dict[str, Any], bool]:
    """What can be read of a file (header, pixels for each of `SIDES`), and whether it is fetched and measured."""
    try:
        header = read_header(data, MAX_PIXELS)
        size = [header.height, header.width, 3]
    except NotAnImage:
        size = None
    is_fetched = size is not None and size[0] * size[1] <= MAX_PIXELS
    most = sys.maxsize if is_fetched else MAX_PIXELS
    decoded = [_shape(data, side, most) for side in (None, *SIDES)]
    if is_fetched:
        list(measure([("image", data)], settings))
    return {"header": size, "decoded": decoded}, is_fetched


def _shape(data: bytes, side: int | None, max_pixels: int) -> list[int] | None:
    try:
        return list(decode_rgb(data, side, max_pixels).shape)
    except Undecodable:
        return None


@contextmanager
def poisoned_memory() -> Iterator[None]:
    """What is allocated and freed holds no zeros, and nothing of an earlier use (man 3 mallopt, M_PERTURB)."""
    mallopt = ctypes.CDLL(None).mallopt
    mallopt(_M_PERTURB, 165)
    yield
    mallopt(_M_PERTURB, 0)


def peak_mb() -> float:
    """The most memory that this process has held, or has since `forget_peak`."""
    lines = Path("/proc/self/status").read_text().splitlines()
    return int(next(line for line in lines if line.startswith("VmHWM")).split()[1]) / 1024


def forget_peak() -> None:
    """Let the most be what is held now (man 5 proc, clear_refs)."""
    Path("/proc/self/clear_refs").write_text("5")


if __name__ == "__main__":
    os.sched_setaffinity(0, sorted(os.sched_getaffinity(0))[:CORES])
    {"run": lambda: run(Path(sys.argv[2]), int(sys.argv[3])), "alone": lambda: alone(Path(sys.argv[2]))}[sys.argv[1]]()

"""Seconds and memory to register a list, and to read one shard of it, against reading the list at once.

`python -m paris_assets_tests.benchmarks.bench_registration [rows ...] [--keep FOLDER]` (default 1000000 5000000) makes
lists with addresses and texts as the web has them, in several parquet files, one csv and one csv.gz. Each figure comes
from a process of its own: memory is what it grew by at its peak (VmHWM) after the imports.

The alternatives are what a user would write: polars on url and text, and img2dataset's way, which reads the list into
an Arrow table and cuts that (`Reader._save_to_arrow`; its code is not used here).
"""

from __future__ import annotations

import gzip
import json
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import numpy as np
import polars as pl
import pyarrow.csv as pc
import pyarrow.dataset as ds

from paris_assets.config import Source
from paris_assets.ingest.sources import entry_of, read_rows, register
from paris_assets.storage.location import Location

CHUNK = 250_000
FILES = {"parquet": "parquet", "csv": "csv", "csv.gz": "csv.gz"}


def _chunks(rows: int) -> Iterator[pl.DataFrame]:
    """Rows like those of LAION-Aesthetics: about 75 bytes of address and 60 of text."""
    words = np.array([f"w{number:x}" for number in np.random.default_rng(1).integers(0, 1 << 24, 5000)])
    for first in range(0, rows, CHUNK):
        count, random = min(CHUNK, rows - first), np.random.default_rng(first)
        hosts, names = random.integers(0, 9999, count), random.integers(0, 1 << 62, (count, 2))
        parts = pl.DataFrame({f"w{place}": words[random.integers(0, len(words), count)] for place in range(8)})
        yield pl.DataFrame({"host": hosts, "a": names[:, 0], "b": names[:, 1]}).select(
            URL=pl.format("https://cdn{}.example.com/wp-content/{}/{}.jpg", "host", "a", "b"),
            TEXT=parts.select(pl.concat_str(pl.all(), separator=" ")).to_series(),
            WIDTH=pl.Series(random.integers(64, 4000, count)),
            HEIGHT=pl.Series(random.integers(64, 4000, count)),
            AESTHETIC_SCORE=pl.Series(random.random(count, dtype=np.float32) * 10),
        )


def make(folder: Path, rows: int) -> None:
    """Write the list in every format."""
    for kind in FILES:
        (folder / kind).mkdir(parents=True)
    with (folder / "csv" / "l.csv").open("wb") as plain, gzip.open(folder / "csv.gz" / "l.csv.gz", "wb", 1) as packed:
        for number, chunk in enumerate(_chunks(rows)):
            chunk.write_parquet(folder / "parquet" / f"{number:03d}.parquet", row_group_size=50_000)
            content = chunk.write_csv(include_header=number == 0).encode()
            plain.write(content)
            packed.write(content)


def _root(path: Path) -> Location:
    return Location(path.parent / f"{path.name}.root")


def ours(path: Path) -> int:
    """Register; memory and time of a run before its first shard. Lists are written as Parquet."""
    return int(register(Source(path=str(path)), None, _root(path))["rows"].sum())


def last_shards(path: Path, count: int = 1) -> int:
    """Read the last shards, in order, as one worker would; the registry is of an earlier process."""
    registry, source = pl.read_parquet(path.parent / f"{path.name}.registry"), Source(path=str(path))
    shards = registry["shard"].tail(count)
    return sum(read_rows(source, entry_of(registry, shard), _root(path)).height for shard in shards)


def with_polars(path: Path) -> int:
    """`read_parquet` / `read_csv` of two columns, then cut."""
    file = str(path / "*.parquet") if path.name == "parquet" else str(next(path.iterdir()))
    table = (
        pl.read_parquet(file, columns=["URL", "TEXT"])
        if path.name == "parquet"
        else pl.read_csv(file, columns=["URL", "TEXT"])
    )
    return sum(part.height for part in table.iter_slices(10_000))


def with_arrow(path: Path) -> int:
    """The whole list as an Arrow table, then cut, as img2dataset does."""
    if path.name == "parquet":
        table = ds.dataset(path).to_table(columns=["URL", "TEXT"])
    else:
        wanted = pc.ConvertOptions(include_columns=["URL", "TEXT"])
        table = pc.read_csv(next(path.iterdir()), convert_options=wanted)
    return sum(table.slice(first, 10_000).num_rows for first in range(0, table.num_rows, 10_000))


WAYS: dict[str, Callable[[Path], int]] = {
    "register": ours,
    "read last shard": last_shards,
    "read last 20 shards": lambda path: last_shards(path, 20),
    "polars, whole": with_polars,
    "Arrow, whole (img2dataset)": with_arrow,
}


def measure(way: str, path: Path) -> dict[str, float]:
    """Seconds, rows and peak growth in MB of one way in a process of its own."""
    command = [sys.executable, "-m", __spec__.name, "--one", way, str(path)]
    answer = subprocess.run(command, check=True, capture_output=True, text=True).stdout
    return json.loads(answer.splitlines()[-1])


def _peak_mb() -> float:
    """VmHWM: unlike `ru_maxrss`, it does not start with the peak of the parent process."""
    status = Path("/proc/self/status").read_text()
    return int(status.partition("VmHWM:")[2].split()[0]) / 1024


def _one(way: str, path: Path) -> None:
    before, start = _peak_mb(), time.perf_counter()
    rows = WAYS[way](path)
    print(json.dumps({"rows": rows, "seconds": time.perf_counter() - start, "grown_mb": _peak_mb() - before}))


def main(sizes: list[int], folder: Path) -> None:
    """Print the table."""
    print(f"{'format':8} {'rows':>9}  {'way':28} {'s':>7} {'rows/s':>11} {'peak growth MB':>15}")
    for rows in sizes:
        if not (folder / str(rows)).exists():
            make(folder / str(rows), rows)
        for kind in FILES:
            path = folder / str(rows) / kind
            registry = register(Source(path=str(path)), None, _root(path))
            registry.write_parquet(path.parent / f"{kind}.registry")
            for way in WAYS:
                found = measure(way, path)
                rate = f"{found['rows'] / found['seconds']:11,.0f}"
                print(
                    f"{kind:8} {rows:9,}  {way:28} {found['seconds']:7.2f} {rate} {found['grown_mb']:15.0f}", flush=True
                )


if __name__ == "__main__":
    arguments = sys.argv[1:]
    if arguments[:1] == ["--one"]:
        _one(arguments[1], Path(arguments[2]))
    else:
        kept = Path(arguments.pop(arguments.index("--keep") + 1)) if "--keep" in arguments else None
        wanted = [int(argument) for argument in arguments if argument != "--keep"] or [1_000_000, 5_000_000]
        with tempfile.TemporaryDirectory() as temporary:
            main(wanted, kept or Path(temporary))

"""What steps over all shards cost as rows grow: duplicates, copies by vectors, the cluster fit, the curation report.

Run: `python -m paris_assets_tests.benchmarks.bench_global --rows 100000 1000000 [--step NAME ...] [--per-shard 10000]`

Tables of made-up rows, a Parquet file a shard; each step is the asset's own function, in a process of its own that
reads them and writes what it makes. `core s` is processor time of all threads together, less imports; `peak` the
largest memory of the process, `anonymous` what of it is not pages of files that the system may drop. A tenth of the
rows are copies.
"""

from __future__ import annotations

import argparse
import json
import subprocess
import sys
import tempfile
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from functools import partial
from pathlib import Path

import numpy as np
import polars as pl

from paris_assets.clusters.fitting import fitted
from paris_assets.compute import Compute
from paris_assets.config import CopyDuplicates, Curation, Duplicates
from paris_assets.curation.groups import grouped
from paris_assets.curation.reported import reported
from paris_assets.curation.schema import DUPLICATE_GROUPS
from paris_assets.curation.verdicts import Measured, judged
from paris_assets.settings.clusters import Clusters
from paris_assets.storage.output import Output
from paris_assets.storage.parquet import TableWriter
from paris_assets.storage.shards import Shards
from paris_assets_tests.fixtures.small_world import picture

COPY_DIMENSIONS, CLUSTER_DIMENSIONS, SIGNALS = 256, 1024, 30
CENTRES = 1000
GOLDEN = 0x9E3779B97F4A7C15  # multiples of it are spread evenly, as hashes are
SLICED = ("duplicates", "copies")
DECODED = ("entropy", "blocking", "exposure")  # of which rules have bounds


def make(folder: Path, rows: int, per_shard: int, step: str) -> None:
    """The tables that a step reads."""
    rng = np.random.default_rng(0)
    centres = rng.standard_normal((CENTRES, CLUSTER_DIMENSIONS), dtype=np.float32)
    for at, first in enumerate(range(0, rows, per_shard)):
        count = min(per_shard, rows - first)
        for name, frame in _tables(rng, centres, first, count, step).items():
            (folder / name).mkdir(exist_ok=True)
            frame.write_parquet(folder / name / f"{at:05d}.parquet", compression="uncompressed")


def _tables(
    rng: np.random.Generator, centres: np.ndarray, first: int, count: int, step: str
) -> dict[str, pl.DataFrame]:
    spread = (f"{number * GOLDEN % 2**64:016x}{number:016x}" for number in range(first, first + count))
    ids, places = pl.Series("image_id", list(spread)), np.arange(count)
    own = np.where(places % 10 == 1, places - 1, places)  # of ten rows the second is a copy of the first
    if step == "clusters":
        return {"image_embeddings": pl.DataFrame({"image_id": ids, "embedding": _vectors(rng, centres, count)})}
    scores = ("aesthetic", "similarity", "punsafe", "pwatermark")
    source = pl.DataFrame({"source_row": range(first, first + count)})
    source = source.with_columns(*(pl.lit(None, pl.Float32).alias(name) for name in scores))
    source = source.with_columns(alt_texts=pl.lit([], pl.List(pl.String)))
    file = {"status": "ok", "url": "http://example/", "text": "a photo", "size_bytes": 40_000, "format": "JPEG"}
    ledger = source.select("source_row", ids, **{name: pl.lit(value) for name, value in file.items()})
    ledger = ledger.with_columns(width=pl.lit(512, pl.Int32), height=pl.lit(384, pl.Int32))
    names = (*DECODED, *(f"signal_{at}" for at in range(SIGNALS)))
    signals = pl.DataFrame({"image_id": ids, "phash": rng.integers(0, 2**64, count, np.uint64)[own]})
    signals = signals.with_columns(
        pl.Series("thumbnail", rng.integers(0, 256, (count, 384), np.uint8)[own]),
        *(pl.Series(name, rng.random(count, np.float32)) for name in names),
        undecodable=pl.lit(False),
    )
    verdicts = pl.DataFrame({"image_id": ids}).with_columns(
        kept=True,
        reason=pl.lit(None, pl.String),
        value=pl.lit(None, pl.Float64),
        reasons=pl.lit([], pl.List(pl.String)),
    )
    found = {"source_rows": source, "raw_images": ledger, "image_signals": signals, "filtered_images": verdicts}
    if step == "copies":
        vectors = _vectors(rng, centres[:, :COPY_DIMENSIONS], count)[own]
        found["copy_embeddings"] = pl.DataFrame({"image_id": ids, "embedding": vectors})
    return found


def _vectors(rng: np.random.Generator, centres: np.ndarray, count: int) -> np.ndarray:
    """(count, D) float16 about the centres."""
    noise = rng.standard_normal((count, centres.shape[1]), dtype=np.float32)
    return (centres[rng.integers(0, CENTRES, count)] + np.float32(1.2) * noise).astype(np.float16)


def duplicates(tables: Callable[[str], Shards], compute: Compute, copies: Shards | None = None) -> Output:
    """`duplicate_groups`."""
    rows, images = tables("source_rows"), tables("raw_images")
    signals, verdicts = tables("image_signals"), tables("filtered_images")
    settings = Duplicates(copies=CopyDuplicates(min_contrast=0))
    return grouped(rows, images, signals, verdicts, None, copies, settings, compute)


def copies(tables: Callable[[str], Shards], compute: Compute) -> Output:
    """`duplicate_groups` of a profile with a `copy_embedder`."""
    return duplicates(tables, compute, tables("copy_embeddings"))


def clusters(tables: Callable[[str], Shards], compute: Compute) -> Output:
    """`cluster_model` as the profile `paris` fits it, with two starts."""
    return fitted(tables("image_embeddings"), None, Clusters(k=8, restarts=2), 0, compute)


def report(tables: Callable[[str], Shards], compute: Compute) -> Output:
    """`curation_report`, with one picture on either side of each bound."""
    rules = [{"name": name, "column": name, "min": 0.01} for name in DECODED]
    settings = Curation.model_validate({"signal_rules": rules, "score_rules": [], "report_pictures": 1})
    source, ledger, signals, verdicts = map(tables, ("source_rows", "raw_images", "image_signals", "filtered_images"))

    def of(shard: str) -> Callable[[], pl.LazyFrame]:
        return partial(judged, Measured(source[shard], ledger[shard], signals[shard], None), verdicts[shard])

    nobody = DUPLICATE_GROUPS.frame().lazy()
    shards = (of(shard) for shard in ledger.keys)
    return reported(shards, nobody, None, [], lambda _: picture(0), settings, Duplicates(), compute)


STEPS: dict[str, Callable[[Callable[[str], Shards], Compute], Output]] = {
    "duplicates": duplicates,
    "copies": copies,
    "clusters": clusters,
    "report": report,
}


@contextmanager
def watched() -> Iterator[dict[str, float]]:
    """The peaks of memory meanwhile, in MB."""
    peaks, ended = {"anonymous": 0.0, "peak": 0.0}, threading.Event()

    def look() -> None:
        while not ended.wait(0.05):
            status = Path("/proc/self/status").read_text()
            for name, line in (("anonymous", "RssAnon:"), ("peak", "VmHWM:")):
                peaks[name] = max(peaks[name], int(status.partition(line)[2].split()[0]) / 1e3)

    thread = threading.Thread(target=look, daemon=True)
    thread.start()
    try:
        yield peaks
    finally:
        ended.set()
        thread.join()


def tables_of(folder: Path) -> Callable[[str], Shards]:
    """The tables in a folder, by name."""

    def tables(name: str) -> Shards:
        keys = sorted(path.stem for path in (folder / name).iterdir())
        return Shards(
            keys, lambda some: pl.scan_parquet([folder / name / f"{key}.parquet" for key in some], glob=False)
        )

    return tables


def made_by(step: str, folder: Path, compute: Compute) -> Iterator[pl.DataFrame]:
    """The rows of a step's table."""
    output = STEPS[step](tables_of(folder), compute)
    output.scratch = folder
    yield from output.rows(None) if callable(output.rows) else output.rows


def measure(step: str, folder: Path, compute: Compute) -> None:
    """Print the figures of one step as JSON."""

    start, spent = time.perf_counter(), time.process_time()
    with watched() as peaks:
        writer = TableWriter(folder / "made.parquet", slice_by="shard" if step in SLICED else None)
        for chunk in made_by(step, folder, compute):
            writer.write(chunk)
        made = writer.finish([], lambda _: {}).rows
    spent = time.process_time() - spent
    print(json.dumps({"s": time.perf_counter() - start, "core_s": spent, "made": made, **peaks}))


def main() -> None:
    """Print the table."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--rows", type=int, nargs="+", default=[100_000, 1_000_000])
    parser.add_argument("--step", nargs="+", choices=list(STEPS), default=list(STEPS))
    parser.add_argument("--per-shard", type=int, default=10_000)
    parser.add_argument("--one", type=Path)
    given = parser.parse_args()
    if given.one:
        measure(given.step[0], given.one, Compute())
        return
    head = f"{'step':12}{'rows':>12}{'shards':>8}{'s':>9}{'core s':>9}{'rows/core s':>13}"
    print(f"{head}{'anonymous MB':>14}{'peak MB':>9}")
    for step in given.step:
        for rows in given.rows:
            with tempfile.TemporaryDirectory() as folder:
                make(Path(folder), rows, given.per_shard, step)
                command = [sys.executable, "-m", __spec__.name, "--step", step, "--one", folder]
                found = json.loads(subprocess.run(command, check=True, capture_output=True, text=True).stdout)
                times = f"{found['s']:9.1f}{found['core_s']:9.1f}{rows / found['core_s']:13,.0f}"
                shards, memory = -(-rows // given.per_shard), f"{found['anonymous']:14,.0f}{found['peak']:9,.0f}"
                print(f"{step:12}{rows:12,}{shards:8,}{times}{memory}", flush=True)


if __name__ == "__main__":
    main()

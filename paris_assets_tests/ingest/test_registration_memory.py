"""Registering a long list, and reading one shard of it, takes no more memory than a short one; nor do its images."""

from __future__ import annotations

import gzip
import json
import os
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import polars as pl
import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from paris_assets_tests.fixtures.small_world import picture

ROW = ("http://photos.example/uploads/2020/01/%s.jpg" % ("n" * 40), "a photo of " + "a cat and " * 50)
SMALL, LARGE = 8_000, 100_000
LIMIT_MB = 25  # each of the large files holds 60 MB
# One arena for all threads: what allocators keep for each of them differs from run to run by more than is measured.
STEADY = {"MALLOC_ARENA_MAX": "1", "ARROW_DEFAULT_MEMORY_POOL": "system", "POLARS_MAX_THREADS": "1"}
# In a process of its own: the peak of this one belongs to other tests.
SCRIPT = """
import json, sys
from pathlib import Path
from paris_assets.config import Source
from paris_assets.ingest.sources import entry_of, read_rows, register
from paris_assets.storage.location import Location

def peak_mb():
    return int(Path("/proc/self/status").read_text().partition("VmHWM:")[2].split()[0]) / 1024

peaks, root = [], Location(sys.argv[1])
for path in sys.argv[2:]:
    source = Source(path=path, rows_per_shard=2_000)
    registry = register(source, None, root)
    shard = read_rows(source, entry_of(registry, registry["shard"][-1]), root)
    peaks.append((int(registry["rows"].sum()), shard.height, peak_mb()))
print(json.dumps(peaks))
"""

# The images of a whole file, spooled and put into a tar.
IMAGES = """
import json, sys
from pathlib import Path
from paris_assets.config import Ingest, Source
from paris_assets.ingest.ledger import fetch_shard
from paris_assets.ingest.sources import entry_of, images_of, read_rows, register
from paris_assets.storage.location import Location

peaks, root, tar = [], Location(sys.argv[1]), Path(sys.argv[1]) / "images.tar"
root.put_bytes(b"", "made")
for path in sys.argv[2:]:
    source = Source(path=path, rows_per_shard=2_000)
    entry = entry_of(register(source, None, root), "00000")
    rows = read_rows(source, entry, root)
    ledger = fetch_shard(rows, images_of(source, entry, rows, Ingest()), Ingest(), tar)
    written = int(ledger.filter(status="ok")["size_bytes"].sum())
    peak = int(Path("/proc/self/status").read_text().partition("VmHWM:")[2].split()[0]) / 1024
    peaks.append((written, peak))
print(json.dumps(peaks))
"""


def _lines(rows: int) -> bytes:
    return (json.dumps(dict(zip(("url", "text"), ROW, strict=True))) + "\n").encode() * rows


WRITE: dict[str, Callable[[Path, int], object]] = {
    "csv": lambda path, rows: path.write_bytes(b"url,text\n" + f'{ROW[0]},"{ROW[1]}"\n'.encode() * rows),
    "tsv": lambda path, rows: path.write_bytes("\t".join((*ROW, "\n")).encode() * rows),
    "jsonl.gz": lambda path, rows: path.write_bytes(gzip.compress(_lines(rows), 1)),
    "json": lambda path, rows: path.write_bytes(b"[" + _lines(rows).rstrip().replace(b"\n", b",") + b"]"),
    "parquet": lambda path, rows: pl.DataFrame(
        {"url": [f"{ROW[0]}?{row}" for row in range(rows)], "text": [f"{ROW[1]}{row}" for row in range(rows)]}
    ).write_parquet(path, row_group_size=5_000, compression="uncompressed"),
}


@pytest.mark.slow
def test_memory_does_not_grow_with_the_rows(tmp_path: Path) -> None:
    files = [tmp_path / f"{rows}.{kind}" for rows in (SMALL, LARGE) for kind in WRITE]
    for path in files:
        rows, _, kind = path.name.partition(".")
        WRITE[kind](path, int(rows))
    command = [sys.executable, "-c", SCRIPT, str(tmp_path / "root"), *map(str, files)]
    environment = {**os.environ, **STEADY}
    answer = json.loads(subprocess.run(command, check=True, capture_output=True, text=True, env=environment).stdout)
    assert [rows for rows, _, _ in answer] == [SMALL] * len(WRITE) + [LARGE] * len(WRITE)
    assert {shard for _, shard, _ in answer} == {2000}
    peaks = [peak for _, _, peak in answer]
    grown = {path.name: peak - peaks[len(WRITE) - 1] for path, peak in zip(files, peaks, strict=True)}
    assert max(grown.values()) < LIMIT_MB, grown


def _embedded(path: Path, rows: int, row_group: int) -> None:
    """Images of 128 KB in the layout of `datasets`: a struct of bytes and path."""
    jpeg, kind = picture(0), pa.struct([("bytes", pa.binary()), ("path", pa.string())])
    images = [{"bytes": jpeg + row.to_bytes(4, "big") + bytes(128 << 10), "path": f"{row}.jpg"} for row in range(rows)]
    table = pa.table({"image": pa.array(images, kind), "text": [f"photo {row}" for row in range(rows)]})
    pages = {"compression": "none", "use_dictionary": False, "data_page_size": 1 << 20, "write_batch_size": 8}
    pq.write_table(table, path, row_group_size=row_group, **pages)


@pytest.mark.slow
def test_embedded_images_stream_however_large_the_file_and_its_row_groups_are(tmp_path: Path) -> None:
    files = [tmp_path / name for name in ("small.parquet", "groups.parquet", "group.parquet")]
    for path, (rows, group) in zip(files, [(100, 100), (800, 100), (800, 800)], strict=True):
        _embedded(path, rows, group)
    assert pq.ParquetFile(files[2]).num_row_groups == 1
    command = [sys.executable, "-c", IMAGES, str(tmp_path / "root"), *map(str, files)]
    environment = {**os.environ, **STEADY}
    answer = json.loads(subprocess.run(command, check=True, capture_output=True, text=True, env=environment).stdout)
    assert [written for written, _ in answer[1:]] == [8 * answer[0][0]] * 2
    grown = [round(peak - answer[0][1]) for _, peak in answer[1:]]
    # A row group that is held whole is in memory more than once.
    assert max(grown) < files[2].stat().st_size / 2**20 / 2, grown

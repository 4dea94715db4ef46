"""Tars and MDS files against raw disk, webdataset's TarWriter and mosaicml's MDSWriter, hashes and fsync included.

python -m paris_assets_tests.benchmarks.bench_formats [SAMPLES] [FOLDER] [FOLDER OF THE ENVIRONMENT OF STREAMING]

A device that takes more than a core hashes (1 to 2 GB/s) is not what bounds any of them. Slower disks are had of a fast
one by root: `echo MAJOR:MINOR BYTES > /sys/fs/cgroup/blkio/blkio.throttle.write_bps_device` (cgroup v1).
"""

from __future__ import annotations

import hashlib
import json
import os
import shutil
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import numpy as np
from webdataset.writer import TarWriter

from paris_assets.formats.mds_columns import Columns
from paris_assets.formats.mds_writer import INDEX, MdsFile, MdsForm, index_bytes
from paris_assets.formats.tar_writer import SampleTar
from paris_assets_tests.streaming import library
from paris_assets_tests.streaming.environment import streaming_python

TEXT, LATENT, KINDS = (77, 768), (4, 32, 32), 64
ROUNDS = 5
SETTLED = 0.5
HASHES = ["sha256", "xxh64"]
Samples = list[tuple[str, np.ndarray, np.ndarray]]


def samples(count: int) -> Samples:
    """Ids, latents and texts of CLIP's shape."""
    generator = np.random.default_rng(0)
    texts = generator.standard_normal((KINDS, *TEXT)).astype(np.float16)
    latents = generator.standard_normal((KINDS, *LATENT)).astype(np.float16)
    return [(f"{i:032x}", latents[i % KINDS], texts[i % KINDS]) for i in range(count)]


def raw_disk(rows: Samples, folder: Path) -> None:
    """The same arrays and nothing else, in blocks of 1 MiB."""
    with open(folder / "raw", "wb", buffering=0) as file:
        held: list[Any] = []
        for _, *arrays in rows:
            held += arrays
            if len(held) >= 16:
                file.write(b"".join(held))
                held.clear()
        file.write(b"".join(held))


def hash_alone(rows: Samples, folder: Path) -> None:
    """Their sha256, in the same blocks, nothing written: more than this no hashed file can be written by a process."""
    digest = hashlib.sha256()
    for start in range(0, len(rows), 8):
        digest.update(b"".join(array for _, *arrays in rows[start : start + 8] for array in arrays))  # type: ignore[misc]
    (folder / "hash").write_text(digest.hexdigest())


def our_tar(rows: Samples, folder: Path) -> None:
    """With its sha256."""
    with ThreadPoolExecutor(2) as threads:
        tar = SampleTar(folder / "a.tar", threads)
        for name, latent, text in rows:
            metadata = {"image_id": name, "caption": "a caption"}
            tar.write(name, {"caption.txt": "a caption", "clip_emb.npy": text, "latent.npy": latent,
                             "metadata.json": metadata})  # fmt: skip
        tar.close()


def their_tar(rows: Samples, folder: Path) -> None:
    """webdataset's, hashed afterwards."""
    writer = TarWriter(str(folder / "a.tar"), user="", group="", mode=0o644, mtime=0)
    for name, latent, text in rows:
        metadata = {"image_id": name, "caption": "a caption"}
        writer.write({"__key__": name, "caption.txt": "a caption", "clip_emb.npy": text, "latent.npy": latent,
                      "metadata.json": metadata})  # fmt: skip
    writer.close()
    with open(folder / "a.tar", "rb") as file:
        hashlib.file_digest(file, "sha256")


def our_mds(rows: Samples, folder: Path) -> None:
    """With both hashes and the index."""
    shapes = [",".join(map(str, shape)) for shape in (LATENT, TEXT)]
    columns = Columns({"id": "str", "latent": f"ndarray:float16:{shapes[0]}", "text": f"ndarray:float16:{shapes[1]}"})
    form, entries = MdsForm(columns, HASHES), []
    with ThreadPoolExecutor(2) as threads:
        file = MdsFile(form, folder / "00000.mds", threads)
        for name, latent, text in rows:
            data = columns.encode({"id": name, "latent": latent, "text": text})
            if not file.takes(data):
                entries.append(file.finish(file.path.name))
                file = MdsFile(form, folder / f"{len(entries):05d}.mds", threads)
            file.add(data)
        entries.append(file.finish(file.path.name))
    (folder / INDEX).write_bytes(index_bytes(entries))


def seconds(write: Callable[[Samples, Path], None], rows: Samples, folder: Path) -> float:
    """Until the bytes are on the disk, which has finished with what came before."""
    os.sync()
    time.sleep(SETTLED)
    start = time.perf_counter()
    write(rows, folder)
    for path in folder.iterdir():
        with open(path, "rb") as file:
            os.fsync(file.fileno())
    return time.perf_counter() - start


def main() -> None:
    """Print MB/s of each, best of some rounds in turn, and shares of raw disk."""
    count = int(sys.argv[1]) if len(sys.argv) > 1 else 4000
    place = Path(sys.argv[2]) if len(sys.argv) > 2 else Path(tempfile.gettempdir())
    python = streaming_python(Path(sys.argv[3] if len(sys.argv) > 3 else "data/runs/.streaming").absolute())
    rows, found = samples(count), dict[str, list[float]]()
    size = count * (rows[0][1].nbytes + rows[0][2].nbytes)
    ways = {
        "raw disk": raw_disk,
        "sha256 alone": hash_alone,
        "our tars": our_tar,
        "webdataset": their_tar,
        "our MDS": our_mds,
    }
    for _ in range(ROUNDS):
        for name, write in ways.items():
            folder = Path(tempfile.mkdtemp(dir=place))
            found.setdefault(name, []).append(seconds(write, rows, folder))
            shutil.rmtree(folder)
        folder = Path(tempfile.mkdtemp(dir=place)) / "mds"
        command = [python, library.__file__, "time", folder, json.dumps([count, TEXT, HASHES])]
        said = subprocess.run(command, check=True, capture_output=True, text=True).stdout
        found.setdefault("MDSWriter", []).append(float(said.splitlines()[-1]))
        shutil.rmtree(folder.parent)
    best = min(found["raw disk"])
    print(f"{count} samples, {size / 1e6:.0f} MB of arrays")
    for name, times in found.items():
        print(f"{name:12} {size / min(times) / 1e6:7.0f} MB/s  {best / min(times):6.1%} of raw disk")


if __name__ == "__main__":
    main()

"""Batches of 64 of one expert per second: our reader, webdataset, and StreamingDataset where its python is given.

python -m paris_assets_tests.benchmarks.bench_training [FOLDER] [SAMPLES] [PYTHON]

All read the same shuffled samples of the demo's shapes into tensors of latents, text and masks, from a warm page cache.
PYTHON is one with mosaicml-streaming, whose release does not go with our lock: `python -m venv` and `pip install
mosaicml-streaming torch` make it. Each is timed over whole epochs, the best of three, in turns.
"""

from __future__ import annotations

import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Iterable, Iterator
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np
import torch
from torch.utils.data import DataLoader
from webdataset.compat import WebDataset

from paris_assets.experts.arrays import Sample
from paris_assets.training import Loader, expert_dataset
from paris_assets_tests.fixtures import training_files

BATCH, PER_FILE, ROUNDS, WORKERS = 64, 500, 3, (0, 2)
LATENT, TEXT = (4, 32, 32), (77, 384)
Epoch = Callable[[], Iterable[Any]]
STREAMING = """
import sys, time, types
import transformers.feature_extraction_utils  # which streaming asks for, before torchvision seems to be there
stubs = {"": "Any", ".datasets": "VisionDataset", ".transforms": "Any", ".transforms.functional": "to_tensor"}
for name, held in stubs.items():  # its data sets of pictures ask for torchvision, and none of them is used
    module = sys.modules[f"torchvision{name}"] = types.ModuleType(f"torchvision{name}")
    module.__path__ = []
    setattr(module, held, object)
from streaming import StreamingDataLoader, StreamingDataset
from streaming.base.util import clean_stale_shared_memory

folder, batch, workers, rounds = sys.argv[1], *map(int, sys.argv[2:])
clean_stale_shared_memory()
data = StreamingDataset(local=folder, shuffle=True, batch_size=batch)
loader = StreamingDataLoader(data, batch_size=batch, num_workers=workers, persistent_workers=workers > 0)
rates = []
for _ in range(rounds + 1):
    start, count = time.perf_counter(), 0
    for each in loader:
        count += len(each["latent_256"])
    rates.append(count / (time.perf_counter() - start))
print(max(rates[1:]))
"""


def made(number: int) -> Sample:
    """A sample of the demo's shapes."""
    generator = np.random.default_rng(number)
    metadata = training_files.sample(number, {}).metadata
    further = {"original_width": 640, "original_height": 480, "url": f"http://photos.example/{number}.jpg"}
    arrays = (generator.standard_normal(shape, np.float32).astype(np.float16) for shape in (LATENT, TEXT))
    return Sample({**metadata, **further}, {256: next(arrays)}, next(arrays))


def make(folder: Path, samples: int) -> None:
    """Write the same samples in every format."""
    files = [[made(number) for number in range(start, start + PER_FILE)] for start in range(0, samples, PER_FILE)]
    training_files.write(folder, "webdataset", files)
    training_files.write(folder, "mds", files)
    training_files.write(folder, "parquet", files, rows=100, style="tensors")
    np.save(folder / "expert_shards/empty_prompt.npy", np.ones((2, TEXT[1]), np.float16))


def ours(folder: Path, format: str, workers: int) -> Epoch:
    """An epoch of our reader per call, with 10 % of captions dropped."""
    data = expert_dataset(folder, 0, BATCH, split=None, caption_dropout=0.1, format=format)
    loader = Loader(data, workers)
    return lambda: (batch["latent"] for batch in loader)


def by_webdataset(folder: Path, workers: int) -> Epoch:
    """The same by webdataset: tars and a buffer of 1,000 shuffled, arrays decoded and stacked."""
    tars = [str(path) for path in sorted((folder / "expert_shards/cluster_0").glob("*.tar"))]
    samples = WebDataset(tars, shardshuffle=len(tars), empty_check=False).shuffle(1000).decode()
    batches = samples.map(_tensors).batched(BATCH, collation_fn=_stacked)
    options = {"persistent_workers": True} if workers else {}
    loader = DataLoader(batches, batch_size=None, num_workers=workers, **options)  # type: ignore[arg-type]
    return lambda: (batch[0] for batch in loader)


def _tensors(sample: dict[str, Any]) -> tuple[torch.Tensor, ...]:
    mask = torch.arange(TEXT[0]) < sample["metadata.json"]["tokens"]
    return torch.from_numpy(sample["latent.npy"]), torch.from_numpy(sample["clip_emb.npy"]), mask


def _stacked(samples: list[tuple[torch.Tensor, ...]]) -> tuple[torch.Tensor, ...]:
    return tuple(torch.stack(parts) for parts in zip(*samples, strict=True))


def rate(epoch: Epoch) -> float:
    """Samples per second of one epoch."""
    start = time.perf_counter()
    count = sum(len(latents) for latents in epoch())
    return count / (time.perf_counter() - start)


def by_streaming(python: str, folder: Path, workers: int) -> float:
    """Samples per second of StreamingDataset, in a process of its own."""
    numbers = [str(number) for number in (BATCH, workers, ROUNDS)]
    command = [python, "-c", STREAMING, str(folder / "expert_mds/cluster_0"), *numbers]
    run = subprocess.run(command, capture_output=True, text=True, check=False)
    if run.returncode:
        sys.exit(run.stderr)
    return float(run.stdout.split()[-1])


def rates(folder: Path, python: str | None) -> Iterator[tuple[str, int, float]]:
    """(reader, workers, samples per second)."""
    for workers in WORKERS:
        readers = {f"ours, {name}": ours(folder, name, workers) for name in ("webdataset", "mds", "parquet")}
        readers["webdataset"] = by_webdataset(folder, workers)
        best = dict.fromkeys(readers, 0.0)
        for turn in range(ROUNDS + 1):
            for name, epoch in readers.items():
                found = rate(epoch)
                best[name] = max(best[name], found if turn else 0.0)  # the first starts workers
        yield from ((name, workers, found) for name, found in best.items())
        if python:
            yield "StreamingDataset", workers, by_streaming(python, folder, workers)


def listing_seconds(folder: Path, format: str) -> float:
    """Seconds until the first batch could be read."""
    start = time.perf_counter()
    expert_dataset(folder, 0, BATCH, split=None, format=format)
    return time.perf_counter() - start


def main() -> None:
    """Print samples per second of every reader."""
    folder = Path(sys.argv[1]) if len(sys.argv) > 1 else Path(tempfile.mkdtemp())
    samples = int(sys.argv[2]) if len(sys.argv) > 2 else 4000
    if not (folder / "expert_shards").exists():
        make(folder, samples)
    for format in ("webdataset", "mds", "parquet"):
        seconds = min(map(partial(listing_seconds, folder), [format] * ROUNDS))
        print(f"listing {format:12} {samples / seconds:8.0f} samples/s")
    for name, workers, found in rates(folder, sys.argv[3] if len(sys.argv) > 3 else None):
        print(f"{name:18} {workers} workers {found:8.0f} samples/s", flush=True)


if __name__ == "__main__":
    main()

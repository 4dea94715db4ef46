"""Images per second of the offline networks: alone, and end to end with decoding, in fp32 and bf16.

Run: python -m paris_assets_tests.benchmarks.bench_models
"""

from __future__ import annotations

import os
import time
from collections.abc import Callable
from functools import partial
from itertools import product
from typing import Any, Literal

import numpy as np

from paris_assets.compute import Compute
from paris_assets.config import Model
from paris_assets.models.batches import batched, run_batches
from paris_assets.models.decoding import decode, prepared
from paris_assets.models.registry import build
from paris_assets.models.threads import side_by_side
from paris_assets.process import cores
from paris_assets_tests.models.photos import photos

BATCH = 16
RUNS: tuple[tuple[str, Literal["fp32", "bf16"]], ...] = (
    ("efficientnet-lite0", "fp32"),
    ("efficientnet-lite0", "bf16"),
    ("imagenet-labels", "bf16"),
    ("open-nsfw", "fp32"),
)


def seconds(work: Callable[[], object]) -> float:
    """Wall time of one call."""
    start = time.perf_counter()
    work()
    return time.perf_counter() - start


def main() -> None:
    """Print one row per network and precision."""
    images = photos()[: len(photos()) // BATCH * BATCH]
    texts = ["a photo of a red barn beside the river"] * len(images)
    print(f"{len(images)} photos, batches of {BATCH}, {cores()} cores, load average {os.getloadavg()[0]:.1f}")
    print(f"{'network':<20}{'precision':<10}{'decode/s':>10}{'one op/s':>10}{'alone/s':>10}{'both/s':>10}")
    for name, precision in RUNS:
        model = build(Model(implementation=name, precision=precision, batch_size=BATCH))
        rows: list[np.ndarray] = []

        def prepare(image_id: str, data: bytes, model: Any = model) -> np.ndarray:
            return model.preprocess(decode(image_id, data, model.min_side))

        batches = batched(prepared(prepare, images, BATCH, Compute(), name), BATCH)
        decoding = seconds(lambda rows=rows, batches=batches: rows.extend(np.stack(batch) for batch in batches))
        both = seconds(lambda model=model: list(run_batches(images, model)))
        report(name, precision, len(images), [decoding, *networks_alone(model, model.run, rows), both])
    precisions: tuple[Literal["fp32", "bf16"], ...] = ("fp32", "bf16")
    for precision, tokens in product(precisions, (77, 16)):
        encoder = build(Model(implementation="minilm", precision=precision, batch_size=BATCH))
        encode = partial(encoder.encode, tokens=tokens)
        times = networks_alone(encoder, encode, list(batched(texts, BATCH)))
        report(f"minilm, {tokens} tokens", precision, len(texts), [None, *times, None])


def networks_alone(network: Any, run: Callable[[Any], object], batches: list[Any]) -> list[float]:
    """Seconds of batches one after another, each operation on all cores (where the network has such), and side by side
    as the stages run them; the better of two turns."""
    run(batches[0])
    turns = [
        (
            seconds(lambda: [run(batch) for batch in batches]),
            seconds(lambda: list(side_by_side([network], run, batches))),
        )
        for _ in range(2)
    ]
    return [min(times) for times in zip(*turns, strict=True)]


def report(name: str, precision: str, rows: int, times: list[float | None]) -> None:
    """Print a row of rates."""
    rates = "".join(f"{rows / elapsed:>10.1f}" if elapsed else " " * 10 for elapsed in times)
    print(f"{name:<20}{precision:<10}{rates}", flush=True)


if __name__ == "__main__":
    main()

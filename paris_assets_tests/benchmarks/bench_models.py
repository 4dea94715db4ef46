"""Images per second of the offline networks: alone, and end to end with decoding, in fp32 and bf16.

Run: python -m paris_assets_tests.benchmarks.bench_models
"""

from __future__ import annotations

import time
from collections.abc import Callable
from typing import Literal

import numpy as np

from paris_assets.config import Model
from paris_assets.models.batches import decode, prepared_batches, run_batches
from paris_assets.models.registry import build
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
    print(f"{len(images)} photos, batches of {BATCH}")
    print(f"{'network':<20}{'precision':<10}{'decode/s':>10}{'alone/s':>10}{'both/s':>10}")
    for name, precision in RUNS:
        model = build(Model(implementation=name, precision=precision, batch_size=BATCH))
        rows: list[np.ndarray] = []
        prepare = prepared_batches(
            lambda i, data, model=model: model.preprocess(decode(i, data, model.min_side)), images, BATCH
        )
        decoding = seconds(lambda rows=rows, prepare=prepare: rows.extend(row for batch in prepare for row in batch))
        stacked = np.stack(rows).reshape(-1, BATCH, *rows[0].shape)
        model.run(stacked[0])
        alone = seconds(lambda model=model, stacked=stacked: [model.run(batch) for batch in stacked])
        both = seconds(lambda model=model: list(run_batches(images, model)))
        rates = "".join(f"{len(images) / elapsed:>10.1f}" for elapsed in (decoding, alone, both))
        print(f"{name:<20}{precision:<10}{rates}", flush=True)
    precisions: tuple[Literal["fp32", "bf16"], ...] = ("fp32", "bf16")
    for precision in precisions:
        encoder = build(Model(implementation="minilm", precision=precision, batch_size=BATCH))
        encoder.encode(texts[:BATCH], 77)
        alone = seconds(
            lambda encoder=encoder: [encoder.encode(texts[i : i + BATCH], 77) for i in range(0, len(texts), BATCH)]
        )
        print(f"{'minilm, 77 tokens':<20}{precision:<10}{'':>10}{len(texts) / alone:>10.1f}", flush=True)


if __name__ == "__main__":
    main()

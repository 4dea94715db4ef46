"""Precision and recall of copy detection on real photos, twelve edits of each: our network, our hashes, EfficientNet's
vectors, and the defaults of imagehash and imagededup; then images/s of the two networks, one thread each.

Run: `python -m paris_assets_tests.benchmarks.bench_copies [folder of tools.copy_detection collect]`

The 46 held-out photos of the sample take part, and with a folder the 17 large ones. imagededup needs torchvision, whose
published wheels do not load beside a CPU build of torch, and its CNN fetches weights: its PHash is computed here by its
rule (the same bits as the package's, on the sample photos), and its CNN's default cosine is applied to the vectors of
EfficientNet-lite0. imagehash has no default distance: its own script takes equal average hashes for similar.
"""

from __future__ import annotations

import sys
from pathlib import Path
from typing import Any, Literal

import numpy as np
import torch

from paris_assets.config import Model
from paris_assets.models.device import native_bf16_on_cpu
from paris_assets.models.registry import build
from tools.copy_detection.__main__ import show
from tools.copy_detection.methods import all_methods
from tools.copy_detection.photos import held_out, held_out_large
from tools.small_vae.evaluate import images_per_second
from tools.small_vae.photos import WORK

BATCH, TURNS = 16, 3
NETWORKS = ("small-copy-detector", "efficientnet-lite0")
PRECISIONS: tuple[Literal["fp32", "bf16"], ...] = ("fp32", "bf16") if native_bf16_on_cpu() else ("fp32",)


def speed(name: str, precision: Literal["fp32", "bf16"]) -> float:
    """Images/s of a network without decoding."""
    network: Any = build(Model(implementation=name, precision=precision, device="cpu", batch_size=BATCH))
    batch = np.random.default_rng(0).integers(0, 256, (BATCH, 224, 224, 3), np.uint8)
    return images_per_second(lambda: network.run(batch), BATCH, seconds=2.0)


def main(work: Path | None) -> None:
    """Print the table, and the rates: the best of three turns, in which the networks alternate."""
    torch.set_num_threads(1)
    show([*held_out(), *(held_out_large() if work else [])], work or WORK, all_methods())
    for precision in PRECISIONS:
        turns = [[speed(name, precision) for name in NETWORKS] for _ in range(TURNS)]
        ours, theirs = (max(rates) for rates in zip(*turns, strict=True))
        rates = f"{NETWORKS[0]} {ours:.1f} images/s, {NETWORKS[1]} {theirs:.1f}"
        print(f"{precision}, one thread: {rates}, ratio {ours / theirs:.2f}")


if __name__ == "__main__":
    main(Path(sys.argv[1]) if len(sys.argv) > 1 else None)

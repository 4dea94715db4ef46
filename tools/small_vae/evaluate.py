"""Evaluate a VAE as the pipeline runs it: PSNR and latents of native centre crops, encoding speed."""

import time
from collections.abc import Callable, Sequence
from pathlib import Path

import numpy as np

from paris_assets.config import Model
from paris_assets.latents.report import psnr
from paris_assets.models.protocols import LatentCodec
from paris_assets.models.registry import build


def reconstruct(codec: LatentCodec, crops: Sequence[np.ndarray]) -> tuple[list[float], np.ndarray]:
    """PSNR in dB of each (256, 256, 3) uint8 crop decoded from its posterior mean, and the (N, 4, 32, 32) scaled means.

    Crops go through one at a time, so that no value depends on the others.
    """
    latents = [codec.encode(crop[None]) for crop in crops]
    values = [psnr(crop, codec.decode(latent)[0]) for crop, latent in zip(crops, latents, strict=True)]
    return values, np.concatenate(latents)


def images_per_second(encode: Callable[[], object], batch: int, seconds: float = 4.0) -> float:
    """How many images `encode` gets through per second on this machine; each call takes `batch` of them."""
    for _ in range(2):
        encode()
    started, count = time.perf_counter(), 0
    while time.perf_counter() - started < seconds:
        encode()
        count += batch
    return count / (time.perf_counter() - started)


def evaluate(weights: Path, crops: Sequence[np.ndarray]) -> None:
    """Print the figures of the VAE in the folder `weights` on (256, 256, 3) uint8 crops."""
    model = Model(implementation="autoencoder-kl", path=str(weights), precision="fp32")
    values, latents = reconstruct(build(model), crops)
    channels = zip(latents.mean((0, 2, 3)), latents.std((0, 2, 3)), strict=True)
    fast, batch = build(model.model_copy(update={"precision": "bf16"})), np.stack(crops[:4])
    print(f"held-out photos     {len(values)}")
    print(f"PSNR                mean {np.mean(values):.2f} dB, lowest {min(values):.2f}, highest {max(values):.2f}")
    print(f"latents, scaled     mean {latents.mean():.3f}, variance {latents.var():.3f}")
    print("per channel         " + ", ".join(f"{mean:.2f} +- {deviation:.2f}" for mean, deviation in channels))
    print(f"encoding, bf16      {images_per_second(lambda: fast.encode(batch), len(batch)):.0f} images/s")

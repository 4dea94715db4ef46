"""What two sizes in one pass cost, decoding and resizing with them, against the networks alone, one after the other.

Run it with `python -m paris_assets_tests.benchmarks.bench_sizes [--codec small-vae|sdxl] [--images N]`: `sdxl` is
AutoencoderKL of SDXL's shape with random weights, 34M parameters in its encoder. The pictures are made, of 1,200 x 900
pixels, as JPEGs. Both ways use the same threads, and the best of three rounds counts.
"""

from __future__ import annotations

import argparse
import io
import tempfile
import time
from collections.abc import Callable
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np
import torch
from diffusers.models.autoencoders.autoencoder_kl import AutoencoderKL
from PIL import Image

from paris_assets.config import Latents, Model
from paris_assets.latents.crops import crops
from paris_assets.latents.encode import encode, rows_of
from paris_assets.latents.places import Sizes
from paris_assets.models.batches import batched
from paris_assets.models.registry import build
from paris_assets.models.threads import side_by_side

ROUNDS = 3


def main() -> None:
    """Print the table."""
    parser = argparse.ArgumentParser()
    parser.add_argument("--codec", choices=["small-vae", "sdxl"], default="small-vae")
    parser.add_argument("--images", type=int, default=32)
    parser.add_argument("--sizes", type=int, nargs=2, default=[256, 512])
    given = parser.parse_args()
    with tempfile.TemporaryDirectory() as folder:
        path = "small-vae" if given.codec == "small-vae" else _sdxl(Path(folder))
        codec = build(Model(implementation="autoencoder-kl", path=path, batch_size=4))
        images = [(f"{number:032x}", _picture(number)) for number in range(given.images)]
        compare(codec, images, Latents(resolutions=given.sizes))


def compare(codec: Any, images: list[tuple[str, bytes]], settings: Latents) -> None:
    """Time the networks alone at each size, and the whole pass."""
    sizes = Sizes(settings)
    cut = [crops(image_id, data, sizes, codec.scaled_decode).pixels for image_id, data in images]
    alone = {
        size: _best(partial(_network, codec, [pixels[size] for pixels in cut], rows_of(codec, sizes, size)))
        for size in sizes.resolutions
    }
    both = _best(lambda: list(encode(images, codec, settings, 0)))
    total = sum(alone.values())
    name = "small-vae" if codec.scaled_decode else "AutoencoderKL of SDXL's shape"
    print(f"{name}, {codec.identity()['precision']}, {len(images)} images, {codec.in_flight} at once")
    for size, seconds in alone.items():
        print(f"network alone, {size} px{seconds:>12.2f} s{len(images) / seconds:>10.2f} images/s")
    print(f"both networks{total:>20.2f} s{len(images) / total:>10.2f} images/s")
    print(f"one pass, all work{both:>15.2f} s{len(images) / both:>10.2f} images/s   {both / total:.3f} x")


def _network(codec: Any, pixels: list[np.ndarray], rows: int) -> None:
    batches = (np.stack(batch) for batch in batched(pixels, rows))
    for _ in side_by_side([codec], codec.encode, batches):
        pass


def _best(work: Callable[[], object]) -> float:
    found = []
    for _ in range(ROUNDS):
        start = time.perf_counter()
        work()
        found.append(time.perf_counter() - start)
    return min(found)


def _picture(seed: int) -> bytes:
    generator = np.random.default_rng(seed)
    pixels = generator.integers(0, 256, (30, 40, 3), np.uint8)
    whole = np.asarray(Image.fromarray(pixels).resize((1200, 900), Image.Resampling.BICUBIC)).astype(np.int16)
    file = io.BytesIO()
    grain = generator.normal(0, 6, whole.shape).astype(np.int16)
    Image.fromarray((whole + grain).clip(0, 255).astype(np.uint8)).save(file, "JPEG", quality=90)
    return file.getvalue()


def _sdxl(folder: Path) -> str:
    torch.manual_seed(0)
    settings: dict[str, Any] = {
        "down_block_types": ("DownEncoderBlock2D",) * 4,
        "up_block_types": ("UpDecoderBlock2D",) * 4,
        "block_out_channels": (128, 256, 512, 512),
        "layers_per_block": 2,
        "scaling_factor": 0.13025,
        "force_upcast": True,
    }
    AutoencoderKL(**settings).save_pretrained(folder)
    return str(folder)


if __name__ == "__main__":
    main()

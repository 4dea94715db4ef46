"""What the workers of all stages make of a few photos by every network, as sha256: equal digests are equal bytes.

Run in a process of its own: `python -m paris_assets_tests.models.digests FOLDER`, which holds the tiny networks.
"""

from __future__ import annotations

import hashlib
import json
import sys
from collections.abc import Iterable, Iterator
from pathlib import Path
from typing import Any

import polars as pl

from paris_assets.captions.text import encode as encode_texts
from paris_assets.clusters.embedding import embed
from paris_assets.config import Latents, Model, Text
from paris_assets.latents.drawing import draw
from paris_assets.latents.encode import encode as encode_latents
from paris_assets.latents.report import pairs
from paris_assets.models.batches import run_batches
from paris_assets.models.device import native_bf16_on_cpu
from paris_assets.models.registry import build
from paris_assets.signals.scores import score
from paris_assets_tests.models import tiny
from paris_assets_tests.models.photos import photos

IMAGES, SIZE = 7, 2  # the last batch is padded
SHIPPED = ("efficientnet-lite0", "small-copy-detector", "open-nsfw", "minilm", "autoencoder-kl")


def make_tiny(folder: Path) -> None:
    """Random networks of the classes that the Paris profile names."""
    for name, make in TINY.items():
        make(folder / name)


TINY = {
    "dinov2": tiny.dinov2,
    **tiny.TOWERS,
    "clip-text": tiny.clip_text,
    "blip-2": tiny.blip2,
    "vit-classifier": tiny.vit_classifier,
    "autoencoder-kl": tiny.autoencoder,
}


def networks(folder: Path) -> Iterator[tuple[str, Any]]:
    """(name and precision, network), loaded; in bf16, too, where the CPU has it: emulated it takes a minute."""
    for precision in ("fp32", "bf16") if native_bf16_on_cpu() else ("fp32",):
        for name in SHIPPED:
            path = "small-vae" if name == "autoencoder-kl" else None
            if name != "open-nsfw" or precision == "fp32":
                yield f"shipped {name} {precision}", _build(name, path, precision)
        for name in TINY:
            yield f"tiny {name} {precision}", _build(name, str(folder / name), precision)


def _build(name: str, path: str | None, precision: Any) -> Any:
    return build(Model(implementation=name, path=path, precision=precision, device="cpu", batch_size=SIZE))


def digest(network: Any) -> str:
    """sha256 of what the network's worker gives."""
    images = photos()[:IMAGES]
    ids = pl.DataFrame({"image_id": [image_id for image_id, _ in images]})
    kind = network.name
    if kind in ("efficientnet-lite0", "small-copy-detector", "dinov2", *tiny.TOWERS):
        return _sha256(embed(images, network))
    if kind in ("open-nsfw", "vit-classifier"):
        return _sha256(score(images, {"nsfw": network}))
    if kind == "blip-2":
        texts = [str(text) for _, batch in run_batches(images, network) for text in batch]
        return _sha256([ids.with_columns(caption=pl.Series(texts))])
    if kind in ("minilm", "clip-text"):
        texts = [f"number {index} of the list, " * index for index in range(IMAGES)]
        return _sha256(encode_texts(ids.with_columns(caption=pl.Series(texts)), network, Text(tokens=24)))
    settings = Latents(resolutions=[64], upscale=True, posterior="sample")
    frames = list(encode_latents(images, network, settings, 0))
    found = pairs(images, pl.concat(frames), network, settings, 64)
    figures = pl.DataFrame({"psnr_db": [pair.psnr_db for pair in found]})
    return hashlib.sha256(draw(found, 64, network.name)).hexdigest() + _sha256([*frames, figures])


def _sha256(frames: Iterable[pl.DataFrame]) -> str:
    file = hashlib.sha256()
    for frame in frames:
        file.update(frame.write_ipc(None, compat_level=pl.CompatLevel.oldest()).getvalue())
    return file.hexdigest()


def main() -> None:
    """Print name -> digest as JSON."""
    print(json.dumps({name: digest(network) for name, network in networks(Path(sys.argv[1]))}))


if __name__ == "__main__":
    main()

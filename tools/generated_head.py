"""Train the head of the profile `z_image-demo` that tells decoded latents and noise from photographs.

    python -m tools.small_vae collect                  # the photos, out of Debian 12 packages
    python -m tools.generated_head --out FILE          # pictures -> `paris run` -> paris_assets.heads.train

Of every photo there is one picture as it is and one by each of three generators, all of 256 x 256 pixels and JPEGs of
one quality, so that nothing but what is in them tells them apart: `vae-noise` (its latent and noise, decoded by the
small VAE), `vae-texture` (a latent of the same spectrum and random phases, decoded) and `fractal` (noise whose spectrum
falls with frequency, in the photo's colours). They stand for no image generator that people use.
"""

from __future__ import annotations

import argparse
import io
import subprocess
import sys
import tempfile
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path

import numpy as np
import polars as pl
from PIL import Image, ImageOps

from paris_assets.config import Model
from paris_assets.heads import train
from paris_assets.models.protocols import LatentCodec
from paris_assets.models.registry import build
from tools.small_vae.photos import WORK, Photo, read, used

SIDE, QUALITY, NOISE = 256, 88, 0.6
STAGES = "source_rows,raw_images,image_signals,picture_embeddings"
PROFILE = """\
base: own
picture_embeddings:
  efficientnet-lite0: {implementation: efficientnet-lite0, batch_size: 16}
curation:
  signal_rules: []
"""
WORDS = (
    "256 px crops of free photographs from Debian packages (label 0), and noised latents, latents of random phases and "
    "coloured noise made from the same photographs (label 1): no image generator that people use"
)

Generator = Callable[[np.ndarray, LatentCodec, np.random.Generator], np.ndarray]


def fitted(content: bytes) -> np.ndarray:
    """The middle of a photo, (256, 256, 3) uint8."""
    with Image.open(io.BytesIO(content)) as image:
        return np.array(ImageOps.fit(image.convert("RGB"), (SIDE, SIDE), Image.Resampling.LANCZOS))


def vae_noise(pixels: np.ndarray, codec: LatentCodec, random: np.random.Generator) -> np.ndarray:
    """The photo's latent with noise, decoded."""
    latent = codec.encode(pixels[None])
    return codec.decode(latent + NOISE * random.standard_normal(latent.shape, np.float32))[0]


def vae_texture(pixels: np.ndarray, codec: LatentCodec, random: np.random.Generator) -> np.ndarray:
    """A latent with the spectrum of the photo's and random phases, decoded."""
    latent = codec.encode(pixels[None])
    return codec.decode(with_random_phases(latent, random))[0]


def with_random_phases(values: np.ndarray, random: np.random.Generator) -> np.ndarray:
    """(..., H, W) of the same amplitudes and means."""
    spectrum = np.fft.rfft2(values)
    turned = np.fft.rfft2(random.standard_normal(values.shape))
    turned /= np.abs(turned)
    turned[..., 0, 0] = np.sign(spectrum[..., 0, 0].real)
    return np.fft.irfft2(np.abs(spectrum) * turned, values.shape[-2:]).astype(np.float32)


def fractal(pixels: np.ndarray, _codec: LatentCodec, random: np.random.Generator) -> np.ndarray:
    """Noise of a 1 / f spectrum with the mean and covariance of the photo's colours."""
    flat = pixels.reshape(-1, 3).astype(np.float64)
    frequency = np.hypot(np.fft.fftfreq(SIDE)[:, None], np.fft.rfftfreq(SIDE)[None])
    frequency[0, 0] = np.inf
    noise = np.fft.irfft2(np.fft.rfft2(random.standard_normal((3, SIDE, SIDE))) / frequency, (SIDE, SIDE))
    noise /= noise.std(axis=(1, 2), keepdims=True)
    values, vectors = np.linalg.eigh(np.cov(flat.T))
    coloured = noise.reshape(3, -1).T * np.sqrt(values.clip(0)) @ vectors.T + flat.mean(axis=0)
    return coloured.reshape(SIDE, SIDE, 3).round().clip(0, 255).astype(np.uint8)


GENERATORS: dict[str, Generator] = {"vae-noise": vae_noise, "vae-texture": vae_texture, "fractal": fractal}


def pictures(photos: Sequence[Photo], work: Path, seed: int) -> Iterator[tuple[str, str | None, np.ndarray]]:
    """Group of the photo, generator (None: the photo itself) and pixels of every picture."""
    codec: LatentCodec = build(Model(implementation="autoencoder-kl", path="small-vae", precision="fp32", device="cpu"))
    for number, photo in enumerate(photos):
        pixels = fitted(read(photo, work))
        yield photo["group"], None, pixels
        for place, (name, generate) in enumerate(GENERATORS.items()):
            yield photo["group"], name, generate(pixels, codec, np.random.default_rng([seed, number, place]))


def labelled(photos: Sequence[Photo], work: Path, folder: Path, seed: int) -> pl.DataFrame:
    """The pictures as files in a folder: file, label, generator and group of each."""
    rows = []
    for number, (group, generator, pixels) in enumerate(pictures(photos, work, seed)):
        file = f"{number:06d}.jpg"
        Image.fromarray(pixels).save(folder / file, quality=QUALITY)
        rows.append({"file": file, "label": float(generator is not None), "generator": generator, "group": group})
    return pl.DataFrame(rows, schema_overrides={"generator": pl.String})


def embedded(folder: Path, profile: Path, root: Path) -> pl.DataFrame:
    """image_id and file of the pictures, whose vectors lie in the root then."""
    profile.write_text(PROFILE)
    command = [sys.executable, "-m", "paris_assets.cli", "run", "--source", folder, "--profile", profile]
    subprocess.run([*map(str, command), "--root", str(root), "--select", STAGES], check=True)
    rows, found = (pl.read_parquet(root / table / "*.parquet") for table in ("source_rows", "raw_images"))
    named = rows.select("source_row", file=pl.col("locator").str.split("/").list.last())
    return found.join(named, on="source_row").select("image_id", "file")


def main(arguments: Sequence[str] | None = None) -> int:
    """The command line; 0 when a head was written."""
    parser = argparse.ArgumentParser(
        prog="python -m tools.generated_head", description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--work", type=Path, default=WORK, help=f"folder of the collected photos ({WORK})")
    parser.add_argument("--photos", type=int, help="only so many (all)")
    parser.add_argument("--seed", type=int, default=0, help="of noise and split (0)")
    parser.add_argument("--out", type=Path, required=True, help="the head's file, .safetensors")
    options = parser.parse_args(arguments)
    photos = [photo for split in ("train", "validation", "held_out") for photo in used(split)][: options.photos]
    with tempfile.TemporaryDirectory() as temporary:
        folder, labels = Path(temporary, "pictures"), Path(temporary, "labels.parquet")
        folder.mkdir()
        rows = labelled(photos, options.work, folder, options.seed)
        ids = embedded(folder, Path(temporary, "head.yaml"), Path(temporary, "root"))
        rows.join(ids, on="file").unique("image_id", maintain_order=True).drop("file").write_parquet(labels)
        asked = ["--root", f"{temporary}/root", "--on", "efficientnet-lite0", "--labels", str(labels)]
        return train.main([*asked, "--out", str(options.out), "--training", WORDS, "--seed", str(options.seed)])


if __name__ == "__main__":
    sys.exit(main())

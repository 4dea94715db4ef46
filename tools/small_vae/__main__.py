"""Collect photos for the small VAE, train it and judge it.

    python -m tools.small_vae collect   # Debian packages -> photos.jsonl
    python -m tools.small_vae train     # photos -> weights
    python -m tools.small_vae judge     # held-out PSNR, latent variance, images/s

Downloads and the checkpoint are kept in `--work`; a second `train` goes on from the checkpoint.
"""

import argparse
import tempfile
from collections import Counter
from collections.abc import Sequence
from pathlib import Path

import numpy as np
import torch
from diffusers.models.autoencoders.autoencoder_kl import AutoencoderKL

from tools.small_vae.crops import CropSampler
from tools.small_vae.export import export
from tools.small_vae.judge import images_per_second, latent_means, psnr_per_photo
from tools.small_vae.photos import collect_photos, read_photo_list, write_photo_list
from tools.small_vae.sources import download_packages
from tools.small_vae.train import Plan, train

WEIGHTS = Path(__file__).parents[2] / "paris_assets" / "models" / "weights" / "small_vae"
CROPS_FOR_MOMENTS = 256


def collect(work: Path, sample: Path, weights: Path) -> None:
    """Download and unpack the packages, list the photos with licence and split in `weights/photos.jsonl`."""
    download_packages(work / "packages")
    photos, _ = collect_photos(work / "packages", sample)
    write_photo_list(photos, weights / "photos.jsonl")
    counts = Counter((photo.split, photo.excluded_because) for photo in photos)
    for (split, reason), count in sorted(counts.items(), key=str):
        print(f"{count:5d} {split}{f', excluded: {reason}' if reason else ''}")


def train_and_export(work: Path, sample: Path, weights: Path, plan: Plan) -> None:
    """Train on the listed photos, write config and weights. Raises ValueError when photos differ from the list."""
    photos, contents = collect_photos(work / "packages", sample)
    if {photo.sha256 for photo in photos} != {photo.sha256 for photo in read_photo_list(weights / "photos.jsonl")}:
        raise ValueError(f"{weights / 'photos.jsonl'} lists other photos than {work} and {sample} hold: collect again")
    checkpoint = work / "checkpoint.pt"
    train(photos, contents, plan, checkpoint)
    training = [photo for photo in photos if photo.split == "train" and photo.excluded_because is None]
    crops = CropSampler(training, contents, seed=plan.seed).draw(CROPS_FOR_MOMENTS, 256)
    export(torch.load(checkpoint, weights_only=True)["average"], crops, weights)


def judge(sample: Path, weights: Path) -> None:
    """Print the figures of the weights on the held-out photos, which are all part of the shipped sample."""
    held_out = [photo for photo in read_photo_list(weights / "photos.jsonl") if photo.split == "held_out"]
    contents = [(sample / photo.path).read_bytes() for photo in held_out]
    network = AutoencoderKL.from_pretrained(weights)
    values = psnr_per_photo(network, contents)
    latents = latent_means(network, contents) * network.config["scaling_factor"]
    print(f"held-out photos     {len(values)}")
    print(f"PSNR                mean {np.mean(values):.2f} dB, lowest {min(values):.2f}, highest {max(values):.2f}")
    print(f"latents, scaled     mean {latents.mean():.3f}, variance {latents.var():.3f}")
    print("per channel         " + ", ".join(f"{m:.2f} +- {s:.2f}" for m, s in moments_per_channel(latents)))
    print(f"encoding, bf16      {images_per_second(network, torch.bfloat16, channels_last=True):.0f} images/s")


def moments_per_channel(latents: torch.Tensor) -> list[tuple[float, float]]:
    """[(mean, standard deviation)] of each channel of (N, C, H, W) latents."""
    return list(zip(latents.mean((0, 2, 3)).tolist(), latents.std((0, 2, 3)).tolist(), strict=True))


def main(arguments: Sequence[str] | None = None) -> None:
    """The command line."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("command", choices=["collect", "train", "judge"])
    work = Path(tempfile.gettempdir()) / "small_vae"
    parser.add_argument("--work", type=Path, default=work, help="folder for downloads and checkpoint")
    parser.add_argument("--sample", type=Path, default=Path("data/sample"), help="folder of the shipped sample photos")
    parser.add_argument("--weights", type=Path, default=WEIGHTS, help="folder of config, weights and photo list")
    parser.add_argument("--minutes", type=float, default=Plan.minutes, help="training time")
    parser.add_argument("--workers", type=int, default=Plan.workers, help="training processes, one core each")
    options = parser.parse_args(arguments)
    if options.command == "collect":
        collect(options.work, options.sample, options.weights)
    elif options.command == "train":
        plan = Plan(minutes=options.minutes, workers=options.workers)
        train_and_export(options.work, options.sample, options.weights, plan)
    else:
        judge(options.sample, options.weights)


if __name__ == "__main__":
    main()

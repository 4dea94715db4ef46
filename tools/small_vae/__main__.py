"""Fetch the small VAE's photos, train it anew and evaluate it; its model card has the figures of the shipped weights.

    python -m tools.small_vae collect                  # the photos of photos.jsonl, out of Debian 12 packages
    python -m tools.small_vae train --out FOLDER       # photos -> config and weights; shipped ones stay as they are
    python -m tools.small_vae evaluate                 # held-out PSNR, latents, images/s of the shipped weights
    python -m tools.small_vae evaluate --weights FOLDER

Training needs torch 2.9 (for its Muon) and is timed, so another run gives other weights. On cores that other work uses
too, `OMP_NUM_THREADS=1` is faster: two threads wait for each other at every operator.
"""

import argparse
from collections.abc import Sequence
from pathlib import Path

from tools.small_vae.crops import SIDE, CropSampler, centre_crop, to_tensor
from tools.small_vae.evaluate import evaluate
from tools.small_vae.network import export
from tools.small_vae.photos import WEIGHTS, WORK, collect, read, used
from tools.small_vae.train import train

CROPS_FOR_MOMENTS = 256


def main(arguments: Sequence[str] | None = None) -> None:
    """The command line."""
    parser = argparse.ArgumentParser(
        prog="python -m tools.small_vae", description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    commands = parser.add_subparsers(dest="command", required=True)
    collecting, training, evaluating = (commands.add_parser(name) for name in ("collect", "train", "evaluate"))
    for command in (collecting, training):
        command.add_argument("--work", type=Path, default=WORK, help=f"folder of the collected photos ({WORK})")
    training.add_argument("--minutes", type=float, default=57.0, help="training time (57)")
    training.add_argument("--out", type=Path, required=True, help="folder to write config and weights to")
    evaluating.add_argument("--weights", type=Path, default=WEIGHTS, help="folder of config and weights (the shipped)")
    options = parser.parse_args(arguments)
    if options.command == "collect":
        collect(options.work)
    elif options.command == "train":
        sampler = CropSampler(read(photo, options.work) for photo in used("train"))
        watched = [photo for photo in used("validation") if min(photo["width"], photo["height"]) >= SIDE]
        validation = [centre_crop(read(photo, options.work)) for photo in watched]
        network = train(sampler, to_tensor(validation), options.minutes)
        export(network, sampler.draw(CROPS_FOR_MOMENTS, SIDE), options.out)
    else:
        evaluate(options.weights, [centre_crop(read(photo)) for photo in used("held_out")])


if __name__ == "__main__":
    main()

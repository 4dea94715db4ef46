"""Train the small copy detector anew and evaluate it; its model card has the figures of the shipped weights.

    python -m tools.copy_detection collect                  # photos and fonts, out of Debian 12 packages
    python -m tools.copy_detection train --out FILE --state FOLDER    # photos -> model.safetensors, not the shipped one
    python -m tools.copy_detection threshold --weights FILE           # cosines for 99 % precision on validation photos
    python -m tools.copy_detection evaluate --large                   # precision and recall on held-out photos

Views and steps are seeded and their number is fixed. `train` goes on from what lies in its state folder.
"""

import argparse
import copy
from collections.abc import Sequence
from pathlib import Path

import torch

from paris_assets.models import carried
from tools.command_line import add_weights, command_line
from tools.copy_detection.edits import measured_edits
from tools.copy_detection.evaluate import Method, chosen_threshold, compared, likeness, pooled, table
from tools.copy_detection.methods import all_methods, efficientnet_lite0, small_copy_detector
from tools.copy_detection.network import pretrained_network, save, whiten
from tools.copy_detection.photos import (
    guests,
    held_out,
    held_out_large,
    pixels,
    training,
    validation,
    with_quarters,
)  # fmt: skip
from tools.copy_detection.train import WHITENED_BY, trained
from tools.copy_detection.views import Picture, made_views
from tools.degradation.drawing import test_drawing, train_drawing
from tools.degradation.fonts import collect_fonts
from tools.small_vae.photos import Photo, collect

VIEWS, STEPS = 48, 800
PRECISION = 0.99


def main(arguments: Sequence[str] | None = None) -> None:
    """The command line."""
    parser, commands = command_line("copy_detection", __doc__, "the collected photos and fonts")
    train = commands.add_parser("train")
    train.add_argument("--out", type=Path, required=True, help="file to write the weights to")
    train.add_argument("--state", type=Path, required=True, help="folder of views and checkpoint, to go on from")
    train.add_argument("--steps", type=int, default=STEPS, help=f"of training ({STEPS})")
    train.add_argument("--views", type=int, default=VIEWS, help=f"of each picture ({VIEWS})")
    choosing, evaluating = commands.add_parser("threshold"), commands.add_parser("evaluate")
    for command in (choosing, evaluating):
        add_weights(command, carried.COPY_DETECTOR.path)
    evaluating.add_argument("--large", action="store_true", help="also on the large photos that collect fetches")
    options = parser.parse_args(arguments)
    torch.set_num_threads(options.threads)
    if options.command == "collect":
        collect(options.work)
        collect_fonts(options.work)
    elif options.command == "train":
        _train(options)
    elif options.command == "threshold":
        _choose(options.weights, options.work)
    else:
        large = held_out_large() if options.large else []
        show([*held_out(), *large], options.work, all_methods(options.weights))


def _train(options: argparse.Namespace) -> None:
    photos = enumerate(training())
    pictures = [Picture(part, group) for group, photo in photos for part in with_quarters(photo, options.work)]
    network = pretrained_network()
    fast = copy.deepcopy(network).in_precision(torch.bfloat16)
    views = made_views(fast, pictures, train_drawing(options.work / "fonts"), options.views, options.state / "views")
    groups = [picture.group for picture in pictures]
    del pictures
    with torch.inference_mode(), torch.autocast("cpu", torch.bfloat16):
        whiten(network, torch.cat([network.pooled(found.maps[:WHITENED_BY].float()) for found in views]))
    save(trained(network, views, groups, options.steps, options.state / "checkpoint.pt"), options.out)


def _choose(weights: Path, work: Path) -> None:
    photos = pixels(validation(), work)
    edits = measured_edits(train_drawing(work / "fonts"), pixels(guests(), work))
    for method in (small_copy_detector(weights, None), efficientnet_lite0(None)):
        alike = likeness(method, photos, edits)
        for precision in (0.95, PRECISION):
            threshold = chosen_threshold(alike, precision)
            found = pooled(alike, threshold)
            print(f"{method.name}: {threshold:.2f} for {precision}: {found.precision:.3f} / {found.recall:.3f}")


def show(photos: Sequence[Photo], work: Path, methods: Sequence[Method]) -> None:
    """Print precision and recall of all methods on photos, by the test's fonts and logos."""
    edits = measured_edits(test_drawing(), pixels(guests(), work))
    print(f"{len(photos)} photos, each edited in {len(edits)} ways and compared with all")
    print(table(methods, compared(methods, pixels(photos, work), edits)))


if __name__ == "__main__":
    main()

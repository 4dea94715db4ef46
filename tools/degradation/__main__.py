"""Train the degradation networks anew and evaluate them; their model card has the figures of the shipped weights.

    python -m tools.degradation collect                  # photos, pictures and fonts, of Debian 12 packages
    python -m tools.degradation train --out FILE         # photos -> model.safetensors; the shipped file stays as it is
    python -m tools.degradation train --only quality --out FILE          # this, the others as they are shipped
    python -m tools.degradation continue --out FILE      # the network for watermarks, from the shipped weights on
    python -m tools.degradation evaluate                 # held-out figures of the shipped weights, as a table
    python -m tools.degradation evaluate --weights FILE --large      # or --more: the further held-out photos
    python -m tools.degradation evaluate --weights FILE --validation     # by which to choose: held-out photos may not

The photos are those of `tools.small_vae`, whose `--work` this command shares, and those of `tools.more_photos`, which
lie in that tool's own folder. Every sample has a seed of its own and
the number of steps is fixed: on the same machine and libraries a run gives the same weights again.
"""

from collections.abc import Sequence
from pathlib import Path

import torch
from safetensors.torch import load_file
from torch import nn

from paris_assets.models import carried
from paris_assets.models.degradation_network import CastNetwork, QualityNetwork, WatermarkNetwork
from tools.command_line import add_weights, command_line
from tools.degradation.drawing import test_drawing, train_drawing, validation_drawing
from tools.degradation.evaluate import Figures, evaluated, scorers_of
from tools.degradation.fonts import collect_fonts
from tools.degradation.grounds import collect_grounds, scenes
from tools.degradation.photos import (
    held_out,
    held_out_large,
    held_out_more,
    pixels,
    seen_whole,
    training,
    validation,
)
from tools.degradation.train import save, train_cast, train_quality
from tools.degradation.train_watermark import CONTINUED, begun, train_watermark
from tools.more_photos.photos import collect as collect_more
from tools.small_vae.photos import collect

NETWORKS: dict[str, type[nn.Module]] = {"quality": QualityNetwork, "cast": CastNetwork, "watermark": WatermarkNetwork}


def main(arguments: Sequence[str] | None = None) -> None:
    """The command line."""
    parser, commands = command_line("degradation", __doc__, "what was collected")
    training_, evaluating = (commands.add_parser(name) for name in ("train", "evaluate"))
    training_.add_argument("--out", type=Path, required=True, help="file to write the weights to")
    training_.add_argument("--steps", type=float, default=1.0, help="of the shipped weights' steps (1.0)")
    training_.add_argument("--only", nargs="+", choices=list(NETWORKS), default=list(NETWORKS), help="networks (all)")
    add_weights(training_, carried.DEGRADATION.path)
    add_weights(evaluating, carried.DEGRADATION.path)
    continuing = commands.add_parser("continue")
    continuing.add_argument("--out", type=Path, required=True, help="file to write the weights to, after each phase")
    continuing.add_argument("--steps", type=float, default=1.0, help="of the shipped weights' steps (1.0)")
    continuing.add_argument("--seed", type=int, default=1, help="of samples; another one for each time (1)")
    add_weights(continuing, carried.DEGRADATION.path)
    group = evaluating.add_mutually_exclusive_group()
    group.add_argument("--large", action="store_true", help="on the large held-out photos, which collect fetches")
    group.add_argument("--more", action="store_true", help="on the further held-out photos, which collect fetches")
    group.add_argument("--validation", action="store_true", help="on photos that train nothing, with training's fonts")
    options = parser.parse_args(arguments)
    torch.set_num_threads(options.threads)
    if options.command == "collect":
        collect(options.work)
        collect_more()
        collect_fonts(options.work)
        collect_grounds(options.work, pixels([*held_out(), *held_out_large(), *held_out_more()], options.work))
    elif options.command == "train":
        _train(options.work, options.weights, options.out, options.steps, options.only)
    elif options.command == "continue":
        _continue(options.work, options.weights, options.out, options.steps, options.seed)
    else:
        photos, drawing = held_out_large() if options.large else held_out(), test_drawing()
        if options.more:
            photos = held_out_more()
        if options.validation:
            photos, drawing = validation(), validation_drawing(options.work / "fonts")
        show(evaluated(scorers_of(options.weights), pixels(photos, options.work), drawing=drawing))


def _train(work: Path, weights: Path, out: Path, steps: float, only: Sequence[str]) -> None:
    photos = pixels(training(), work)
    train = {
        "quality": lambda: train_quality(photos, steps),
        "cast": lambda: train_cast(seen_whole(photos), steps),
        "watermark": lambda: train_watermark(scenes(photos, work), train_drawing(work / "fonts"), steps),
    }
    save({name: train[name]() if name in only else _known(name, weights) for name in NETWORKS}, out)


def _continue(work: Path, weights: Path, out: Path, steps: float, seed: int) -> None:
    others = {name: _known(name, weights) for name in ("quality", "cast")}

    def keep(watermark: WatermarkNetwork) -> None:
        save({**others, "watermark": watermark}, out)

    seen, drawing = scenes(pixels(training(), work), work), train_drawing(work / "fonts")
    keep(train_watermark(seen, drawing, steps, seed, begun(weights), CONTINUED, keep))


def _known(name: str, weights: Path) -> nn.Module:
    """A network with the weights of a file."""
    network, known = NETWORKS[name](), load_file(weights)
    start = f"{name}."
    network.load_state_dict(
        {key.removeprefix(start): each.float() for key, each in known.items() if key.startswith(start)}
    )
    return network


def show(figures: Figures) -> None:
    """As lines of a table."""
    for name, value in figures.items():
        print(f"| {name} | {value:.3f} |")


if __name__ == "__main__":
    main()

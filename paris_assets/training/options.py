"""What the trainers are told on the command line."""

from __future__ import annotations

import argparse
import sys
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import torch

from paris_assets.errors import UsageError, UserError
from paris_assets.models.device import best_device, best_precision, lacking
from paris_assets.training.loader import Loader
from paris_assets.training.loop import ranks, train
from paris_assets.training.networks import PRESETS
from paris_assets.training.task import Recipe, Task

MakeTask = Callable[[argparse.Namespace, torch.device], Task]


def run(
    parser: argparse.ArgumentParser, arguments: Sequence[str] | None, room: Callable[[Any], str], make: MakeTask
) -> int:
    """Train what the arguments say; 0 when it is done, 2 where it cannot be.

    Args:
        room: name of the folder below ``--out``, by the arguments.
        make: the task, once the device is known.
    """
    given = parser.parse_args(arguments)
    try:
        device, bf16 = placed(given.device, given.precision)
        recipe = Recipe(
            bf16=bf16, **{name: getattr(given, name) for name in Recipe.__dataclass_fields__ if name != "bf16"}
        )
        with ranks(device) as own:
            train(make(given, own), recipe, Path(given.out) / room(given), own, lambda line: print(line, flush=True))
    except UserError as error:
        print(error, file=sys.stderr)
        return 2
    return 0


def placed(device: str, precision: str) -> tuple[torch.device, bool]:
    """The device, and whether bf16 is computed there.

    Raises:
        UsageError: this machine has no such device.
    """
    found = best_device() if device == "auto" else device
    if lack := lacking(found, "fp32"):
        raise UsageError(f"--device {device}: {lack}")
    kind = torch.device(found).type
    wanted = (best_precision(kind) if kind == "cuda" else "fp32") if precision == "auto" else precision
    return torch.device(found), wanted == "bf16"


def add_options(parser: argparse.ArgumentParser, preset: str, batch_size: int) -> None:
    """Options that experts and the router share."""
    add = parser.add_argument
    add("--root", required=True, help="a root, its manifest, or a folder of training files; a path or URL")
    add("--out", required=True, help="folder of networks; checkpoints and the log go into a folder in it")
    add("--preset", choices=PRESETS, default=preset, help=f"size of the network ({preset})")
    add("--batch-size", type=at_least(1), default=batch_size, help=f"samples on each device ({batch_size})")
    add("--accumulate", type=at_least(1), default=1, help="batches of a step (1)")
    add("--steps", type=at_least(1), default=100_000, help="in all, those before a checkpoint included (100000)")
    add("--rate", type=at_least(0.0), default=1e-4, help="learning rate (0.0001)")
    add("--warmup", type=at_least(0), default=1000, help="steps in which the rate is reached (1000)")
    add("--decay", type=at_least(0.0), default=0.0, help="of weights (0)")
    add("--clip", type=at_least(0.0), default=1.0, help="largest norm of the gradient (1)")
    add("--ema", type=at_least(0.0), default=0.9999, help="share of averaged weights that a step keeps (0.9999)")
    add("--save-every", type=at_least(1), default=1000, help="steps between checkpoints (1000)")
    add("--keep", type=at_least(1), default=2, help="checkpoints that stay (2)")
    add("--log-every", type=at_least(1), default=50, help="steps between lines of log.jsonl (50)")
    add("--validate-every", type=at_least(0), default=1000, help="steps; 0: the split is not asked for (1000)")
    add("--validation-samples", type=at_least(1), default=256, help="most samples of a validation (256)")
    add("--seed", type=int, default=0, help="of order, first weights, times and noise (0)")
    add("--device", default="auto", help="auto: a GPU where there is one")
    add("--precision", choices=["auto", "bf16", "fp32"], default="auto", help="auto: bf16 on a GPU that has it")
    add("--workers", type=at_least(0), default=0, help="processes that read ahead (0)")
    add("--cache", help="local folder for copies of a remote root's files")


def reads_ahead(dataset: Any, given: argparse.Namespace, device: torch.device) -> Loader:
    """The loader of training batches."""
    return Loader(dataset, given.workers, pin_memory=device.type == "cuda")


def at_least(least: int | float) -> Callable[[str], Any]:
    """Reads a number of the same kind, which is not smaller."""

    def read(text: str) -> Any:
        value = type(least)(text)
        if not value >= least:
            raise argparse.ArgumentTypeError(f"{text} is not {least} or more")
        return value

    return read

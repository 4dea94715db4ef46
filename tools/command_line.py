"""What the command lines of the tools share that collect photos, train networks and evaluate them."""

import argparse
from pathlib import Path
from typing import Any

from tools.small_vae.photos import WORK


def command_line(tool: str, description: str | None, work: str) -> tuple[argparse.ArgumentParser, Any]:
    """The parser of a tool with `--work` and `--threads`, and what its commands are added to; `collect` is one.

    Args:
        tool: name of its package.
        work: what the folder is of.
    """
    parser = argparse.ArgumentParser(
        prog=f"python -m tools.{tool}", description=description, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--work", type=Path, default=WORK, help=f"folder of {work} ({WORK})")
    parser.add_argument("--threads", type=int, default=1, help="of torch (1)")
    commands = parser.add_subparsers(dest="command", required=True)
    commands.add_parser("collect")
    return parser, commands


def add_weights(command: argparse.ArgumentParser, shipped: Path) -> None:
    """`--weights` of a command that evaluates."""
    command.add_argument("--weights", type=Path, default=shipped, help="file of weights (the shipped)")

"""The arguments of `paris lint`, `paris diff` and `paris takedown`."""

from __future__ import annotations

import argparse
from collections.abc import Callable
from typing import Any

EXAMPLES = {
    "lint": (
        "examples:\n  paris lint data/runs/mine\n  paris lint 'tars/*.tar' --members jpg,txt\n"
        "  paris lint s3://BUCKET/mds --json"
    ),
    "diff": (
        "examples:\n  paris diff data/runs/mine data/runs/other\n  paris diff old_manifest.json data/runs/mine --json"
    ),
    "takedown": (
        "examples:\n  paris takedown https://photos.example/1.jpg --root data/runs/mine --dry-run\n"
        '  paris takedown requests.txt --root data/runs/mine --reason "asked by the photographer"'
    ),
}
LINT = (
    "Looks into tars and MDS shards, of this project or any other: names, order of members, arrays, JSON, hashes, and\n"
    "what shows only when files are held against each other. One line per problem. Status 0: none, 1: problems,\n"
    "2: not looked into."
)
DIFF = (
    "Explains what changed: settings, code, models, source rows, counts and rejects of every stage, files; between\n"
    "two roots also which images came, went or moved, and why. Status 0: the same, 1: different."
)
TAKEDOWN = (
    "Removes images from every table, tar, array, page and the manifest of a root, and keeps the same bytes, and the\n"
    "same addresses, out of later runs. All else stays as it is. Goes on where it was stopped; so does `paris run`."
)
Command = Callable[[str, str, str], argparse.ArgumentParser]
"""(name, what it is, description) -> its parser."""


def add_commands(command: Command, count: Callable[[str], Any]) -> None:
    """Add the three commands.

    Args:
        count: type of whole numbers.
    """
    _add_lint(command("lint", "what is wrong with WebDataset tars or MDS folders, whoever wrote them", LINT), count)
    diff = command("diff", "what changed between two runs", DIFF)
    for name, which in (("before", "A"), ("after", "B")):
        diff.add_argument(name, metavar=which, help="a root, or the path or URL of its pipeline_manifest.json")
    diff.add_argument("--full", action="store_true", help="every file, setting and image, not the first of each")
    diff.add_argument("--json", action="store_true", help="print the answer as JSON")
    _add_takedown(command("takedown", "take images out of all that was made, and keep them out", TAKEDOWN), count)


def _add_lint(lint: argparse.ArgumentParser, count: Callable[[str], Any]) -> None:
    lint.add_argument("paths", nargs="+", metavar="PATH", help="tar, MDS folder, folder of these, pattern or URL")
    lint.add_argument("--members", metavar="FIELDS", help="what every sample has (default: what nearly all have)")
    lint.add_argument("--most", type=count, default=20, metavar="N", help="problems of a kind listed of a file (20)")
    lint.add_argument(
        "--workers", type=count, default=0, metavar="N", help="files at a time (default: as many as cores)"
    )
    lint.add_argument("--json", action="store_true", help="print the answer as JSON")


def _add_takedown(takedown: argparse.ArgumentParser, count: Callable[[str], Any]) -> None:
    takedown.add_argument(
        "named",
        nargs="+",
        metavar="URL|IMAGE_ID|UID|FILE|row:N",
        help="addresses, ids, image files (whose bytes count), or text files with one of these a line",
    )
    takedown.add_argument("--root", metavar="DIR|URL")
    takedown.add_argument("--reason", metavar="TEXT", help="why, for the root's own list")
    takedown.add_argument(
        "--copies",
        choices=["remove", "keep"],
        default="remove",
        help="near copies that were found: take them down, too (default), or let the best of them take its place",
    )
    takedown.add_argument("--workers", type=count, default=1, metavar="N", help="worker processes")
    takedown.add_argument("--dry-run", action="store_true", help="say what would be taken down, and stop")
    takedown.add_argument("--record-only", action="store_true", help="leave the work to the next `paris run`")

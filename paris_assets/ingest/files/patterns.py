"""Paths that stand for several: globs, and the braces of shells and of WebDataset (`part-{00000..00003}.tar`)."""

from __future__ import annotations

import glob
import itertools
import re

from paris_assets.ingest.lists.columns import SourceError

BRACES = re.compile(r"\{(-?\d+\.\.-?\d+|[^{}/]*,[^{}/]*)\}")
MOST_NAMES = 1_000_000


def is_pattern(path: str) -> bool:
    """Whether a path has letters that patterns are made of."""
    return glob.has_magic(path) or BRACES.search(path) is not None


def as_glob(pattern: str) -> str:
    """A glob that matches all that a pattern does, and perhaps more."""
    return re.sub(r"[*\0]*\0[*\0]*", "*", BRACES.sub("\0", pattern))  # `**` would be all folders


def names(pattern: str) -> list[str]:
    """What the braces of a pattern stand for, in their order; the pattern itself where it has none.

    Raises:
        SourceError: more than a million names.
    """
    parts = [_choices(part) if place % 2 else [part] for place, part in enumerate(BRACES.split(pattern))]
    count = 1
    for part in parts:
        count *= len(part)
    if count > MOST_NAMES:
        raise SourceError(f"{pattern} stands for {count} names: give a glob or a folder")
    return ["".join(chosen) for chosen in itertools.product(*parts)]


def _choices(within: str) -> list[str]:
    """Of `a,b`, or of `00..12`: numbers as long as the longer end where one of them begins with a zero."""
    if "," in within:
        return within.split(",")
    first, last = within.split("..")
    if abs(int(first) - int(last)) > MOST_NAMES:
        raise SourceError(f"{{{within}}} stands for {abs(int(first) - int(last)) + 1} names: give a glob or a folder")
    padded = any(end.lstrip("-").startswith("0") and len(end.lstrip("-")) > 1 for end in (first, last))
    width = max(len(first), len(last)) if padded else 0
    step = 1 if int(first) <= int(last) else -1
    return [f"{number:0{width}d}" for number in range(int(first), int(last) + step, step)]

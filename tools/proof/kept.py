"""Figures that are kept as JSON, so that what was done is not done again, and how few of them a page needs."""

from __future__ import annotations

import json
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

import polars as pl

DIGITS = 6
PROBE = (
    "samples",
    "held_out",
    "held_out_groups",
    "sizes",
    "groups",
    "trained_groups",
    "visible_effect",
    "loss",
    "own_below_others",
    "own_below_common",
    "mixtures",
    "monolith",
    "without_training",
    "finite",
)
DIAGONAL = ("statistic", "null_error", "z", "p", "row_minima", "clusters")
ROUTER = ("accuracy", "balanced", "nll", "prior_entropy", "chance", "majority", "permuted", "not_upscaled")

Probed = tuple[pl.DataFrame, dict[str, Any]]


class Kept:
    """A folder of tables and figures, each made once for the same inputs.

    Args:
        inputs: what figures depend on; where they differ from those of the folder, all is made anew.
    """

    def __init__(self, folder: Path, inputs: Mapping[str, Any]) -> None:
        self._folder, self._inputs = folder, json.loads(json.dumps(inputs))
        folder.mkdir(parents=True, exist_ok=True)
        marked = folder / "inputs.json"
        if not marked.exists() or json.loads(marked.read_text()) != self._inputs:
            for path in folder.glob("*.figures.json"):
                path.unlink()
            marked.write_text(json.dumps(self._inputs))

    def figures(self, name: str, make: Callable[[], dict[str, Any]]) -> dict[str, Any]:
        """What ``make`` gives, from the file that is there or made now."""
        path = self._folder / f"{name}.figures.json"
        if not path.exists():
            whole = json.dumps(make())
            path.with_suffix(".part").write_text(whole)
            path.with_suffix(".part").rename(path)
        return json.loads(path.read_text())

    def probed(self, name: str, make: Callable[[], Probed]) -> Probed:
        """The same of a table with figures."""
        path = self._folder / f"{name}.parquet"

        def figures() -> dict[str, Any]:
            table, found = make()
            table.write_parquet(path)
            return found

        found = self.figures(name, figures)
        return pl.read_parquet(path), found


def short(figures: Mapping[str, Any]) -> dict[str, Any]:
    """Of the figures of a probe those that are published."""
    one = figures["one_per_photo"]
    return rounded(
        {
            **{name: figures[name] for name in PROBE},
            "diagonal": {name: figures["diagonal"][name] for name in DIAGONAL},
            "router": {name: figures["router"][name] for name in ROUTER},
            "one_per_photo": {
                "held_out": one["held_out"],
                "own_below_others": one["own_below_others"],
                "diagonal": {name: one["diagonal"][name] for name in DIAGONAL},
            },
        }
    )


def rounded(value: Any) -> Any:
    """Numbers of JSON values with six digits."""
    if isinstance(value, dict):
        return {name: rounded(part) for name, part in value.items()}
    if isinstance(value, list):
        return [rounded(part) for part in value]
    return float(f"{value:.{DIGITS}g}") if isinstance(value, float) else value

"""The probe's findings as one picture: differences with their intervals, and the pruning curve."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from matplotlib.axes import Axes
from matplotlib.figure import Figure

from paris_assets.pages.charts import GREEN, GREY, INK, RED, plain, png
from paris_assets.pool.comparisons import Comparison, CurvePoint

GAIN, LOSS, NONE = GREEN, RED, GREY


def chart(comparisons: Sequence[Comparison], curve: Sequence[CurvePoint]) -> bytes:
    """PNG."""
    figure = Figure(figsize=(10, 2.2 + 0.34 * len(comparisons) + (3.2 if curve else 0)), layout="constrained")
    panels = np.atleast_1d(figure.subplots(2 if curve else 1, 1))
    _differences(panels[0], comparisons)
    if curve:
        _curve(panels[1], curve)
    return png(figure)


def _differences(axes: Axes, comparisons: Sequence[Comparison]) -> None:
    for place, one in enumerate(comparisons):
        found, colour = one.gain, {1: GAIN, 0: NONE, -1: LOSS}[one.gain.sign]
        axes.plot([found.low, found.high], [place, place], color=colour, lw=2.2, solid_capstyle="butt")
        axes.plot(found.difference, place, "o", color=colour)
    names = [f"{one.subset} less {one.others}" for one in comparisons]
    axes.set_yticks(range(len(names)), names, parse_math=False, fontsize=8.5)
    axes.invert_yaxis()
    axes.axvline(0, color=INK, lw=0.8)
    plain(axes, "Difference of recall at 1, paired by seed (grey: nothing shown)")


def _curve(axes: Axes, curve: Sequence[CurvePoint]) -> None:
    percent = [100 * point.fraction for point in curve]
    for words, colour, of in (
        ("best first", GAIN, [point.best for point in curve]),
        ("random", NONE, [point.random or point.best for point in curve]),
    ):
        mean, low, high = np.array(of).T
        axes.errorbar(percent, mean, [mean - low, high - mean], color=colour, marker="o", capsize=3, label=words)
    plain(axes, "Recall at 1 by kept share", "kept share of the ranked rows, %")
    axes.legend(frameon=False)

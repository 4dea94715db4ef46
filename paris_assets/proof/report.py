"""The report of the proof: charts, tables, sampled latents beside real ones, and what the figures do and do not say."""

from __future__ import annotations

import base64
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from PIL import Image

from paris_assets.pages.charts import BLUE, GREEN, GREY, INK, ORANGE, RED, plain, png
from paris_assets.pages.environment import pages
from paris_assets.pages.pictures import encoded
from paris_assets.proof.sentences import sentences
from paris_assets.settings.training_probe import TrainingProbe

SIDE = 160
MOST_NAMED, DARK = 16, 0.65
LINES = {"untrained": GREY, "others": ORANGE, "common": BLUE, "own": GREEN, "monolith": RED}
NAMES = {
    "untrained": "untrained",
    "others": "other experts",
    "common": "common network, trained on as long",
    "own": "own expert",
    "monolith": "monolith, trained on for the steps of all experts",
    "top_1": "top-1",
    "top_2": "top-2",
    "full": "full mixture",
    "uniform": "uniform mixture",
}


def chart(figures: Mapping[str, Any]) -> bytes:
    """PNG: losses and differences by time, expert x cluster, router by time, confusion, mixtures."""
    figure = Figure(figsize=(13, 11), layout="constrained")
    panels = figure.subplots(3, 2)
    _losses(panels[0, 0], figures)
    _differences(panels[0, 1], figures)
    diagonal, router = figures["diagonal"], figures["router"]
    _matrix(
        panels[1, 0],
        100 * np.array(diagonal["centred"], float) / np.mean(np.array(diagonal["matrix"], float)),
        diagonal["clusters"],
        "Loss of cluster (row) by expert (column), double-centred, %",
        ".1f",
    )
    _router(panels[1, 1], figures)
    confusion = np.array(router["confusion"], float)
    _matrix(
        panels[2, 0],
        100 * confusion / confusion.sum(1, keepdims=True),
        diagonal["clusters"],
        f"Router at t = {figures['times'][0]}: cluster (row) to expert (column), %",
        ".0f",
    )
    _mixtures(panels[2, 1], figures)
    return png(figure)


def page(
    figures: Mapping[str, Any], picture: bytes, shown: Mapping[str, Sequence[np.ndarray]], settings: TrainingProbe
) -> str:
    """HTML, complete in itself.

    Args:
        picture: PNG of ``chart``.
        shown: kind -> decoded latents, (height, width, 3) uint8; empty where none are shown.
    """
    template = pages(Path(__file__).parent).get_template("training_probe.html.jinja")
    return template.render(
        figures=figures,
        settings=settings,
        sentences=sentences(figures, settings),
        names=NAMES,
        chart=_uri("png", picture),
        shown={name: [_small(pixels) for pixels in pictures] for name, pictures in shown.items()},
    )


def refusal(figures: Mapping[str, Any]) -> str:
    """HTML in place of the report where nothing was trained: why, and of which manifest."""
    template = pages(Path(__file__).parent).get_template("nothing_trained.html.jinja")
    return template.render(figures=figures)


def _losses(axes: Axes, figures: Mapping[str, Any]) -> None:
    for name, colour in LINES.items():
        axes.plot(
            figures["times"], _numbers(figures["loss"][name]), "o-", color=colour, ms=4, lw=1.6, label=NAMES[name]
        )
    plain(axes, "Loss of held-out images by time", "t (1 is noise)")
    axes.legend(frameon=False, fontsize=8)


def _differences(axes: Axes, figures: Mapping[str, Any]) -> None:
    parts = figures["own_below_others"]["by_time"]
    mean, low, high = (100 * _numbers([part[name] for part in parts]) for name in ("mean", "low", "high"))
    axes.errorbar(figures["times"], mean, [mean - low, high - mean], color=GREEN, marker="o", ms=4, capsize=3)
    axes.axhline(0, color=INK, lw=0.8)
    plain(axes, "Own expert below other experts, % of their loss", "t; bars are intervals over duplicate groups")


def _matrix(axes: Axes, values: np.ndarray, clusters: Sequence[int], title: str, form: str) -> None:
    reach = float(np.nanmax(np.abs(values))) or 1.0
    axes.imshow(values, cmap="RdBu_r", vmin=-reach, vmax=reach, aspect="auto")
    for row, column in np.ndindex(*values.shape) if len(clusters) <= MOST_NAMED else ():
        value = values[row, column]
        ink = "white" if abs(value) > DARK * reach else INK
        axes.text(column, row, format(value, form), ha="center", va="center", fontsize=7, color=ink)
    axes.set_xticks(range(len(clusters)), list(map(str, clusters)))
    axes.set_yticks(range(len(clusters)), list(map(str, clusters)))
    plain(axes, title)


def _router(axes: Axes, figures: Mapping[str, Any]) -> None:
    router = figures["router"]
    for name, colour, words in (("accuracy", BLUE, "accuracy"), ("balanced", GREEN, "balanced accuracy")):
        parts = router[name]
        mean, low, high = (_numbers([part[end] for part in parts]) for end in ("mean", "low", "high"))
        axes.errorbar(
            figures["times"], mean, [mean - low, high - mean], color=colour, marker="o", ms=4, capsize=3, label=words
        )
    axes.axhline(router["majority"], color=GREY, lw=1, ls=(0, (4, 3)), label="always the largest cluster")
    axes.axhline(router["chance"], color=RED, lw=1, ls=(0, (1, 2)), label="chance, balanced")
    plain(axes, "Router by time", "t (1 is noise)")
    low, high = axes.get_ylim()
    axes.set_ylim(low, high + 0.3 * (high - low))  # else the legend lies over the lines
    axes.legend(frameon=False, fontsize=8, loc="upper center", ncols=2)


def _mixtures(axes: Axes, figures: Mapping[str, Any]) -> None:
    names = list(figures["mixtures"])
    for place, name in enumerate(names):
        found = figures["mixtures"][name]["less_monolith"]
        mean, low, high = _numbers([found[end] for end in ("mean", "low", "high")])
        colour = GREEN if high < 0 else RED if low > 0 else GREY
        axes.plot([low, high], [place, place], color=colour, lw=2.2)
        axes.plot(mean, place, "o", color=colour)
    axes.set_yticks(range(len(names)), [NAMES[name] for name in names])
    axes.invert_yaxis()
    axes.axvline(0, color=INK, lw=0.8)
    plain(axes, "Loss less that of the monolith, paired (grey: nothing shown)", "mean squared error; left is better")


def _numbers(values: Sequence[float | None]) -> np.ndarray:
    return np.array([np.nan if value is None else value for value in values], float)


def _small(pixels: np.ndarray) -> str:
    picture = Image.fromarray(pixels)
    picture.thumbnail((SIDE, SIDE), Image.Resampling.LANCZOS)
    return _uri("webp", encoded(picture, "WEBP"))


def _uri(kind: str, data: bytes) -> str:
    return f"data:image/{kind};base64,{base64.b64encode(data).decode()}"

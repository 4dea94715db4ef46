"""Charts that compare numbers of clusters."""

from __future__ import annotations

import io
from typing import Any

from matplotlib.figure import Figure

INK, BLUE, RED = "#1c1b1a", "#0072B2", "#D55E00"


def charts(sweep: dict[str, Any], panels: dict[str, str], unit: str) -> dict[str, bytes]:
    """Figure -> PNG of it over k, the recommended k marked.

    Args:
        sweep: ``figures`` (``k`` and those of the panels, by rising k), and ``k``, the recommended one.
        panels: figure -> title.
        unit: what there are k of.
    """
    return {name: _chart(sweep, name, title, unit) for name, title in panels.items()}


def _chart(sweep: dict[str, Any], name: str, title: str, unit: str) -> bytes:
    points = [(row["k"], row[name]) for row in sweep["figures"] if row[name] is not None]
    figure = Figure(figsize=(5.2, 3.2), layout="constrained")
    axes = figure.subplots()
    axes.plot([k for k, _ in points], [value for _, value in points], "o-", color=BLUE, lw=1.6, ms=5)
    axes.axvline(sweep["k"], color=RED, lw=1, ls=(0, (4, 3)))
    ks = [row["k"] for row in sweep["figures"]]
    axes.set_xscale("log", base=2)
    axes.set_xticks(ks, [str(k) for k in ks], fontsize=8)
    axes.minorticks_off()
    axes.tick_params(labelsize=8)
    axes.spines[["top", "right"]].set_visible(False)
    axes.set_xlabel(f"{unit} k (dashed: recommended)", fontsize=8.5, color=INK)
    axes.set_title(title, fontsize=9.5, loc="left", color=INK)
    file = io.BytesIO()
    figure.savefig(file, format="png", dpi=110, metadata={"Software": None})
    return file.getvalue()

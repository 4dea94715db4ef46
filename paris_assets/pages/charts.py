"""What charts share: colours that any colour vision tells apart, plain axes, and files without metadata."""

from __future__ import annotations

import io

from matplotlib.axes import Axes
from matplotlib.figure import Figure

# Okabe & Ito (2008).
BLUE, ORANGE, GREEN, RED, GREY = "#0072B2", "#E69F00", "#009E73", "#D55E00", "#7F7F7F"
INK, SOFT, LINE = "#1c1b1a", "#6b6762", "#d9d5cf"


def plain(axes: Axes, title: str, below: str = "") -> None:
    """A title on the left, no frame above and on the right, and what the horizontal axis shows."""
    axes.set_title(title, loc="left", fontsize=11, color=INK)
    axes.spines[["top", "right"]].set_visible(False)
    axes.tick_params(labelsize=8)
    if below:
        axes.set_xlabel(below, fontsize=8.5, color=SOFT)


def png(figure: Figure) -> bytes:
    """The figure as a PNG file that is the same for the same figure."""
    file = io.BytesIO()
    figure.savefig(file, format="png", dpi=120, metadata={"Software": None}, facecolor="white")
    return file.getvalue()

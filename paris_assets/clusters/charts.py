"""Charts of a clustering: sizes, silhouettes, and a map in two dimensions."""

from __future__ import annotations

import colorsys
from collections.abc import Sequence

import numpy as np
from matplotlib.axes import Axes
from matplotlib.figure import Figure

from paris_assets.pages.charts import INK, LINE, SOFT, png

# Okabe & Ito (2008), told apart with any colour vision; the yellow is darkened for white paper.
PALETTE = ("#0072B2", "#E69F00", "#009E73", "#CC79A7", "#56B4E9", "#D55E00", "#C8B400", "#7F7F7F")
TALLEST = 60  # inches: a picture has less than 65,536 pixels in height


def colour(cluster: int) -> str:
    """``#rrggbb`` of a cluster; after eight the palette comes again, lighter, then darker: numbers tell those apart."""
    base, turn = PALETTE[cluster % len(PALETTE)], cluster // len(PALETTE) % 3
    if not turn:
        return base
    red, green, blue = (int(base[at : at + 2], 16) / 255 for at in (1, 3, 5))
    hue, light, saturation = colorsys.rgb_to_hls(red, green, blue)
    shade = colorsys.hls_to_rgb(hue, light + (1 - light) * 0.45 if turn == 1 else light * 0.55, saturation)
    return "#" + "".join(f"{round(255 * part):02x}" for part in shade)


def sizes_chart(shares: Sequence[float], images: Sequence[int], names: Sequence[str]) -> bytes:
    """PNG: one bar per cluster, with the even share as a line."""
    figure = Figure(figsize=(9, min(1.2 + 0.34 * len(shares), TALLEST)), layout="constrained")
    axes = figure.subplots()
    rows, box = np.arange(len(shares)), {"fc": "white", "ec": "none", "pad": 0.5}
    axes.barh(rows, [100 * share for share in shares], color=[colour(row) for row in range(len(shares))], height=0.72)
    for row, (share, count) in enumerate(zip(shares, images, strict=True)):
        axes.text(100 * share, row, f"  {count:,} · {share:.1%}", va="center", fontsize=8.5, color=INK, bbox=box)
    axes.axvline(100 / len(shares), color=INK, lw=0.9, ls=(0, (4, 3)), zorder=1.5)
    axes.set_yticks(
        rows,
        [_label(row, name) for row, name in enumerate(names)],
        parse_math=False,
        fontsize=min(8.5, 3600 / len(shares)),
    )
    axes.invert_yaxis()
    axes.set_xlim(0, max(100 * max(shares) * 1.2, 1))
    axes.set_xlabel("share of images, % (dashed: an even split)", fontsize=8.5)
    return _png(figure, axes, "Cluster sizes")


def silhouette_chart(silhouettes: np.ndarray, labels: np.ndarray, k: int) -> bytes:
    """PNG: the sorted silhouettes (n,) of each cluster's sample images, one band per cluster."""
    figure = Figure(figsize=(9, min(1.4 + 0.5 * k, TALLEST)), layout="constrained")
    axes = figure.subplots()
    height = max(4.0, len(labels) / max(k, 1) * 0.12)
    base, ticks = 0.0, []
    for cluster in range(k):
        values = np.sort(silhouettes[labels == cluster])[::-1]
        axes.fill_betweenx(base + np.arange(len(values)), 0, values, color=colour(cluster), lw=0, step="mid")
        ticks.append(base + len(values) / 2)
        base += len(values) + height
    if np.isfinite(silhouettes).any():
        axes.axvline(float(np.nanmean(silhouettes)), color=INK, lw=0.9, ls=(0, (4, 3)))
    axes.axvline(0, color=INK, lw=0.6)
    axes.set_yticks(ticks, [str(cluster) for cluster in range(k)], fontsize=min(8.5, 3600 / k))
    axes.invert_yaxis()
    axes.set_xlabel("silhouette (cosine) of each image; dashed: the mean", fontsize=8.5)
    return _png(figure, axes, "Silhouette per cluster")


def map_chart(places: np.ndarray, labels: np.ndarray, k: int) -> bytes:
    """PNG: the images at ``places`` (n, 2), coloured by cluster, each cluster's number at its middle."""
    figure = Figure(figsize=(9, 6.4), layout="constrained")
    axes = figure.subplots()
    axes.scatter(*places.T, s=16, c=[colour(label) for label in labels], lw=0, alpha=0.85)
    for cluster in range(k):
        if (labels == cluster).any():
            middle = np.median(places[labels == cluster], axis=0)
            box = {"boxstyle": "round,pad=0.3", "fc": "white", "ec": colour(cluster), "lw": 1.4}
            axes.text(middle[0], middle[1], str(cluster), ha="center", va="center", fontsize=10, color=INK, bbox=box)
    axes.set_xticks([])
    axes.set_yticks([])
    return _png(figure, axes, "Map of the images (t-SNE)")


def _label(cluster: int, name: str) -> str:
    return f"{cluster}  {name[:36]}"


def _png(figure: Figure, axes: Axes, title: str) -> bytes:
    axes.set_title(title, loc="left", fontsize=12, fontweight="bold", color=INK)
    axes.spines[["top", "right"]].set_visible(False)
    for spine in axes.spines.values():
        spine.set_color(LINE)
    axes.tick_params(color=LINE, labelcolor=SOFT)
    return png(figure)

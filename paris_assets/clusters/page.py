"""The HTML page of the report: one file, no requests, and no script but that of its map."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np

from paris_assets.clusters import charts, map_points
from paris_assets.clusters.contents import Contents
from paris_assets.clusters.map_points import Mapped
from paris_assets.pages.environment import pages
from paris_assets.pages.pictures import WEBP_SIDE, Pictures

TEMPLATE = "report.html.jinja"
CARDS = 60
FEW = 16
"""Clusters up to which cards hold all pictures of the grid; of more, fewer and smaller ones: the page stays small."""
ROWS_AND_IMAGES = (
    "A row is a line of the source; an image is one content, which several rows may have. Each line says what came in, "
    "and by which reasons it is more than what went on."
)


def render(
    findings: dict[str, Any], contents: Contents, silhouettes: np.ndarray, mapped: Mapped, pictures: Pictures
) -> str:
    """The page.

    Args:
        findings: what ``cluster_report.json`` holds.
        silhouettes: (n,) of the sample.
    """
    environment = pages(Path(__file__).parent)
    environment.filters["name"] = contents.name
    clusters = findings["clusters"]
    largest = sorted(clusters, key=lambda row: (-row["images"], row["cluster"]))[:CARDS]
    for image in findings["between"]:
        pictures.tile(image["image_id"])  # kept, so that the map does not read them again
    few = len(largest) <= FEW
    zero, bands = _bands(silhouettes, contents.labels, len(clusters))
    return environment.get_template(TEMPLATE).render(
        **findings,
        cards=sorted(largest, key=lambda row: row["cluster"]),
        tiles_per_card=25 if few else 10,
        tile_side=WEBP_SIDE if few else 96,
        colours=[charts.colour(row["cluster"]) for row in clusters],
        points=map_points.points(mapped, contents.caption, pictures),
        map=map_points,
        rows_and_images=ROWS_AND_IMAGES,
        zero=zero,
        bands=bands,
        picture=pictures.uri,
    )


def _bands(silhouettes: np.ndarray, labels: np.ndarray, k: int) -> tuple[float, list[str]]:
    """Sorted silhouettes as SVG shapes of one scale in a box of 100 x 40: y of zero, and an outline per cluster."""
    known = np.nan_to_num(silhouettes)
    high, low = max(float(known.max()), 0.02), min(float(known.min()), -0.02)
    zero = 40 * high / (high - low)
    outlines = []
    for cluster in range(k):
        values = np.sort(known[labels == cluster])[::-1]
        steps = np.linspace(0, 100, len(values) + 1)
        corners = [
            (x, zero - 40 * value / (high - low))
            for left, right, value in zip(steps[:-1], steps[1:], values, strict=True)
            for x in (left, right)
        ]
        outlines.append(" ".join(f"{x:.1f},{y:.1f}" for x, y in [(0.0, zero), *corners, (100.0, zero)]))
    return round(zero, 1), outlines

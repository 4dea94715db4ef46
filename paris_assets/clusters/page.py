"""The HTML page of the report: one file, no requests, no script."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np

from paris_assets.clusters import charts
from paris_assets.clusters.contents import Contents
from paris_assets.pages.environment import pages
from paris_assets.pages.pictures import Pictures

TEMPLATE = "report.html.jinja"
MAP_WIDTH, MAP_HEIGHT, MAP_MARGIN = 1000, 640, 30
MAP_TILE, MAP_SPACING, MAP_PICTURES = 34, 37, 240
CARDS = 60
ROWS_AND_IMAGES = (
    "A row is a line of the source; an image is one content, which several rows may have. Each line says what came in, "
    "and by which reasons it is more than what went on."
)


def render(
    findings: dict[str, Any], contents: Contents, silhouettes: np.ndarray, places: np.ndarray, pictures: Pictures
) -> str:
    """The page.

    Args:
        findings: what ``cluster_report.json`` holds.
        silhouettes: (n,) of the sample.
        places: (m <= n, 2) in [0, 1], of the first of the sample.
    """
    environment = pages(Path(__file__).parent)
    environment.filters["name"] = contents.name
    clusters = findings["clusters"]
    largest = sorted(clusters, key=lambda row: (-row["images"], row["cluster"]))[:CARDS]
    zero, bands = _bands(silhouettes, contents.labels, len(clusters))
    return environment.get_template(TEMPLATE).render(
        **findings,
        cards=sorted(largest, key=lambda row: row["cluster"]),
        tiles_per_card=25 if len(largest) <= 16 else 10,
        colours=[charts.colour(row["cluster"]) for row in clusters],
        points=_points(contents, places, pictures),
        rows_and_images=ROWS_AND_IMAGES,
        zero=zero,
        bands=bands,
        width=MAP_WIDTH,
        height=MAP_HEIGHT,
        tile=MAP_TILE,
        picture=pictures.uri,
    )


def _points(contents: Contents, places: np.ndarray, pictures: Pictures) -> list[dict[str, Any]]:
    """Points of the map, those with a picture last; pictures go to points that have room for them."""
    spots = _spots(places)
    room: list[np.ndarray] = []
    points = []
    for row, spot in enumerate(spots):
        free = len(room) < MAP_PICTURES and all(np.abs(spot - other).max() >= MAP_SPACING for other in room)
        if free:
            room.append(spot)
        name = contents.sample_ids[row]
        points.append(
            {
                "x": round(float(spot[0]), 1),
                "y": round(float(spot[1]), 1),
                "cluster": int(contents.labels[row]),
                "caption": contents.caption(name),
                "picture": pictures.uri(name, 96) if free else None,
            }
        )
    return sorted(points, key=lambda point: point["picture"] is not None)


def _spots(places: np.ndarray) -> np.ndarray:
    size = np.array([MAP_WIDTH, MAP_HEIGHT]) - 2 * MAP_MARGIN
    return MAP_MARGIN + places * size


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

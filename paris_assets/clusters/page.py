"""The HTML page of the report: one file, no requests, no script."""

from __future__ import annotations

import base64
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
from jinja2 import Environment, FileSystemLoader, StrictUndefined
from PIL import Image

from paris_assets.clusters import charts, grids
from paris_assets.clusters.contents import Contents

TEMPLATE = "report.html.jinja"
MAP_WIDTH, MAP_HEIGHT, MAP_MARGIN = 1000, 640, 30
MAP_TILE, MAP_SPACING, MAP_PICTURES = 34, 37, 240
CARDS = 60
WEBP_SIDE = 144
ROWS_AND_IMAGES = (
    "A row is a line of the source; an image is one content, which several rows may have. Each line says what came in, "
    "and by which reasons it is more than what went on."
)


class Pictures:
    """Tiles of images, each read and decoded once."""

    def __init__(self, read: Callable[[str], bytes]) -> None:
        self._read = read
        self._tiles: dict[str, Image.Image] = {}

    def tile(self, image_id: str) -> Image.Image:
        """The square tile of an image, RGB."""
        if image_id not in self._tiles:
            self._tiles[image_id] = grids.tile(self._read(image_id))
        return self._tiles[image_id]

    def uri(self, image_id: str, side: int = WEBP_SIDE) -> str:
        """The tile as a WebP ``data:`` URI, ``side`` pixels wide."""
        small = self.tile(image_id).resize((side, side), Image.Resampling.LANCZOS)
        return "data:image/webp;base64," + base64.b64encode(grids.encoded(small, "WEBP")).decode()


def render(
    findings: dict[str, Any], contents: Contents, silhouettes: np.ndarray, places: np.ndarray, pictures: Pictures
) -> str:
    """The page.

    Args:
        findings: what ``cluster_report.json`` holds.
        silhouettes: (n,) of the sample.
        places: (m <= n, 2) in [0, 1], of the first of the sample.
    """
    environment = Environment(
        loader=FileSystemLoader(Path(__file__).parent),
        autoescape=True,
        undefined=StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
    )
    environment.filters.update(number=_number, name=contents.name)
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


def _number(value: float | None, form: str) -> str:
    """Formatted, with a true minus sign and a space before the per cent sign; a dash for None."""
    return "–" if value is None else format(value, form).replace("-", "−").replace("%", "\u202f%")

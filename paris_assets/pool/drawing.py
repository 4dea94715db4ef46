"""The pruning curve as coordinates of an SVG."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from paris_assets.pool.comparisons import CurvePoint

WIDTH, HEIGHT, LEFT, BOTTOM, TOP, RIGHT = 720, 320, 58, 40, 14, 28
TICKS = 5


def drawn(curve: Sequence[CurvePoint]) -> dict[str, Any]:
    """Lines, dots with error bars, and ticks; the axis of values holds all ends of intervals."""
    series = {"best first": [point.best for point in curve]}
    if any(point.random for point in curve):
        series["random"] = [point.random or point.best for point in curve]
    ends = [end for values in series.values() for _, low, high in values for end in (low, high)]
    low, high = min(ends), max(ends)
    low, high = (low - 0.01, high + 0.01) if high - low < 1e-9 else (low, high)

    def x(fraction: float) -> float:
        return round(LEFT + fraction * (WIDTH - LEFT - RIGHT), 1)

    def y(value: float) -> float:
        return round(HEIGHT - BOTTOM - (value - low) / (high - low) * (HEIGHT - BOTTOM - TOP), 1)

    places = [x(point.fraction) for point in curve]
    return {
        "width": WIDTH,
        "height": HEIGHT,
        "left": LEFT,
        "right": WIDTH - RIGHT,
        "bottom": HEIGHT - BOTTOM,
        "series": [
            {
                "name": name,
                "dots": [
                    {"x": at, "y": y(mean), "low": y(least), "high": y(most), "value": mean, "percent": point.fraction}
                    for at, (mean, least, most), point in zip(places, values, curve, strict=True)
                ],
            }
            for name, values in series.items()
        ],
        "across": [(x(percent / 100), percent) for percent in range(0, 101, 20)],
        "up": [(y(value), value) for value in (low + (high - low) * step / TICKS for step in range(TICKS + 1))],
    }

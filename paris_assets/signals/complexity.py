"""How much there is in a picture: the bytes that a JPEG of it needs."""

from __future__ import annotations

import numpy as np
import polars as pl
import simplejpeg

from paris_assets.compiled import add_product, compiled

SIDE = 256
QUALITY = 75
LONGEST = 65_500  # pixels that a JPEG can have on a side
BITS = 14  # of a weight

ONE, TWO, THREE = np.uint64(1), np.uint64(2), np.uint64(3)


class Complexity:
    """`complexity`: bits per pixel of the picture as a JPEG (libjpeg's quality 75, 4:2:0) at a short side of 256 pixels
    (area means; smaller images as they are).

    After the throw-away encoding of Z-Image's data profile (arXiv 2511.22699). About 0.2 for a blank page, 0.3 for a
    gradient, 5 for noise. Null for images that no JPEG can hold: more than 256 times as long as wide.
    """

    schema = {"complexity": pl.Float64}

    def measure(self, rgb: list[np.ndarray]) -> dict[str, list[float | None]]:
        """See `Signal.measure`."""
        return {"complexity": [complexity(pixels) for pixels in rgb]}


def complexity(rgb: np.ndarray) -> float | None:
    """Bits per pixel of (H, W, 3) uint8 once reduced and encoded."""
    height, width = rgb.shape[:2]
    scale = max(1.0, min(height, width) / SIDE)
    rows, columns = max(1, round(height / scale)), max(1, round(width / scale))
    if max(rows, columns) > LONGEST:
        return None
    small = np.ascontiguousarray(rgb)
    if scale > 1:
        small = area_reduced(small, *area_weights(height, rows), *area_weights(width, columns))
    return 8 * len(simplejpeg.encode_jpeg(small, QUALITY, "RGB", "420")) / (rows * columns)


@compiled
def area_weights(size: int, out: int) -> tuple[np.ndarray, np.ndarray]:
    """How `out` <= `size` values are means of areas: the first value of each, (out,), and weights from there on,
    (out, taps) int32, whose sum is 2^14."""
    taps = min(size // out + 2, size)
    firsts, weights = np.zeros(out, np.int64), np.zeros((out, taps), np.int32)
    for i in range(out):
        start, stop = i * size / out, (i + 1) * size / out
        firsts[i] = min(int(start), size - taps)
        sent, covered = 0, 0.0
        for t in range(taps):
            place = firsts[i] + t
            covered += max(0.0, min(stop, place + 1.0) - max(start, float(place))) * out / size
            weights[i, t] = round(covered * (1 << BITS)) - sent
            sent += weights[i, t]
    return firsts, weights


@compiled
def area_reduced(
    rgb: np.ndarray, tops: np.ndarray, down: np.ndarray, lefts: np.ndarray, across: np.ndarray
) -> np.ndarray:
    """(H, W, 3) uint8 -> (h, w, 3) uint8: means of areas, rounded once.

    Args:
        rgb: contiguous.
        tops, down: `area_weights` of (H, h).
        lefts, across: `area_weights` of (W, w).
    """
    rows, columns, length = len(tops), len(lefts), rgb.shape[1] * 3
    lines, sums = rgb.reshape(rgb.shape[0], length), np.empty(length, np.int32)
    out = np.empty((rows, columns, 3), np.uint8)
    for j in range(rows):
        sums[:] = 32
        for t in range(down.shape[1]):
            weight, line = down[j, t], lines[tops[j] + t]
            for x in range(length):
                sums[x] = add_product(sums[x], weight, np.int32(line[x]))
        for x in range(length):
            sums[x] >>= 6  # 16 bits are left, so that products of the next weights fit 32
        for i in range(columns):
            red, green, blue = np.int32(1 << 21), np.int32(1 << 21), np.int32(1 << 21)
            first = np.uint64(3 * lefts[i])  # without a sign, so that no place is looked at from the end
            for t in range(across.shape[1]):
                weight = across[i, t]
                red = add_product(red, weight, sums[first])
                green = add_product(green, weight, sums[first + ONE])
                blue = add_product(blue, weight, sums[first + TWO])
                first += THREE
            out[j, i, 0], out[j, i, 1], out[j, i, 2] = red >> 22, green >> 22, blue >> 22
    return out

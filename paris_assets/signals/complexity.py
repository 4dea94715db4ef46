"""How much there is in a picture: the bytes that a JPEG of it needs."""

from __future__ import annotations

from functools import lru_cache

import numpy as np
import polars as pl
import simplejpeg

from paris_assets.compiled import add_product, compiled
from paris_assets.signals.copies import greys, samples

SIDE = 256
QUALITY = 75
LONGEST = 65_500  # pixels that a JPEG can have on a side
BITS = 14  # of a weight


class Complexity:
    """`complexity`: bits per pixel of the picture as a JPEG (libjpeg's quality 75, 4:2:0) at a short side of 256 pixels
    (area means; smaller images as they are).

    After the throw-away encoding of Z-Image's data profile (arXiv 2511.22699). About 0.2 for a blank page, 0.3 for a
    gradient, 5 for noise. The chroma, of 128 pixels, is made of the sample of 128 to 255. Null for images that no JPEG
    can hold: more than 256 times as long as wide.
    """

    schema = {"complexity": pl.Float64}

    def measure(self, rgb: list[np.ndarray]) -> dict[str, list[float | None]]:
        """See `Signal.measure`."""
        return {"complexity": [complexity(*each) for each in zip(greys(rgb), samples(rgb), strict=True)]}


def complexity(grey: np.ndarray, sample: np.ndarray) -> float | None:
    """Bits per pixel, once reduced and encoded.

    Args:
        grey: luma, (H, W) uint8.
        sample: R, G, B and luma of its sample, (4, h, w) uint8.
    """
    scale = max(1.0, min(grey.shape) / SIDE)
    height, width = (max(1, round(side / scale)) for side in grey.shape)
    if max(height, width) > LONGEST:
        return None
    luma = np.pad(_reduced(grey, height, width), ((0, height % 2), (0, width % 2)), "edge")  # the encoder reads pairs
    chroma = _chroma(sample, -(-height // 2), -(-width // 2))
    return 8 * len(simplejpeg.encode_jpeg_yuv_planes(luma, *chroma, quality=QUALITY)) / (height * width)


def _reduced(plane: np.ndarray, height: int, width: int) -> np.ndarray:
    if plane.shape == (height, width):
        return plane
    return area_reduced(plane, *_weights(plane.shape[0], height), *_weights(plane.shape[1], width))


@compiled
def _chroma(sample: np.ndarray, rows: int, columns: int) -> np.ndarray:
    """Cb and Cr (ITU-T T.871) at the middles of equal areas, (2, rows, columns), of R, G, B, luma, (4, h, w) uint8."""
    _, height, width = sample.shape
    out, places = np.empty((2, rows, columns), np.uint8), (2 * np.arange(columns) + 1) * width // (2 * columns)
    for j in range(rows):
        y = (2 * j + 1) * height // (2 * rows)
        for i, x in enumerate(places):
            luma = np.int64(sample[3, y, x])
            cb = ((np.int64(sample[2, y, x]) - luma) * 36_984 + (128 << 16) + 32_768) >> 16
            cr = ((np.int64(sample[0, y, x]) - luma) * 46_745 + (128 << 16) + 32_768) >> 16
            out[0, j, i], out[1, j, i] = min(max(cb, 0), 255), min(max(cr, 0), 255)
    return out


@compiled
def area_weights(size: int, out: int) -> tuple[np.ndarray, np.ndarray]:
    """How `out` <= `size` values are means of areas.

    Returns:
        The first value of each, (out,) uint64 (no place is looked at from the end), and weights from there on,
        (taps, out) int32, whose sums are 2^14.
    """
    taps = min(size // out + 2, size)
    firsts, weights = np.zeros(out, np.uint64), np.zeros((taps, out), np.int32)
    for i in range(out):
        start, stop = i * size / out, (i + 1) * size / out
        first = min(int(start), size - taps)
        sent, covered = 0, 0.0
        for t in range(taps):
            place = first + t
            covered += max(0.0, min(stop, place + 1.0) - max(start, float(place))) * out / size
            weights[t, i] = round(covered * (1 << BITS)) - sent
            sent += weights[t, i]
        firsts[i] = first
    return firsts, weights


@compiled
def area_reduced(
    plane: np.ndarray, tops: np.ndarray, down: np.ndarray, lefts: np.ndarray, across: np.ndarray
) -> np.ndarray:
    """(H, W) uint8 -> (h, w) uint8: means of areas, rounded once.

    Args:
        plane: contiguous.
        tops, down: `area_weights` of (H, h).
        lefts, across: `area_weights` of (W, w).
    """
    rows, columns, width = len(tops), len(lefts), plane.shape[1]
    out = np.empty((rows, columns), np.uint8)
    sums, totals = np.empty(width, np.int32), np.empty(columns, np.int32)
    for j in range(rows):
        sums[:] = 32
        for t in range(len(down)):
            weight, line = down[t, j], plane[tops[j] + np.uint64(t)]
            for x in range(width):
                sums[x] = add_product(sums[x], weight, np.int32(line[x]))
        for x in range(width):
            sums[x] >>= np.int32(6)  # 16 bits are left, so that products of the next weights fit 32
        totals[:] = 1 << 21
        for t in range(len(across)):
            weights, shifted = across[t], sums[t:]
            for i in range(columns):
                totals[i] = add_product(totals[i], weights[i], shifted[lefts[i]])
        for i in range(columns):
            out[j, i] = totals[i] >> np.int32(22)
    return out


_weights = lru_cache(maxsize=512)(area_weights)

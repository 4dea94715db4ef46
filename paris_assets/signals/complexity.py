"""How much there is in a picture: the bytes that a JPEG of it needs."""

from __future__ import annotations

from functools import lru_cache

import numpy as np
import polars as pl
import simplejpeg

from paris_assets.compiled import add_product, compiled, inlined
from paris_assets.signals.copies import greys, samples
from paris_assets.signals.simd import LANES, Words, add_pairs, neighbour_sums, quads, shorts, store_bytes, words

SIDE = 256
QUALITY = 75
LONGEST = 65_500  # pixels that a JPEG can have on a side
BITS = 14  # of a weight
TAPS = 4  # that are taken together

AreaWeights = tuple[int, np.ndarray, np.ndarray]


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
    luma = _even(_reduced(grey, height, width))
    chroma = _chroma(sample, -(-height // 2), -(-width // 2))
    return 8 * len(simplejpeg.encode_jpeg_yuv_planes(luma, *chroma, quality=QUALITY)) / (height * width)


def _even(plane: np.ndarray) -> np.ndarray:
    """With the last row and column twice where their number is odd: the encoder reads pairs of them."""
    height, width = plane.shape
    if height % 2 == width % 2 == 0:
        return plane
    even = np.empty((height + height % 2, width + width % 2), np.uint8)
    even[:height, :width] = plane
    even[:height, width:] = plane[:, -1:]
    even[height:] = even[height - 1]
    return even


def _reduced(plane: np.ndarray, height: int, width: int) -> np.ndarray:
    if plane.shape == (height, width):
        return plane
    return area_reduced(plane, _weights(plane.shape[0], height), _weights(plane.shape[1], width))


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


@inlined
def _place(t: int, i: int, count: int) -> int:
    """Where the t-th weight of the i-th of so many values lies."""
    return (t // TAPS * count + i) * TAPS + t % TAPS


@compiled
def area_weights(size: int, out: int) -> AreaWeights:
    """How `out` <= `size` values are means of areas.

    Returns:
        `out`; the first value that each is a mean of, (n,) int64, where n is `out` up to a multiple of 16; and weights
        from there on, whose sums are 2^14, where `_place` says: (n x taps,) int16. Those beyond `out` or the end are 0.
    """
    taps = min(size // out + 2, size)
    padded = (out + LANES - 1) // LANES * LANES
    firsts, weights = np.zeros(padded, np.int64), np.zeros((taps + TAPS - 1) // TAPS * TAPS * padded, np.int16)
    for i in range(out):
        start, stop = i * size / out, (i + 1) * size / out
        first = min(int(start), size - taps)
        sent, covered = 0, 0.0
        for t in range(taps):
            place = first + t
            covered += max(0.0, min(stop, place + 1.0) - max(start, float(place))) * out / size
            weight = round(covered * (1 << BITS)) - sent
            weights[_place(t, i, padded)] = weight
            sent += weight
        firsts[i] = first
    return out, firsts, weights


@compiled
def area_reduced(plane: np.ndarray, down: AreaWeights, across: AreaWeights) -> np.ndarray:
    """(H, W) uint8 -> (h, w) uint8: means of areas, rounded once.

    Args:
        plane: contiguous.
        down: `area_weights` of (H, h).
        across: `area_weights` of (W, w).
    """
    (rows, tops, heights), (columns, lefts, widths), width = down, across, plane.shape[1]
    out, line = np.empty((rows, columns), np.uint8), np.empty(len(lefts), np.uint8)
    sums, centred = np.empty(width, np.int32), np.zeros(width + TAPS, np.int16)
    for j in range(rows):
        sums[:] = 32
        for t in range(len(heights) // len(tops)):
            weight = np.int32(heights[_place(t, j, len(tops))])
            if weight:
                row = plane[tops[j] + t]
                for x in range(width):
                    sums[x] = add_product(sums[x], weight, np.int32(row[x]))
        for x in range(width):  # 16 bits are left, as whole numbers around nought
            centred[x] = (sums[x] >> np.int32(6)) - np.int32(1 << 15)
        _average(centred, lefts, widths, line)
        out[j] = line[:columns]
    return out


@compiled
def _average(centred: np.ndarray, firsts: np.ndarray, weights: np.ndarray, line: np.ndarray) -> None:
    """Sets (N,) uint8 to weighted means of (W + 4,) int16, which are 2^8 times as large, less 2^15."""
    taps = len(weights) // len(firsts)
    for i in range(0, len(line), LANES):
        lower = neighbour_sums(
            _weighted(centred, firsts, weights, taps, i), _weighted(centred, firsts, weights, taps, i + 4)
        )
        upper = neighbour_sums(
            _weighted(centred, firsts, weights, taps, i + 8), _weighted(centred, firsts, weights, taps, i + 12)
        )
        store_bytes(line, i, lower, upper, 8 + BITS)


@inlined
def _weighted(centred: np.ndarray, firsts: np.ndarray, weights: np.ndarray, taps: int, i: int) -> Words:
    """Of four values from the i-th on, two halves of the sum each."""
    sums = words((1 << (14 + BITS)) + (1 << (6 + BITS)))
    for t in range(0, taps, TAPS):
        values = quads(centred, firsts[i] + t, firsts[i + 1] + t, firsts[i + 2] + t, firsts[i + 3] + t)
        sums = add_pairs(sums, values, shorts(weights, t * len(firsts) + i * TAPS))
    return sums


_weights = lru_cache(maxsize=512)(area_weights)

"""Passes over pixels: each reads an image once, without the GIL and without copies of it.

Sums are of integers, so that a value does not depend on how a CPU orders them.
"""

from __future__ import annotations

import numpy as np

from paris_assets.compiled import add_product, compiled
from paris_assets.signals.simd import LANES, add_pairs, colour_pairs, pairs, store_bytes, words

XYZ = np.array([[0.4124, 0.3576, 0.1805], [0.2126, 0.7152, 0.0722], [0.0193, 0.1192, 0.9505]])
WHITE = XYZ.sum(axis=1)  # D65


@compiled
def luma_and_sample(rgb: np.ndarray, step: int) -> tuple[np.ndarray, np.ndarray]:
    """The luma of an image, and every `step`-th pixel of every `step`-th row as planes.

    Args:
        rgb: (H, W, 3) uint8, contiguous.
        step: see above.

    Returns:
        (H, W) uint8, ITU-R 601 as Pillow rounds it, and (4, h, w) uint8: R, G, B and luma.
    """
    height, width, _ = rgb.shape
    grey = np.empty((height, width), np.uint8)
    sample = np.empty((4, (height + step - 1) // step, (width + step - 1) // step), np.uint8)
    _lumas(rgb.reshape(-1), grey.reshape(-1))
    for j in range(sample.shape[1]):
        line, row = rgb[j * step], grey[j * step]
        reds, greens, blues, lumas = sample[0, j], sample[1, j], sample[2, j], sample[3, j]
        for i in range(len(reds)):
            pixel = line[i * step]
            reds[i], greens[i], blues[i], lumas[i] = pixel[0], pixel[1], pixel[2], row[i * step]
    return grey, sample


@compiled
def _lumas(rgb: np.ndarray, grey: np.ndarray) -> None:
    """Sets the luma, (N,) uint8, of pixels, (3 N,) uint8."""
    half = words(np.int32(1 << 15))
    upper, lower = pairs(np.int16(19_595), np.int16(19_235)), pairs(np.int16(19_235), np.int16(7_471))
    done = max(0, len(grey) - 2) // LANES * LANES  # loads go two pixels beyond what is stored
    for i in range(0, done, LANES):
        (red_green, green_blue), (next_red_green, next_green_blue) = (
            colour_pairs(rgb, 3 * i),
            colour_pairs(rgb, 3 * i + 24),
        )
        first = add_pairs(add_pairs(half, red_green, upper), green_blue, lower)
        second = add_pairs(add_pairs(half, next_red_green, upper), next_green_blue, lower)
        store_bytes(grey, i, first, second, np.int32(16))
    for i in range(done, len(grey)):
        scaled = np.uint32(rgb[3 * i]) * np.uint32(19595) + np.uint32(rgb[3 * i + 1]) * np.uint32(38470)
        grey[i] = (scaled + np.uint32(rgb[3 * i + 2]) * np.uint32(7471) + np.uint32(32768)) >> np.uint32(16)


@compiled
def histograms(planes: np.ndarray) -> np.ndarray:
    """(4, N) uint8 -> (4, 256) int64: how often each plane has each level."""
    counts = np.zeros((4, 256), np.int64)
    first, second, third, fourth = planes[0], planes[1], planes[2], planes[3]
    for i in range(planes.shape[1]):  # in turn: equal neighbours of one plane would wait for each other
        counts[0, first[i]] += 1
        counts[1, second[i]] += 1
        counts[2, third[i]] += 1
        counts[3, fourth[i]] += 1
    return counts


@compiled
def reduced(grey: np.ndarray, factor: int) -> np.ndarray:
    """Means of `factor` x `factor` pixels of (H, W) uint8, rounded half up; what does not fill a square is left out."""
    height, width = grey.shape[0] // factor, grey.shape[1] // factor
    out, sums = np.empty((height, width), np.uint8), np.empty(width * factor, np.int32)
    scale = 1.0 / (factor * factor)
    for y in range(height):
        sums[:] = 0
        for i in range(factor):
            line = grey[y * factor + i]
            for x in range(width * factor):
                sums[x] = add_product(sums[x], np.int32(line[x]), np.int32(1))
        if factor == 2:  # by far the most frequent
            for x in range(width):
                out[y, x] = (sums[2 * x] + sums[2 * x + 1] + 2) >> 2
            continue
        for x in range(width):
            total = np.int32(0)
            for i in range(factor):
                total = add_product(total, sums[x * factor + i], np.int32(1))
            out[y, x] = int(total * scale + 0.5)
    return out


@compiled
def steps_down(grey: np.ndarray, first: int, every: int) -> np.ndarray:
    """(H, W) uint8 -> (n,) int64: summed absolute steps to the next row, from the `first` and `every` n-th after it."""
    height, width = grey.shape
    sums = np.empty((height - 1 - first + every - 1) // every, np.int64)
    for i in range(len(sums)):
        row, below, total = grey[first + i * every], grey[first + i * every + 1], np.int32(0)
        for x in range(width):
            total = add_product(total, np.int32(abs(np.int32(row[x]) - np.int32(below[x]))), np.int32(1))
        sums[i] = total
    return sums


@compiled
def steps_across(grey: np.ndarray) -> np.ndarray:
    """(H, W) uint8 -> (W - 1,) int64: summed absolute steps from each column to the next."""
    height, width = grey.shape
    sums = np.zeros(width - 1, np.int32)
    for y in range(height):
        row = grey[y]
        for x in range(width - 1):
            sums[x] += abs(np.int32(row[x]) - np.int32(row[x + 1]))
    return sums.astype(np.int64)


@compiled
def chroma_moments(
    planes: np.ndarray, step: int, linear: np.ndarray, curve: np.ndarray
) -> tuple[float, float, float, float, int]:
    """Sums of a, b, a^2 and b^2 of CIELAB, and the number of pixels, over every `step`-th pixel and row.

    Args:
        planes: R, G and B of sRGB, (3, H, W) uint8.
        step: see above.
        linear: (256,) light of each level.
        curve: f of CIELAB at equal distances from 0 to 1 and once beyond, between which it is taken as straight.
    """
    a_sum, b_sum, a_squares, b_squares, count, values = 0.0, 0.0, 0.0, 0.0, 0, np.empty(3)
    for y in range(0, planes.shape[1], step):
        for x in range(0, planes.shape[2], step):
            red, green, blue = linear[planes[0, y, x]], linear[planes[1, y, x]], linear[planes[2, y, x]]
            for i in range(3):
                light = (XYZ[i, 0] * red + XYZ[i, 1] * green + XYZ[i, 2] * blue) / WHITE[i] * (len(curve) - 2)
                cell = int(light)
                values[i] = curve[cell] + (curve[cell + 1] - curve[cell]) * (light - cell)
            a, b = 500 * (values[0] - values[1]), 200 * (values[1] - values[2])
            a_sum += a
            b_sum += b
            a_squares += a * a
            b_squares += b * b
            count += 1
    return a_sum, b_sum, a_squares, b_squares, count


@compiled
def area_means(plane: np.ndarray, side: int) -> np.ndarray:
    """Means over `side` x `side` areas of (H, W) uint8, shared as evenly as whole pixels can be."""
    height, width = plane.shape
    means, sums = np.empty((side, side)), np.empty(width, np.int32)
    for i in range(side):
        top = i * height // side
        bottom = max(top + 1, (i + 1) * height // side)
        sums[:] = 0
        for y in range(top, bottom):
            row = plane[y]
            for x in range(width):
                sums[x] = add_product(sums[x], np.int32(row[x]), np.int32(1))
        for j in range(side):
            left = j * width // side
            right = max(left + 1, (j + 1) * width // side)
            total = 0
            for x in range(left, right):
                total += sums[x]
            means[i, j] = total / ((bottom - top) * (right - left))
    return means


@compiled
def line_sums(planes: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """R, G, B, luma, (4, H, W) uint8 -> their sums and that of luma squared, of each row (H, 5) and column (W, 5)
    int64."""
    _, height, width = planes.shape
    rows, columns = np.zeros((height, 5), np.int64), np.zeros((5, width), np.int64)
    for plane in range(4):
        for y in range(height):
            row, total = planes[plane, y], 0
            for x in range(width):
                total += row[x]
                columns[plane, x] += row[x]
            rows[y, plane] = total
    for y in range(height):
        row, total = planes[3, y], 0
        for x in range(width):
            square = np.int64(row[x]) * np.int64(row[x])
            total += square
            columns[4, x] += square
        rows[y, 4] = total
    return rows, columns.T.copy()


@compiled
def colour_sums(planes: np.ndarray, saturated: int) -> np.ndarray:
    """Of R, G, B, luma, (4, N) uint8: (261,) int64.

    The first 256 are the summed ranges (largest less smallest of R, G, B) of pixels by their largest value; then the
    number of pixels whose range is more than `saturated` percent of it, and the sums of blue - luma, red - luma
    and of the squares of each.
    """
    sums = np.zeros(261, np.int64)
    reds, greens, blues, lumas = planes[0], planes[1], planes[2], planes[3]
    count, cb, cr, cb_squares, cr_squares = 0, 0, 0, 0, 0
    for i in range(planes.shape[1]):
        red, green, blue, luma = np.int64(reds[i]), np.int64(greens[i]), np.int64(blues[i]), np.int64(lumas[i])
        high = max(red, green, blue)
        spread = high - min(red, green, blue)
        sums[high] += spread
        count += 100 * spread > saturated * high
        cb += blue - luma
        cr += red - luma
        cb_squares += (blue - luma) * (blue - luma)
        cr_squares += (red - luma) * (red - luma)
    sums[256], sums[257], sums[258], sums[259], sums[260] = count, cb, cr, cb_squares, cr_squares
    return sums

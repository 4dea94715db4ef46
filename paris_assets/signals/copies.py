"""Cheaper copies of a batch's images, made once for all signals that can do with them."""

from __future__ import annotations

import threading
from collections.abc import Callable
from functools import lru_cache
from typing import TypeVar

import numpy as np
from PIL import Image

from paris_assets.images.resize import resized as pillow_resized
from paris_assets.signals import edges, kernels, lanczos

SAMPLE_SIDE = 128
LONG = 8192  # pixels; the weights of longer sides would fill memory
MOST_LINES = 1 << 16  # of a sample: what is kept of each takes as much as a hundred pixels

Copies = TypeVar("Copies")

_last = threading.local()
_weights = lru_cache(maxsize=512)(lanczos.weights)


def greys(rgb: list[np.ndarray]) -> list[np.ndarray]:
    """Luma at full size: (H, W) uint8 each, ITU-R 601 as Pillow rounds it."""
    return [grey for grey, _ in _greys_and_samples(rgb)]


def samples(rgb: list[np.ndarray]) -> list[np.ndarray]:
    """R, G, B and luma of every n-th pixel of every n-th row, n chosen for a short side of 128 to 255: (4, h, w) uint8.

    Small images are given as they are, and none has more than 65,536 columns or rows. A sample keeps histograms and
    regional means, not detail.
    """
    return [sample for _, sample in _greys_and_samples(rgb)]


def histograms(rgb: list[np.ndarray]) -> list[np.ndarray]:
    """How often each level occurs in R, G, B and luma of each sample: (4, 256) int64 each."""
    return _remembered(
        "histograms", rgb, lambda: [kernels.histograms(planes.reshape(4, -1)) for planes in samples(rgb)]
    )


def step_energies(rgb: list[np.ndarray]) -> np.ndarray:
    """(N, 3) float64: mean energy of steps of luma over 1, 2 and 8 pixels at native size (`edges.step_energies`), of
    up to 128 pairs of rows; NaN for images of less than 10 pixels on a side."""
    return _remembered("step_energies", rgb, lambda: np.stack([_step_energies(grey) for grey in greys(rgb)]))


def _step_energies(grey: np.ndarray) -> np.ndarray:
    if min(grey.shape) < 10:
        return np.full(len(edges.LAGS), np.nan)
    stride = -(-grey.shape[0] // SAMPLE_SIDE) | 1  # odd, so that every row of a JPEG's blocks has its turn
    return edges.step_energies(grey, stride)


def line_moments(rgb: list[np.ndarray]) -> list[tuple[np.ndarray, np.ndarray]]:
    """Of each row, and of each column of each sample: mean R, G and B and deviation of luma, (h, 4) and (w, 4)."""
    return _remembered("line_moments", rgb, lambda: [_line_moments(planes) for planes in samples(rgb)])


def _line_moments(planes: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    rows, columns = kernels.line_sums(planes)
    return _moments(rows, planes.shape[2]), _moments(columns, planes.shape[1])


def _moments(sums: np.ndarray, count: int) -> np.ndarray:
    means = sums / count
    deviation = np.sqrt(np.maximum(means[:, 4] - means[:, 3] ** 2, 0))
    return np.column_stack([means[:, :3], deviation])


def resized(plane: np.ndarray, width: int, height: int) -> np.ndarray:
    """(H, W) uint8 -> (height, width) uint8, bit for bit what Pillow's Lanczos filter makes of it."""
    if max(plane.shape) > LONG:
        return np.asarray(pillow_resized(Image.fromarray(plane), (width, height), Image.Resampling.LANCZOS))
    lost = plane.shape[0] - height
    if 0 < lost > 2 * (plane.shape[1] - width):  # Pillow then starts with the columns, which rounds otherwise
        return _resized(np.ascontiguousarray(plane.T), height, width).T
    return _resized(plane, width, height)


def _resized(plane: np.ndarray, width: int, height: int) -> np.ndarray:
    return lanczos.resized(plane, _weights(plane.shape[1], width), _weights(plane.shape[0], height))


def _greys_and_samples(rgb: list[np.ndarray]) -> list[tuple[np.ndarray, np.ndarray]]:
    def make() -> list[tuple[np.ndarray, np.ndarray]]:
        steps = (_step(*pixels.shape[:2]) for pixels in rgb)
        return [
            kernels.luma_and_sample(np.ascontiguousarray(pixels), step) for pixels, step in zip(rgb, steps, strict=True)
        ]

    return _remembered("copies", rgb, make)


def _step(height: int, width: int) -> int:
    """Every so many-th pixel and row is in the sample."""
    return max(1, min(height, width) // SAMPLE_SIDE, -(-max(height, width) // MOST_LINES))


def _remembered(name: str, rgb: list[np.ndarray], make: Callable[[], Copies]) -> Copies:
    """Copies of the last batch of this thread, as signals are given the same list one after another."""
    if getattr(_last, "rgb", None) is not rgb:
        _last.__dict__.clear()
        _last.rgb = rgb
    if not hasattr(_last, name):
        setattr(_last, name, make())
    return getattr(_last, name)

"""Cheaper copies of a batch's images, made once for all signals that can do with them."""

from __future__ import annotations

import threading
from collections.abc import Callable

import numpy as np
from PIL import Image

SAMPLE_SIDE = 256

_last = threading.local()


def greys(rgb: list[np.ndarray]) -> list[np.ndarray]:
    """Luma at full size: (H, W) uint8 each, ITU-R 601 as Pillow rounds it."""
    return _remembered("greys", rgb, lambda pixels: np.asarray(Image.fromarray(pixels).convert("L")))


def samples(rgb: list[np.ndarray]) -> list[np.ndarray]:
    """Every n-th pixel of every n-th row, n chosen for a short side of 256 to 511: (h, w, 3) uint8 each, contiguous.

    Small images are given as they are. A sample keeps histograms and regional means, not detail.
    """
    return _remembered("samples", rgb, sample)


def sample(pixels: np.ndarray) -> np.ndarray:
    """`samples` of one image."""
    step = max(1, min(pixels.shape[:2]) // SAMPLE_SIDE)
    return np.ascontiguousarray(pixels[::step, ::step])


def _remembered(name: str, rgb: list[np.ndarray], make: Callable[[np.ndarray], np.ndarray]) -> list[np.ndarray]:
    """Copies of the last batch of this thread, as signals are given the same list one after another."""
    if getattr(_last, "rgb", None) is not rgb:
        _last.__dict__.clear()
        _last.rgb = rgb
    if not hasattr(_last, name):
        setattr(_last, name, [make(pixels) for pixels in rgb])
    return getattr(_last, name)

"""Resizing as the networks expect it: short side and centre crop (no black bars, no distortion), or to a square."""

from __future__ import annotations

import numpy as np
from PIL import Image

from paris_assets.images.resize import middle, resized


def stretch(rgb: np.ndarray, side: int, resample: Image.Resampling = Image.Resampling.BICUBIC) -> np.ndarray:
    """(H, W, 3) uint8 -> (side, side, 3): the whole picture, distorted (antialiased)."""
    return np.array(resized(Image.fromarray(rgb), (side, side), resample))


def square(rgb: np.ndarray, resize: int, crop: int) -> np.ndarray:
    """(H, W, 3) uint8 -> (crop, crop, 3): short side to ``resize``, then the centre."""
    return middle(rgb, resize, crop).pixels

"""Resizing as the networks expect it: short side and centre crop (no black bars, no distortion), or to a square."""

from __future__ import annotations

import numpy as np
from PIL import Image

from paris_assets.images.resize import middle, resized, short_side_size


def stretch(rgb: np.ndarray, side: int, resample: Image.Resampling = Image.Resampling.BICUBIC) -> np.ndarray:
    """(H, W, 3) uint8 -> (side, side, 3): the whole picture, distorted (antialiased)."""
    return np.array(resized(Image.fromarray(rgb), (side, side), resample))


def square(rgb: np.ndarray, resize: int, crop: int) -> np.ndarray:
    """(H, W, 3) uint8 -> (crop, crop, 3): short side to ``resize``, then the centre."""
    return middle(rgb, resize, crop).pixels


def short_edge(rgb: np.ndarray, side: int, longest: int, resample: Image.Resampling) -> np.ndarray:
    """(H, W, 3) uint8 -> its short side at ``side``, in its own shape (antialiased); of a picture that is longer than
    ``longest`` times its short side only the middle."""
    most = longest * min(rgb.shape[:2])
    top, left = (max(0, length - most) // 2 for length in rgb.shape[:2])
    seen = np.ascontiguousarray(rgb[top : top + most, left : left + most])
    return np.array(resized(Image.fromarray(seen), short_side_size(seen.shape[1], seen.shape[0], side), resample))

"""Resizing as the networks expect it: short side and centre crop (no black bars, no distortion), or to a square."""

from __future__ import annotations

import numpy as np
from PIL import Image


def short_side(rgb: np.ndarray, size: int) -> np.ndarray:
    """(H, W, 3) uint8 -> the same picture with short side ``size`` (bicubic, antialiased); the long side is rounded
    down, as torchvision and transformers do."""
    height, width = rgb.shape[:2]
    short = min(height, width)
    if short == size:
        return rgb
    target = (int(size * width / short), int(size * height / short))
    return np.asarray(Image.fromarray(rgb).resize(target, Image.Resampling.BICUBIC))


def stretch(rgb: np.ndarray, side: int, resample: Image.Resampling = Image.Resampling.BICUBIC) -> np.ndarray:
    """(H, W, 3) uint8 -> (side, side, 3): the whole picture, distorted (antialiased)."""
    return np.array(Image.fromarray(rgb).resize((side, side), resample))


def centre(rgb: np.ndarray, size: int) -> tuple[int, int]:
    """Top and left of the centred ``size`` x ``size`` square."""
    return (rgb.shape[0] - size) // 2, (rgb.shape[1] - size) // 2


def square(rgb: np.ndarray, resize: int, crop: int) -> np.ndarray:
    """(H, W, 3) uint8 -> (crop, crop, 3): short side to ``resize``, then the centre."""
    resized = short_side(rgb, resize)
    top, left = centre(resized, crop)
    return np.ascontiguousarray(resized[top : top + crop, left : left + crop])

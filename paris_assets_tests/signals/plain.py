"""The signals as one would write them with Pillow and numpy: what the compiled ones must give."""

from __future__ import annotations

import numpy as np
from PIL import Image

_LEVELS = np.arange(256) / 255
_LINEAR = np.where(_LEVELS <= 0.04045, _LEVELS / 12.92, ((_LEVELS + 0.055) / 1.055) ** 2.4)
_TO_XYZ = np.array([[0.4124, 0.3576, 0.1805], [0.2126, 0.7152, 0.0722], [0.0193, 0.1192, 0.9505]])


def luma(rgb: np.ndarray) -> np.ndarray:
    return np.asarray(Image.fromarray(rgb).convert("L"))


def resized(grey: np.ndarray, width: int, height: int) -> np.ndarray:
    return np.asarray(Image.fromarray(grey).resize((width, height), Image.Resampling.LANCZOS))


def laplacian_variance(grey: np.ndarray) -> float:
    factor = max(1, min(grey.shape) // 256)
    height, width = grey.shape[0] // factor, grey.shape[1] // factor
    blocks = grey[: height * factor, : width * factor].reshape(height, factor, width, factor)
    levels = np.floor(blocks.mean(axis=(1, 3)) + 0.5)
    values = levels[:-2, 1:-1] + levels[2:, 1:-1] + levels[1:-1, :-2] + levels[1:-1, 2:] - 4 * levels[1:-1, 1:-1]
    return float(values.var())


def noise_sigma(grey: np.ndarray) -> float:
    top, left = (max(0, (side - 384) // 2) for side in grey.shape)
    levels = grey[top : top + 384, left : left + 384].astype(np.float64)
    rows = levels[:-2] - 2 * levels[1:-1] + levels[2:]
    response = rows[:, :-2] - 2 * rows[:, 1:-1] + rows[:, 2:]
    return float(np.sqrt(np.pi / 2) / 6 * np.abs(response).mean())


def blocking(grey: np.ndarray) -> float:
    scores = []
    for lines in (grey.astype(np.int64), grey.T.astype(np.int64)):
        steps = np.abs(np.diff(lines, axis=0)).sum(axis=1)
        border = np.arange(len(steps)) % 8 == 7
        at_borders, elsewhere = steps[border].mean(), steps[~border].mean()
        scores.append((at_borders - elsewhere) / (at_borders + elsewhere) if at_borders + elsewhere else 0.0)
    return float(np.mean(scores))


def histograms(planes: np.ndarray) -> np.ndarray:
    return np.stack([np.bincount(plane.ravel(), minlength=256) for plane in planes])


def colour_cast(planes: np.ndarray, step: int) -> float:
    ab = lab(planes[:, ::step, ::step].transpose(1, 2, 0))[..., 1:].reshape(-1, 2)
    return float(np.linalg.norm(ab.mean(axis=0)) / max(1.0, np.sqrt(ab.var(axis=0).sum())))


def lab(rgb: np.ndarray) -> np.ndarray:
    """sRGB (..., 3) uint8 -> CIELAB (..., 3) float64, white point D65 (IEC 61966-2-1, CIE 15)."""
    xyz = _LINEAR[rgb] @ (_TO_XYZ / _TO_XYZ.sum(axis=1, keepdims=True)).T
    f = np.where(xyz > (6 / 29) ** 3, np.cbrt(xyz), xyz / (3 * (6 / 29) ** 2) + 4 / 29)
    x, y, z = f[..., 0], f[..., 1], f[..., 2]
    return np.stack([116 * y - 16, 500 * (x - y), 200 * (y - z)], axis=-1)


def thumbnail(planes: np.ndarray) -> np.ndarray:
    (_, height, width), side = planes.shape, 16
    rows = [(i * height // side, max(i * height // side + 1, (i + 1) * height // side)) for i in range(side)]
    columns = [(j * width // side, max(j * width // side + 1, (j + 1) * width // side)) for j in range(side)]
    red, green, blue = np.array(
        [
            [[plane[top:bottom, left:right].mean() for left, right in columns] for top, bottom in rows]
            for plane in planes
        ]
    )
    luma = 0.299 * red + 0.587 * green + 0.114 * blue
    chroma = [128 + (blue - luma) / 1.772, 128 + (red - luma) / 1.402]
    coarse = [plane.reshape(8, 2, 8, 2).mean(axis=(1, 3)) for plane in chroma]
    return np.concatenate([plane.ravel() for plane in (luma, *coarse)]).round().clip(0, 255).astype(np.uint8)

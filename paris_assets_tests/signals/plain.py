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


def step_energies(grey: np.ndarray, stride: int) -> np.ndarray:
    levels, (height, width) = grey.astype(np.float64), grey.shape
    energies = []
    for lag in (1, 2, 8):
        across = levels[:, lag : lag + width - 8] - levels[:, : width - 8]
        down = levels[lag : lag + height - 8] - levels[: height - 8]
        pairs = across[: height - 8] * across[1 : height - 7] + down[:, : width - 8] * down[:, 1 : width - 7]
        energies.append(pairs[::stride].mean())
    return np.array(energies)


def noise_sigma(grey: np.ndarray) -> float:
    levels = grey.astype(np.float64)
    rows = levels[:-2] - 2 * levels[1:-1] + levels[2:]
    response = np.abs(rows[:, :-2] - 2 * rows[:, 1:-1] + rows[:, 2:])
    down, across = response.shape[0] // 16, response.shape[1] // 16
    stride = max(1, -(-down // 20))
    blocks = [
        (response[y : y + 16, x : x + 16].mean(), levels[y + 1 : y + 17, x + 1 : x + 17].mean())
        for y in range(0, down * 16, 16 * stride)
        for x in range(0, across * 16, 16)
    ]
    usable = sorted(mean for mean, level in blocks if mean > 0 and 32 < level < 223)
    quiet = usable[int(0.05 * len(usable))] / 0.864 if len(usable) >= 8 else response.mean()
    sigma = float(np.sqrt(np.pi / 2) / 6 * quiet)
    return sigma if sigma > 2.0 else 0.0


def blocking(grey: np.ndarray) -> float:
    scores = []
    for lines in (grey.astype(np.int64), grey.T.astype(np.int64)):
        steps = np.abs(np.diff(lines, axis=0)).sum(axis=1)
        means = []
        for phase in (7, 3):
            kind = np.sort(steps[np.arange(len(steps)) % 8 == phase])
            means.append(kind[: len(kind) - int(0.05 * len(kind))].mean())
        at_borders, elsewhere = means
        scores.append((at_borders - elsewhere) / (at_borders + elsewhere) if at_borders + elsewhere else 0.0)
    return float(np.mean(scores))


def texture(grey: np.ndarray) -> float:
    """Of luma that is not reduced."""
    levels = grey.astype(np.float64)
    dx, dy = levels[1:, 1:] - levels[:-1, :-1], levels[1:, :-1] - levels[:-1, 1:]
    isotropic = whole = 0.0
    for y in range(0, dx.shape[0] // 8 * 8, 8):
        for x in range(0, dx.shape[1] // 8 * 8, 8):
            a, b = dx[y : y + 8, x : x + 8].ravel(), dy[y : y + 8, x : x + 8].ravel()
            small, large = np.linalg.eigvalsh([[a @ a, a @ b], [a @ b, b @ b]])
            isotropic, whole = isotropic + 2 * small, whole + small + large
    return isotropic / whole


def area_means(plane: np.ndarray, height: int, width: int) -> np.ndarray:
    """(H, W) -> (height, width) float64."""

    def shares(size: int, out: int) -> np.ndarray:
        edges = np.arange(out + 1)[:, None] * size / out
        places = np.arange(size)
        overlap = np.minimum(edges[1:], places + 1) - np.maximum(edges[:-1], places)
        return overlap.clip(0) * out / size

    return shares(plane.shape[0], height) @ plane @ shares(plane.shape[1], width).T


def hsv_saturation(rgb: np.ndarray) -> np.ndarray:
    high, low = rgb.max(axis=-1).astype(np.float64), rgb.min(axis=-1).astype(np.float64)
    return np.where(high > 0, (high - low) / np.maximum(high, 1), 0)


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


def rgb_of_lab(values: np.ndarray) -> np.ndarray:
    """CIELAB (..., 3) -> sRGB (..., 3) uint8, cut where it has no such colour."""
    lightness, a, b = values[..., 0], values[..., 1], values[..., 2]
    y = (lightness + 16) / 116
    f = np.stack([y + a / 500, y, y - b / 200], axis=-1)
    xyz = np.where(f > 6 / 29, f**3, 3 * (6 / 29) ** 2 * (f - 4 / 29)) * _TO_XYZ.sum(axis=1)
    linear = (xyz @ np.linalg.inv(_TO_XYZ).T).clip(0, 1)
    coded = np.where(linear <= 0.0031308, 12.92 * linear, 1.055 * linear ** (1 / 2.4) - 0.055)
    return (255 * coded).round().clip(0, 255).astype(np.uint8)

"""Damage of known amounts, and its label: what of it is visible in the file, not what was asked for."""

from __future__ import annotations

import io
import math
from typing import NamedTuple

import numpy as np
from PIL import Image
from scipy import ndimage
from scipy.signal import fftconvolve

from paris_assets.models.degradation_scales import BLUR_PX, JPEG_SCALE, NOISE_LEVELS

KINDS_OF_BLUR = ("gaussian", "box", "disc", "motion")
KINDS_OF_NOISE = ("grey", "colour", "shot", "pepper")
LINEAR = 2.2


class Damaged(NamedTuple):
    """(H, W, 3) uint8 pixels and how much of each damage they show: `blur` as the deviation of a Gaussian in pixels,
    `noise` as a deviation in levels, `blocking` as libjpeg's scale of the quantisation tables, percent."""

    pixels: np.ndarray
    blur: float
    noise: float
    blocking: float

    def labels(self) -> np.ndarray:
        """(3,) float32 in 0 to 1, in the order of `degradation_network.QUALITY`."""
        amounts = np.array([self.blur / BLUR_PX, self.noise / NOISE_LEVELS, self.blocking / JPEG_SCALE])
        return (1 - np.exp(-amounts)).astype(np.float32)


def damaged(pixels: np.ndarray, random: np.random.Generator) -> Damaged:
    """(H, W, 3) uint8 with blur, then noise, then a JPEG's blocks, each in about two thirds of the cases and
    independent of the others; a fifth of the JPEGs is cut off its grid."""
    soft, width = blurred(pixels, random) if random.random() < 0.65 else (pixels.astype(np.float32), 0.0)
    grain = noise_of(soft, random) if random.random() < 0.65 else np.zeros_like(soft)
    noisy = levels(soft + grain)
    quality = int(np.exp(random.uniform(math.log(4), math.log(95)))) if random.random() < 0.65 else 100
    final = compressed(noisy, quality, int(random.integers(0, 3)))
    if random.random() < 0.2:
        top, left = random.integers(0, 8, 2)
        final = final[top:, left:]
        soft, grain = soft[top:, left:], grain[top:, left:]
    return Damaged(final, width, surviving(final, soft, grain), table_scale(quality))


def blurred(pixels: np.ndarray, random: np.random.Generator) -> tuple[np.ndarray, float]:
    """Pixels as float32 after a kernel of a random kind, and the deviation of the Gaussian as wide, pixels: the root of
    the mean variance of both axes."""
    width = float(np.exp(random.uniform(math.log(0.4), math.log(5.0))))
    kind = KINDS_OF_BLUR[int(random.integers(len(KINDS_OF_BLUR)))]
    return blur(pixels, kind, width, random.uniform(0, math.pi))


def blur(pixels: np.ndarray, kind: str, width: float, angle: float = 0.0) -> tuple[np.ndarray, float]:
    """The pixels after a kernel of this kind and about this deviation, and the deviation that it really has."""
    if kind == "gaussian":
        return ndimage.gaussian_filter(pixels.astype(np.float32), (width, width, 0), mode="mirror"), width
    kernel = _kernel(kind, width, angle)
    rows, columns = np.indices(kernel.shape) - (len(kernel) - 1) / 2
    real = math.sqrt(float((kernel * (rows**2 + columns**2)).sum()) / 2)
    soft = np.stack([_filtered(pixels[..., channel], kernel) for channel in range(3)], -1)
    return soft, real


def _filtered(plane: np.ndarray, kernel: np.ndarray) -> np.ndarray:
    reach = len(kernel) // 2
    around = np.pad(plane.astype(np.float32), reach, mode="symmetric")
    return fftconvolve(around, kernel.astype(np.float32), mode="valid").astype(np.float32)


def _kernel(kind: str, width: float, angle: float) -> np.ndarray:
    """(n, n) float64 of sum 1, antialiased, of a box, a disc, or a straight motion."""
    half = {"box": math.sqrt(3), "disc": 2.0, "motion": math.sqrt(6)}[kind] * width
    reach, fine = math.ceil(half) + 1, 8
    axis = (np.arange((2 * reach + 1) * fine) + 0.5) / fine - reach - 0.5
    rows, columns = np.meshgrid(axis, axis, indexing="ij")
    along, across = (
        columns * math.cos(angle) + rows * math.sin(angle),
        rows * math.cos(angle) - columns * math.sin(angle),
    )
    inside = {
        "box": (abs(rows) <= half) & (abs(columns) <= half),
        "disc": rows**2 + columns**2 <= half**2,
        "motion": (abs(along) <= half) & (abs(across) <= 0.5),
    }[kind]
    kernel = inside.reshape(2 * reach + 1, fine, 2 * reach + 1, fine).mean((1, 3))
    return kernel / kernel.sum()


def noise_of(pixels: np.ndarray, random: np.random.Generator) -> np.ndarray:
    """(H, W, 3) float32 noise of a random kind and amount, to be added to these pixels."""
    sigma = float(np.exp(random.uniform(math.log(1.5), math.log(50.0))))
    return noise(pixels, KINDS_OF_NOISE[int(random.choice(4, p=(0.4, 0.3, 0.2, 0.1)))], sigma, random)


def noise(pixels: np.ndarray, kind: str, sigma: float, random: np.random.Generator) -> np.ndarray:
    """Noise of this kind whose deviation is about sigma levels; of shot noise that holds at mid grey."""
    if kind == "pepper":
        share = min(0.3, (sigma / 150) ** 2)
        hit = random.random(pixels.shape[:2])[..., None]
        return np.where(hit < share / 2, -pixels, np.where(hit < share, 255 - pixels, 0)).astype(np.float32)
    planes = 3 if kind in ("colour", "shot") else 1
    grain = random.standard_normal((*pixels.shape[:2], planes), dtype=np.float32) * sigma
    return np.broadcast_to(grain, pixels.shape) * (np.sqrt(np.maximum(pixels, 0) / 128) if kind == "shot" else 1)


def surviving(final: np.ndarray, before: np.ndarray, grain: np.ndarray) -> float:
    """Deviation in levels of the luma of that part of the noise which is still in the final pixels: what they differ
    by from those before, projected on the noise. Clipping and compression take some of it away."""
    weights = np.array([0.299, 0.587, 0.114], np.float32)
    noise_luma, difference = grain @ weights, (final - before) @ weights
    energy = float((noise_luma**2).mean())
    return max(0.0, float((difference * noise_luma).mean())) / math.sqrt(energy) if energy > 1e-6 else 0.0


def compressed(pixels: np.ndarray, quality: int, subsampling: int = 2) -> np.ndarray:
    """(H, W, 3) uint8 as a JPEG of this quality gives it back; as they are at 100."""
    if quality >= 100:
        return pixels
    file = io.BytesIO()
    Image.fromarray(pixels).save(file, "JPEG", quality=quality, subsampling=subsampling)
    return np.asarray(Image.open(file).convert("RGB"))


def table_scale(quality: int) -> float:
    """By what libjpeg multiplies its quantisation tables at this quality, percent."""
    return 0.0 if quality >= 100 else 5000 / quality if quality < 50 else 200.0 - 2 * quality


def cast(pixels: np.ndarray, shift: np.ndarray) -> np.ndarray:
    """(H, W, 3) uint8 in another light: log ratios red : green and blue : green moved by (2,), grey kept as bright."""
    gains = np.exp(np.array([shift[0], 0.0, shift[1]]))
    gains /= gains @ np.array([0.2126, 0.7152, 0.0722])
    curve = np.arange(256)[:, None] / 255
    table = levels(255 * (curve**LINEAR * gains) ** (1 / LINEAR))
    return np.stack([table[:, channel][pixels[..., channel]] for channel in range(3)], -1)


def tinted(pixels: np.ndarray, tint: np.ndarray, weight: float) -> tuple[np.ndarray, np.ndarray]:
    """Pixels blended with a colour (3,), which also washes them out; and the (2,) shift of mid grey by it."""
    grey = ((1 - weight) * 118 + weight * tint) / 255
    light = np.log(grey**LINEAR)
    return levels((1 - weight) * pixels + weight * tint), light[[0, 2]] - light[1]


def random_cast(pixels: np.ndarray, random: np.random.Generator) -> tuple[np.ndarray, np.ndarray]:
    """Pixels under a light of a random colour, or blended with a random tint; and the (2,) shift of log ratios."""
    if random.random() < 0.25:
        return pixels, np.zeros(2)
    angle, size = random.uniform(0, 2 * math.pi), random.uniform(0.0, 1.0)
    if random.random() < 0.3:
        tint = 255 * np.clip(
            0.75 + 0.3 * np.array([math.cos(angle), math.cos(angle + 2.1), math.cos(angle + 4.2)]), 0, 1
        )
        return tinted(pixels, tint, 0.5 * size)
    shift = size * np.array([math.cos(angle), math.sin(angle)])
    return cast(pixels, shift), shift


def levels(values: np.ndarray) -> np.ndarray:
    """Rounded and cut to uint8."""
    return values.round().clip(0, 255).astype(np.uint8)

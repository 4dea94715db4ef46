"""Copies of a photograph as the web makes them, and pictures that only look like copies."""

from __future__ import annotations

import io
from collections.abc import Callable, Sequence

import numpy as np
from PIL import Image, ImageEnhance

from paris_assets.signals.perceptual_hash import PerceptualHash


def saved(image: Image.Image, quality: int = 90) -> Image.Image:
    """The image after JPEG."""
    buffer = io.BytesIO()
    image.save(buffer, "JPEG", quality=quality)
    return Image.open(buffer).convert("RGB")


def cropped(image: Image.Image, share: float, corner: bool = False) -> Image.Image:
    """Without `share` of each side: half of it at each border, or all of it at the right and bottom."""
    width, height = image.size
    left, top = (0, 0) if corner else (round(width * share / 2), round(height * share / 2))
    return image.crop((left, top, left + round(width * (1 - share)), top + round(height * (1 - share))))


def half(image: Image.Image) -> Image.Image:
    """At half its size."""
    return image.resize((image.width // 2, image.height // 2), Image.Resampling.LANCZOS)


COPIES: dict[str, Callable[[Image.Image], Image.Image]] = {
    "JPEG q50": lambda image: saved(image, 50),
    "half size": lambda image: saved(half(image)),
    "1 % crop": lambda image: saved(cropped(image, 0.01)),
    "3 % crop": lambda image: saved(cropped(image, 0.03)),
    "3 % corner crop": lambda image: saved(cropped(image, 0.03, corner=True)),
    "brightness +10 %": lambda image: saved(ImageEnhance.Brightness(image).enhance(1.1)),
    "brightness -10 %": lambda image: saved(ImageEnhance.Brightness(image).enhance(0.9)),
}


def patched(image: Image.Image, other: Image.Image, share: float) -> Image.Image:
    """The image with another one in its middle, of `share` of its sides."""
    width, height = round(image.width * share), round(image.height * share)
    image = image.copy()
    image.paste(other.resize((width, height)), ((image.width - width) // 2, (image.height - height) // 2))
    return image


def hashed(images: Sequence[Image.Image]) -> tuple[np.ndarray, np.ndarray]:
    """pHashes (N,) uint64 and thumbnails (N, 384) uint8."""
    signals = PerceptualHash().measure([np.array(image) for image in images])
    return signals["phash"], signals["thumbnail"]

"""Crops at native resolution out of photos that are decoded once and kept in memory."""

import io
from collections.abc import Iterable

import numpy as np
import torch
from PIL import Image
from torch import Tensor

SIDE = 256
LARGE_SIDE, MEDIUM_SIDE, SMALL_SIDE = 1200, 1024, 512
MAX_WEIGHT = 6.0


def pixels_of(content: bytes) -> np.ndarray:
    """(H, W, 3) uint8 pixels of an image file."""
    with Image.open(io.BytesIO(content)) as image:
        return np.array(image.convert("RGB"))


def versions_of(content: bytes) -> list[np.ndarray]:
    """The (H, W, 3) uint8 pixels of a photo that crops are taken from; nothing is ever enlarged.

    The file's own pixels, unless its short side exceeds 1200: then a Lanczos reduction to 1024, since such files are
    soft at pixel level. From 768 on also a reduction to 512, much like the one that the sample photos went through.
    """
    image = Image.fromarray(pixels_of(content))
    short = min(image.size)
    sides = [MEDIUM_SIDE if short > LARGE_SIDE else short] + [SMALL_SIDE] * (short >= 768)
    sizes = [(round(image.width * side / short), round(image.height * side / short)) for side in sides]
    return [np.asarray(image.resize(size, Image.Resampling.LANCZOS)) for size in sizes]


def centre_crop(content: bytes) -> np.ndarray:
    """(256, 256, 3) uint8: a photo's centre, not resized. Raises ValueError when the photo is smaller."""
    pixels = pixels_of(content)
    height, width = pixels.shape[:2]
    if min(height, width) < SIDE:
        raise ValueError(f"a {width}x{height} photo has no native {SIDE}-pixel crop")
    top, left = (height - SIDE) // 2, (width - SIDE) // 2
    return pixels[top : top + SIDE, left : left + SIDE]


def to_tensor(crops: Iterable[np.ndarray]) -> Tensor:
    """(S, S, 3) uint8 crops -> (B, 3, S, S) float32 in [-1, 1]."""
    return torch.from_numpy(np.stack(list(crops))).permute(0, 3, 1, 2).float().div(127.5).sub(1).contiguous()


class CropSampler:
    """Draws random crops, half of them flipped; a photo as often as 256-pixel crops fill its area, up to 6 times."""

    def __init__(self, contents: Iterable[bytes], seed: int = 0) -> None:
        self._random = np.random.default_rng(seed)
        self._versions = [version for content in contents for version in versions_of(content)]

    def draw(self, count: int, side: int) -> Tensor:
        """(count, 3, side, side) float32 in [-1, 1]; only photos with room for a crop of that size take part."""
        sizes = np.array([version.shape[:2] for version in self._versions])
        weights = np.clip(sizes.prod(1) / SIDE**2, 0, MAX_WEIGHT) * (sizes.min(1) >= side)
        chosen = self._random.choice(len(self._versions), size=count, p=weights / weights.sum())
        return to_tensor(self._crop(self._versions[index], side) for index in chosen)

    def _crop(self, pixels: np.ndarray, side: int) -> np.ndarray:
        top, left = (self._random.integers(length - side + 1) for length in pixels.shape[:2])
        crop = pixels[top : top + side, left : left + side]
        return crop[:, ::-1] if self._random.random() < 0.5 else crop

"""Crops at native resolution out of photos that are decoded once and kept in memory."""

import io
from collections.abc import Iterable, Mapping, Sequence

import numpy as np
import torch
from PIL import Image
from torch import Tensor

from tools.small_vae.photos import Photo

LARGE_SIDE, MEDIUM_SIDE, SMALL_SIDE = 1200, 1024, 512
MAX_WEIGHT = 6.0


def decode_versions(content: bytes) -> list[np.ndarray]:
    """The (H, W, 3) uint8 arrays of a photo that crops are taken from; nothing is ever enlarged.

    The file's own pixels, unless its short side exceeds 1200 pixels: then a Lanczos reduction to a short side of 1024,
    since such files are soft at pixel level. From 768 pixels on, also a reduction to 512, much like the one that the
    sample photos went through.
    """
    with Image.open(io.BytesIO(content)) as file:
        image = file.convert("RGB")
    short = min(image.size)
    versions = [image if short <= LARGE_SIDE else _reduced(image, MEDIUM_SIDE)]
    if short >= 768:
        versions.append(_reduced(image, SMALL_SIDE))
    return [np.asarray(version) for version in versions]


def _reduced(image: Image.Image, short_side: int) -> Image.Image:
    factor = short_side / min(image.size)
    size = (round(image.width * factor), round(image.height * factor))
    return image.resize(size, Image.Resampling.LANCZOS)


def centre_crop(pixels: np.ndarray, side: int) -> np.ndarray:
    """(H, W, 3) -> (side, side, 3) at native resolution. Raises ValueError when the photo is smaller than the crop."""
    height, width = pixels.shape[:2]
    if min(height, width) < side:
        raise ValueError(f"a {width}x{height} photo has no native {side}-pixel crop")
    top, left = (height - side) // 2, (width - side) // 2
    return pixels[top : top + side, left : left + side]


def to_tensor(crops: Iterable[np.ndarray]) -> Tensor:
    """(S, S, 3) uint8 crops -> (B, 3, S, S) float32 in [-1, 1], channels_last."""
    batch = torch.from_numpy(np.stack(list(crops))).permute(0, 3, 1, 2)
    return batch.float().div_(127.5).sub_(1).contiguous(memory_format=torch.channels_last)


class CropSampler:
    """Draws random crops, half of them flipped, from the training photos.

    A photo is drawn in proportion to the number of 256-pixel crops that it has room for, up to 6.
    """

    def __init__(self, photos: Iterable[Photo], contents: Mapping[str, bytes], seed: int | Sequence[int]) -> None:
        self._random = np.random.default_rng(seed)
        self._versions = [version for photo in photos for version in decode_versions(contents[photo.sha256])]
        self._areas = np.array([version.shape[0] * version.shape[1] for version in self._versions], dtype=np.float64)
        self._short_sides = np.array([min(version.shape[:2]) for version in self._versions])

    def draw(self, count: int, side: int) -> Tensor:
        """(count, 3, side, side) float32 in [-1, 1]; only photos with room for a crop of that size take part."""
        weights = np.clip(self._areas / 65_536, 0, MAX_WEIGHT) * (self._short_sides >= side)
        chosen = self._random.choice(len(self._versions), size=count, p=weights / weights.sum())
        return to_tensor(self._crop(self._versions[index], side) for index in chosen)

    def _crop(self, pixels: np.ndarray, side: int) -> np.ndarray:
        top = self._random.integers(pixels.shape[0] - side + 1)
        left = self._random.integers(pixels.shape[1] - side + 1)
        crop = pixels[top : top + side, left : left + side]
        return crop[:, ::-1] if self._random.random() < 0.5 else crop

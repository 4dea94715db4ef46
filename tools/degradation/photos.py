"""The photos: those of the small VAE's list by the same split, some large ones held out beside it, and further ones."""

from __future__ import annotations

from collections.abc import Iterable
from functools import cache
from pathlib import Path

import numpy as np
from PIL import Image

from paris_assets.models.degradation_views import reduced_view as view_of
from tools.more_photos import photos as more_photos
from tools.more_photos.photos import read_any
from tools.small_vae.crops import pixels_of
from tools.small_vae.photos import Photo, used

LARGE = 1024
EVERY = 5
SHORTEST_KEPT = 1024


def training() -> list[Photo]:
    """Those of `training_of_small_vae` and the further photos that train."""
    return [*training_of_small_vae(), *more_photos.used("train")]


def training_of_small_vae() -> list[Photo]:
    """Photos of the small VAE's training split, without the groups of `held_out_large`."""
    return [photo for photo in used("train") if not _large_held_out(photo)]


def validation() -> list[Photo]:
    """Photos that train nothing: by them weights may be chosen. The small VAE's 11, of 7 groups, and further ones."""
    return [*used("validation"), *more_photos.used("validation")]


def held_out() -> list[Photo]:
    """The 46 photos of the shipped sample that neither network saw."""
    return used("held_out")


def held_out_large() -> list[Photo]:
    """One photo each of the training split's groups that hold a large one and whose second 32 bits are a multiple of
    five: what is said of pictures of 1,024 pixels and more is measured on them."""
    found = {photo["group"]: photo for photo in used("train") if _large_held_out(photo) and _short(photo) >= LARGE}
    return [found[group] for group in sorted(found)]


def held_out_more() -> list[Photo]:
    """The further photos that no network saw."""
    return more_photos.used("held_out")


def _large_held_out(photo: Photo) -> bool:
    return photo["group"] in _large_groups() and int(photo["group"][8:16], 16) % EVERY == 0


@cache
def _large_groups() -> frozenset[str]:
    return frozenset(photo["group"] for photo in used("train") if _short(photo) >= LARGE)


def _short(photo: Photo) -> int:
    return min(photo["width"], photo["height"])


def pixels(photos: Iterable[Photo], work: Path) -> list[np.ndarray]:
    """(H, W, 3) uint8 each; those with a short side above 1,024 are reduced to it, as such files are soft."""
    return [np.asarray(reduced(Image.fromarray(pixels_of(read_any(photo, work))), SHORTEST_KEPT)) for photo in photos]


def seen_whole(photos: Iterable[np.ndarray]) -> list[np.ndarray]:
    """(h, w, 3) uint8 each: as the networks on the view see them, with a long side of at most 448."""
    return [view_of(photo) for photo in photos]


def reduced(image: Image.Image, short: int) -> Image.Image:
    """With a short side of at most so many pixels (Lanczos)."""
    factor = short / min(image.size)
    if factor >= 1:
        return image
    return image.resize((round(image.width * factor), round(image.height * factor)), Image.Resampling.LANCZOS)

"""The photos of the small VAE's list, by the split of `tools.degradation`, and the pictures that are cut out of them.

No two photos of a group of near-duplicates take part: its largest stands for it. A training group whose third 32 bits
are a multiple of five is for validation: the threshold is chosen on it, and no weight.
"""

from __future__ import annotations

from collections.abc import Iterable
from pathlib import Path

import numpy as np
from PIL import Image

from tools.degradation import photos as degradation
from tools.degradation.photos import reduced
from tools.small_vae.crops import pixels_of
from tools.small_vae.photos import Photo, read, used

SHORTEST_KEPT, SHORTEST_TRAINED = 448, 352
QUARTERED = 640
EVERY = 5


def training() -> list[Photo]:
    """One photo of each training group."""
    return [photo for photo in _largest(degradation.training_of_small_vae()) if not _validates(photo)]


def validation() -> list[Photo]:
    """One photo of each group that validates, those of the small VAE among them."""
    held_back = [photo for photo in _largest(degradation.training_of_small_vae()) if _validates(photo)]
    return [*held_back, *_largest(used("validation"))]


def held_out() -> list[Photo]:
    """The 46 photos of the shipped sample of which nothing was trained or chosen."""
    return degradation.held_out()


def held_out_large() -> list[Photo]:
    """17 large ones that are held out as well, which `collect` fetches."""
    return degradation.held_out_large()


def guests() -> list[Photo]:
    """Twelve training photos of the shipped sample, which overlays and collages of measured edits are made with."""
    return [photo for photo in training() if photo["package"] == "sample"][:12]


def _validates(photo: Photo) -> bool:
    return int(photo["group"][16:24], 16) % EVERY == 0


def _largest(photos: Iterable[Photo]) -> list[Photo]:
    groups = dict[str, Photo]()
    for photo in sorted(photos, key=lambda photo: (photo["width"] * photo["height"], photo["sha256"])):
        groups[photo["group"]] = photo
    return [groups[group] for group in sorted(groups)]


def pixels(photos: Iterable[Photo], work: Path) -> list[np.ndarray]:
    """(H, W, 3) uint8 each; those with a short side above 448 are reduced to it."""
    return [np.asarray(reduced(Image.fromarray(pixels_of(read(photo, work))), SHORTEST_KEPT)) for photo in photos]


def with_quarters(photo: Photo, work: Path) -> list[np.ndarray]:
    """(H, W, 3) uint8: the photo, and its four quarters where its short side has 640 pixels or more, each with a short
    side of at most 352."""
    whole = pixels_of(read(photo, work))
    height, width = (side // 2 for side in whole.shape[:2])
    parts = [whole[top : top + height, left : left + width] for top in (0, height) for left in (0, width)]
    kept = [whole, *(parts if 2 * min(height, width) >= QUARTERED else [])]
    return [np.asarray(reduced(Image.fromarray(part), SHORTEST_TRAINED)) for part in kept]

"""Photographs that were damaged by known amounts, and what a signal says of them."""

from __future__ import annotations

import io
from collections.abc import Callable
from itertools import product

import numpy as np
from PIL import Image, ImageFilter
from scipy.stats import rankdata

from paris_assets.images.file import ImageFile
from paris_assets.signals.signal import Signal, call
from paris_assets_tests.fixtures.photographs import photographs
from paris_assets_tests.signals import plain

Damage = Callable[[np.ndarray, float], bytes]


def clean(photo: Image.Image, side: int) -> np.ndarray:
    """A photograph as pixels of any short side: at half size nothing is left of its JPEG, and its mirror images fill
    the rest, so that a larger picture has more of the same pixels."""
    pixels = np.asarray(photo.reduce(2))
    missing = [max(0, wanted - had) for wanted, had in zip((side, side * 4 // 3), pixels.shape[:2], strict=True)]
    tiled = np.pad(pixels, (*((0, lost) for lost in missing), (0, 0)), mode="symmetric")
    return np.ascontiguousarray(tiled[:side, : side * 4 // 3])


def balanced(pixels: np.ndarray) -> np.ndarray:
    """Without a cast: the mean of (a, b) is that of grey. Twice, as colours that sRGB lacks are cut."""
    for _ in range(2):
        pixels = tinted(pixels, -plain.lab(pixels[::4, ::4])[..., 1:].mean(axis=(0, 1)))
    return pixels


def tinted(pixels: np.ndarray, ab: np.ndarray) -> np.ndarray:
    """Every colour moved by (a, b) in CIELAB."""
    moved = plain.lab(pixels) + np.array([0, *ab])
    return plain.rgb_of_lab(moved)


def file(pixels: np.ndarray, quality: int = 100) -> bytes:
    """A JPEG, or a BMP where no quality is asked for."""
    buffer = io.BytesIO()
    Image.fromarray(pixels).save(buffer, "BMP" if quality == 100 else "JPEG", quality=quality)
    return buffer.getvalue()


def compressed(pixels: np.ndarray, quality: float) -> bytes:
    return file(pixels, int(quality))


def noisy(pixels: np.ndarray, sigma: float) -> bytes:
    grain = np.random.default_rng(0).normal(0, sigma, (*pixels.shape[:2], 1))
    return file((pixels + grain).round().clip(0, 255).astype(np.uint8))


def blurred(pixels: np.ndarray, radius: float) -> bytes:
    return file(np.asarray(Image.fromarray(pixels).filter(ImageFilter.GaussianBlur(radius))))


def cast(pixels: np.ndarray, distance: float) -> bytes:
    """Of a known distance: the photograph's own is taken away first."""
    return file(tinted(balanced(pixels), distance * np.array([0.3, 0.95])))


def enlarged(pixels: np.ndarray, factor: float) -> bytes:
    """Of the same size, and of so many times fewer pixels in each direction."""
    image = Image.fromarray(pixels)
    few = image.resize((round(image.width / factor), round(image.height / factor)), Image.Resampling.LANCZOS)
    return file(np.asarray(few.resize(image.size, Image.Resampling.BICUBIC)))


def framed(pixels: np.ndarray, share: float) -> bytes:
    """In a white frame, whose width is a share of the short side."""
    width = round(share * min(pixels.shape[:2]))
    inner = np.full_like(pixels, 255)
    inner[width : pixels.shape[0] - width, width : pixels.shape[1] - width] = pixels[
        width : pixels.shape[0] - width, width : pixels.shape[1] - width
    ]
    return file(inner)


LADDERS: dict[str, tuple[Damage, tuple[float, ...]]] = {
    "compression": (compressed, (95, 85, 75, 50, 30, 20, 10, 5, 3)),
    "noise": (noisy, (0, 2, 4, 8, 12, 20, 30)),
    "blur": (blurred, (0, 0.5, 1, 1.5, 2, 3, 4)),
    "cast": (cast, (0, 2, 5, 10, 15, 20)),
    "enlarging": (enlarged, (1, 1.5, 2, 3, 4)),
    "frame": (framed, (0, 0.02, 0.04, 0.06, 0.08, 0.1)),
}


def measured(signals: list[Signal], data: list[bytes]) -> dict[str, np.ndarray]:
    """Column -> a value per file, NaN for null; texts are left out."""
    files = [ImageFile(each) for each in data]
    rgb = [np.asarray(Image.open(io.BytesIO(each)).convert("RGB")) for each in data]
    found = {name: values for signal in signals for name, values in call(signal, rgb, files).items()}
    return {
        name: np.array(values, np.float64)
        for name, values in found.items()
        if not any(isinstance(value, str) for value in values) and np.ndim(values) == 1
    }


def climbed(signals: list[Signal], ladder: str, photos: list[Image.Image], side: int) -> dict[str, np.ndarray]:
    """Column -> (photos, levels): what is measured of each photo at each level of damage, from none to most."""
    damage, levels = LADDERS[ladder]
    rows = [measured(signals, [damage(clean(photo, side), level) for level in levels]) for photo in photos]
    return {name: np.stack([row[name] for row in rows if name in row]) for name in rows[0]}


def spearman(first: np.ndarray, second: np.ndarray) -> float:
    """Spearman's rank correlation, ties at their mean rank."""
    return float(np.corrcoef(rankdata(first), rankdata(second))[0, 1])


def own(values: np.ndarray) -> float:
    """The least, over photos, rank correlation of a signal with the level, (photos, levels)."""
    rows = [row for row in values if len(set(row[np.isfinite(row)])) > 1]
    told = [np.isfinite(row) for row in rows]
    ranks = [spearman(np.flatnonzero(ok), row[ok]) for row, ok in zip(rows, told, strict=True)]
    return min(map(abs, ranks)) if len(ranks) == len(values) else 0.0


def pooled(values: np.ndarray) -> float:
    """Rank correlation of a signal with the level over all photos: what a bound would see of the damage."""
    levels = np.tile(np.arange(values.shape[1]), len(values))
    told = np.isfinite(values.ravel())
    if len(set(values.ravel()[told])) < 2:
        return 0.0
    return spearman(levels[told], values.ravel()[told])


def sample(count: int) -> list[Image.Image]:
    """Photographs spread over the whole sample."""
    photos = photographs()
    return photos[:: len(photos) // count][:count]


def table(
    signals: list[Signal], photos: list[Image.Image], side: int = 512
) -> dict[tuple[str, str], tuple[float, float]]:
    """(column, ladder) -> `own` and `pooled`."""
    climbs = {ladder: climbed(signals, ladder, photos, side) for ladder in LADDERS}
    found = product({name for climb in climbs.values() for name in climb}, climbs)
    return {
        (name, ladder): (own(climbs[ladder][name]), pooled(climbs[ladder][name]))
        for name, ladder in found
        if name in climbs[ladder]
    }

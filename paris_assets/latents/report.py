"""What the latents keep: originals beside decoded latents, PSNR, moments."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable, Iterator
from pathlib import Path
from typing import NamedTuple

import numpy as np
import polars as pl

from paris_assets.config import Latents
from paris_assets.latents.crops import crops
from paris_assets.latents.drawing import Pair
from paris_assets.latents.encode import rows_of
from paris_assets.latents.places import Sizes
from paris_assets.latents.trained_on import TrainingPhotos
from paris_assets.models.batches import BatchStats, batched, run_padded
from paris_assets.models.decoding import Images
from paris_assets.models.protocols import LatentCodec
from paris_assets.models.threads import side_by_side
from paris_assets.storage.ragged import arrays_of

LEAST_SHOWN = 4


class Moments(NamedTuple):
    """Mean and deviation per latent channel over all images and positions, (channels,) float64, and the images."""

    mean: np.ndarray
    std: np.ndarray
    images: int


def chosen(image_ids: Iterable[str], count: int) -> list[str]:
    """The images to show: the first by image_id, which is a content hash, so a fixed random sample."""
    return sorted(set(image_ids))[:count]


def shown_at(settings: Latents, resolution: int) -> int:
    """How many images the report shows at a size: fewer of larger ones, for about as many pixels."""
    smallest = min(settings.resolutions)
    if resolution == smallest:
        return settings.report_images
    fewer = settings.report_images * smallest**2 // resolution**2
    return max(min(LEAST_SHOWN, settings.report_images), fewer)


def moments(frames: Iterable[pl.DataFrame], column: str) -> Moments:
    """Moments of the scaled latents in ``column`` over frames of any size, in one pass and float64.

    Args:
        frames: hold the column's ``ragged.array_columns``.
    """
    images, count, total, squares = 0, 0, np.zeros(0), np.zeros(0)
    for frame in frames:
        held = frame[column].drop_nulls()
        images += len(held)
        blocks = [array[None] for array in arrays_of(frame, column) if array is not None]
        for latents in blocks if held.dtype == pl.Binary else [held.to_numpy()] * bool(len(held)):
            values = latents.astype(np.float64)
            count += values[:, 0].size
            total = values.sum((0, 2, 3)) + (total if total.size else 0)
            squares = (values**2).sum((0, 2, 3)) + (squares if squares.size else 0)
    mean = total / max(count, 1)
    return Moments(mean, np.sqrt(np.maximum(squares / max(count, 1) - mean**2, 0)), images)


def psnr(original: np.ndarray, decoded: np.ndarray) -> float:
    """Peak signal-to-noise ratio in dB of two uint8 pictures: 10 log10(255^2 / MSE), the mean over all pixels and
    channels of values in [0, 255]. Equal pictures count as if one value were off by one: means stay finite."""
    mse = float(np.mean((original.astype(np.float64) - decoded.astype(np.float64)) ** 2))
    return 10 * float(np.log10(255**2 / max(mse, 1 / original.size)))


def pairs(
    images: Images,
    latents: pl.DataFrame,
    codec: LatentCodec,
    settings: Latents,
    resolution: int,
    photos: Path | None = None,
    stats: BatchStats | None = None,
) -> list[Pair]:
    """Decode the latents of some images and compare them with the pixels that were encoded.

    Args:
        images: (image_id, file bytes) of the images to show (see ``chosen``).
        latents: their rows of the latents table; others are ignored.
        codec: the VAE that made them.
        settings: those under which it did.
        resolution: which latents, pixels.
        photos: the codec's list of training photos (``photos.jsonl``), if it has one.
        stats: an out-of-memory halving is added here.

    Raises:
        Undecodable: names the image.
        ValueError: an image without a latent, by name.
    """
    column, files, sizes = f"latent_{resolution}", sorted(images), Sizes(settings)
    held = zip(latents["image_id"], arrays_of(latents, column), strict=True)
    stored = {image_id: latent for image_id, latent in held if latent is not None}
    missing = [image_id for image_id, _ in files if image_id not in stored]
    if missing:
        raise ValueError(f"{len(missing)} images of the latent report have no {column}, first {missing[0]}")
    known = TrainingPhotos(photos) if photos else None
    wanted = [stored[image_id].astype(np.float32) for image_id, _ in files]
    decoded = _decoded(wanted, codec, rows_of(codec, sizes, resolution), stats or BatchStats())
    found = []
    for (image_id, data), picture in zip(files, decoded, strict=True):
        placed, pixels = crops(image_id, data, sizes, codec.scaled_decode)
        trained = None if known is None else known.hold(image_id, data)
        quality, upscaled = psnr(pixels[resolution], picture), placed.places[resolution].upscaled
        found.append(Pair(image_id, pixels[resolution], picture, quality, upscaled, trained))
    return found


def _decoded(latents: list[np.ndarray], codec: LatentCodec, size: int, stats: BatchStats) -> list[np.ndarray]:
    """(height, width, 3) uint8 of each latent (channels, h, w) float32, those of one shape in batches together."""
    alike = defaultdict[tuple[int, ...], list[int]](list)
    for number, latent in enumerate(latents):
        alike[latent.shape].append(number)
    batches: Iterator[list[int]] = (batch for numbers in alike.values() for batch in batched(numbers, size))

    def run(batch: list[int]) -> tuple[list[int], np.ndarray]:
        rows = np.stack([latents[number] for number in batch])
        (pictures,) = run_padded(codec.name, lambda rows: (codec.decode(rows),), size, stats, rows)
        return batch, pictures

    found = dict[int, np.ndarray]()
    for batch, pictures in side_by_side([codec], run, batches):
        found.update(zip(batch, pictures, strict=True))
    return [found[number] for number in range(len(latents))]

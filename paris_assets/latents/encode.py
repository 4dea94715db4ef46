"""Latents of the short-side resized, centre-cropped image."""

from __future__ import annotations

import hashlib
from collections.abc import Iterator
from typing import NamedTuple

import numpy as np
import polars as pl

from paris_assets.config import Latents, ProfileError
from paris_assets.images.resize import middle
from paris_assets.models.batches import BatchStats, Images, decode, float16, naming, prepared_batches, run_padded
from paris_assets.models.protocols import LatentCodec
from paris_assets.models.threads import side_by_side

TOO_SMALL = "smaller_than_latent"


class Square(NamedTuple):
    """A crop at one resolution: (r, r, 3) uint8, and where it lies in the resized image, pixels."""

    pixels: np.ndarray
    upscaled: bool
    crop_top: int
    crop_left: int


def crop(rgb: np.ndarray, resolution: int, upscale: bool) -> Square | None:
    """Short side to ``resolution`` (bicubic, antialiased), then the centre square.

    Args:
        rgb: (H, W, 3) uint8.
        resolution: side of the square, pixels.
        upscale: whether a smaller image is enlarged.

    Returns:
        The square; None for a smaller image that may not be upscaled.
    """
    small = min(rgb.shape[:2]) < resolution
    if small and not upscale:
        return None
    pixels, top, left = middle(rgb, resolution, resolution)
    return Square(pixels, small, top, left)


def encode(
    images: Images,
    codec: LatentCodec,
    settings: Latents,
    seed: int,
    rejects: dict[str, str] | None = None,
    threads: int = 0,
    stats: BatchStats | None = None,
) -> Iterator[pl.DataFrame]:
    """Scaled latents of every image at every resolution.

    Args:
        images: (image_id, file bytes), sorted by image_id.
        codec: the VAE.
        settings: ``resolutions``, ``upscale``, ``posterior``.
        seed: a sampled latent is drawn from (seed, image_id, resolution), so it depends on no other image.
        rejects: image_id -> reason of the images that get no row; filled while frames are consumed.
        threads: decode threads; 0: one per core.
        stats: counts and out-of-memory halvings are added here.

    Yields:
        image_id; latent_<r> Array(Float16, (channels, r / factor, r / factor)) per resolution r; upscaled, and crop_top
        and crop_left Int64, in pixels of the resized image, at the smallest resolution. Further resolutions add
        upscaled_<r>, crop_top_<r>, crop_left_<r>, and are null where the image is too small for them. At least one
        frame, which may be empty.

    Raises:
        Undecodable: names the image.
        ProfileError: a resolution that the codec cannot halve evenly.
        BrokenInvariant: latents that are not finite.
    """
    stats, rejects = stats or BatchStats(), {} if rejects is None else rejects
    resolutions = sorted(settings.resolutions)
    _require_even(codec, resolutions)

    def prepare(image_id: str, data: bytes) -> tuple[str, list[Square | None]]:
        rgb = decode(image_id, data, resolutions[-1] if codec.scaled_decode else None)
        return image_id, [crop(rgb, resolution, settings.upscale) for resolution in resolutions]

    schema = _schema(codec, resolutions)
    yield pl.DataFrame(schema=schema)

    def run(batch: list[tuple[str, list[Square | None]]]) -> tuple[pl.DataFrame, list[str]]:
        rows = [(image_id, squares) for image_id, squares in batch if squares[0] is not None]
        ids = [image_id for image_id, _ in rows]
        columns: dict[str, list | pl.Series] = {"image_id": ids}
        for index, resolution in enumerate(resolutions if rows else ()):
            at = [squares[index] for _, squares in rows]
            suffix = "" if index == 0 else f"_{resolution}"
            columns |= _columns(codec, resolution, ids, at, settings, seed, stats, suffix)
        frame = pl.DataFrame(columns if rows else None, schema=schema)
        return frame, [image_id for image_id, squares in batch if squares[0] is None]

    for frame, small in side_by_side([codec], run, prepared_batches(prepare, images, codec.batch_size, threads)):
        rejects.update(dict.fromkeys(small, TOO_SMALL))
        yield frame


def _require_even(codec: LatentCodec, resolutions: list[int]) -> None:
    uneven = [resolution for resolution in resolutions if resolution % codec.factor]
    if uneven:
        raise ProfileError(f"latents.resolutions: {uneven} are no multiples of {codec.factor}, as {codec.name} needs")


def noise(seed: int, image_id: str, shape: tuple[int, ...], resolution: int) -> np.ndarray:
    """Standard normal float32 that depends on its arguments only."""
    digest = hashlib.sha256(f"{seed}:{image_id}:{resolution}".encode()).digest()
    return np.random.default_rng(int.from_bytes(digest[:16])).standard_normal(shape, np.float32)


def _columns(
    codec: LatentCodec,
    resolution: int,
    ids: list[str],
    squares: list[Square | None],
    settings: Latents,
    seed: int,
    stats: BatchStats,
    suffix: str,
) -> dict[str, list | pl.Series]:
    """The columns of one resolution; null where there is no square."""
    side = resolution // codec.factor
    shape = (codec.channels, side, side)
    present = [(image_id, square) for image_id, square in zip(ids, squares, strict=True) if square is not None]
    latents = np.zeros((len(ids), *shape), np.float16)
    if present:
        inputs = [np.stack([square.pixels for _, square in present])]
        if settings.posterior == "sample":
            inputs.append(np.stack([noise(seed, image_id, shape, resolution) for image_id, _ in present]))
        with naming(image_id for image_id, _ in present):
            (encoded,) = run_padded(
                codec.name, lambda *batch: (codec.encode(*batch),), codec.batch_size, stats, *inputs
            )
        chosen = np.array([square is not None for square in squares])
        latents[chosen] = float16(encoded, [image_id for image_id, _ in present], codec.name)
    column = pl.Series(latents)
    if len(present) < len(ids):
        mask = pl.Series([square is not None for square in squares])
        column = pl.select(pl.when(mask).then(column)).to_series()
    return {
        f"latent_{resolution}": column,
        f"upscaled{suffix}": [square and square.upscaled for square in squares],
        f"crop_top{suffix}": [square and square.crop_top for square in squares],
        f"crop_left{suffix}": [square and square.crop_left for square in squares],
    }


def _schema(codec: LatentCodec, resolutions: list[int]) -> dict[str, pl.DataType]:
    schema: dict[str, pl.DataType] = {"image_id": pl.String()}
    for resolution in resolutions:
        side = resolution // codec.factor
        suffix = "" if resolution == resolutions[0] else f"_{resolution}"
        schema[f"latent_{resolution}"] = pl.Array(pl.Float16, (codec.channels, side, side))
        schema |= {f"upscaled{suffix}": pl.Boolean(), f"crop_top{suffix}": pl.Int64(), f"crop_left{suffix}": pl.Int64()}
    return schema

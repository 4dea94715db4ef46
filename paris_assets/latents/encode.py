"""Latents of images at every size that they cover: resized, centre-cropped, encoded in batches of one shape."""

from __future__ import annotations

import hashlib
from collections import deque
from collections.abc import Iterator
from contextlib import closing
from functools import partial

import numpy as np
import polars as pl

from paris_assets.compute import Compute
from paris_assets.config import Latents, ProfileError
from paris_assets.latents.crops import Crops, crops
from paris_assets.latents.places import Place, Sizes
from paris_assets.latents.same_shape import Batch, Row, same_shape
from paris_assets.models.batches import BatchStats, float16, naming, run_padded
from paris_assets.models.decoding import Idle, Images, prepared
from paris_assets.models.protocols import LatentCodec
from paris_assets.models.threads import side_by_side
from paris_assets.storage.ragged import ragged, ragged_schema

FLOAT16_BYTES = 2


def encode(
    images: Images,
    codec: LatentCodec,
    settings: Latents,
    seed: int,
    rejects: dict[str, str] | None = None,
    compute: Compute | None = None,
    stats: BatchStats | None = None,
) -> Iterator[pl.DataFrame]:
    """Scaled latents of every image at every size that it covers.

    Args:
        images: (image_id, file bytes), sorted by image_id.
        codec: the VAE.
        settings: ``resolutions``, ``buckets``, ``upscale``, ``posterior``.
        seed: a sampled latent is drawn from (seed, image_id, resolution), so it depends on no other image.
        rejects: image_id -> reason of the images that get no row; filled while frames are consumed.
        compute: who decodes; by default the threads of this process.
        stats: counts and out-of-memory halvings are added here.

    Yields:
        image_id and, for each resolution r, latent_<r> Array(Float16, (channels, r / factor, r / factor)), or for one
        in buckets the columns of ``ragged_schema``; and ``settings.placed``: where the crops lie. Null at further sizes
        that the image does not cover. At least one frame, which may be empty.

    Raises:
        Undecodable: names the image.
        ProfileError: a size that the codec cannot halve evenly.
        BrokenInvariant: latents that are not finite.
    """
    stats, rejects = stats or BatchStats(), {} if rejects is None else rejects
    sizes, rows, ready, idle = Sizes(settings), deque[Row](), list[Row](), Idle()
    _require_even(codec, sizes)
    schema = _schema(codec, settings)
    yield pl.DataFrame(schema=schema)

    def run(batch: Batch) -> tuple[Batch, np.ndarray]:
        with idle:
            return batch, _encoded(batch, codec, settings, seed, rows_of(codec, sizes, batch.resolution), stats)

    prepare = partial(_cut, sizes, codec.scaled_decode)
    who, row_bytes = compute or Compute(), _latent_bytes(codec, sizes.resolutions)
    with closing(prepared(prepare, images, codec.batch_size, who, codec.name, idle.seconds)) as cut:
        batches = same_shape(cut, rows, lambda resolution: rows_of(codec, sizes, resolution), row_bytes)
        for batch, latents in side_by_side([codec], run, batches):
            for row, latent in zip(batch.rows, latents, strict=True):
                row.latents[batch.resolution] = latent
            while rows and rows[0].done:
                ready.append(rows.popleft())
            if len(ready) >= codec.batch_size:
                yield _frame(ready, settings, schema, rejects)
                ready = []
    yield _frame([*ready, *rows], settings, schema, rejects)


def _cut(sizes: Sizes, scaled_decode: bool, image_id: str, data: bytes) -> tuple[str, Crops]:
    return image_id, crops(image_id, data, sizes, scaled_decode)


def rows_of(codec: LatentCodec, sizes: Sizes, resolution: int) -> int:
    """Images of a batch: the codec's at the smallest size; of larger ones fewer, for no more pixels."""
    return max(1, codec.batch_size * sizes.resolutions[0] ** 2 // resolution**2)


def noise(seed: int, image_id: str, shape: tuple[int, ...], resolution: int) -> np.ndarray:
    """Standard normal float32 that depends on its arguments only."""
    digest = hashlib.sha256(f"{seed}:{image_id}:{resolution}".encode()).digest()
    return np.random.default_rng(int.from_bytes(digest[:16])).standard_normal(shape, np.float32)


def _require_even(codec: LatentCodec, sizes: Sizes) -> None:
    if uneven := sizes.uneven(codec.factor):
        raise ProfileError(f"latents.resolutions: {uneven} are no multiples of {codec.factor}, as {codec.name} needs")


def _latent_bytes(codec: LatentCodec, resolutions: list[int]) -> int:
    return sum(FLOAT16_BYTES * codec.channels * (size // codec.factor) ** 2 for size in resolutions)


def _encoded(
    batch: Batch, codec: LatentCodec, settings: Latents, seed: int, size: int, stats: BatchStats
) -> np.ndarray:
    """(N, channels, h, w) float16 of one batch."""
    ids = [row.image_id for row in batch.rows]
    inputs = [np.stack(batch.pixels)]
    if settings.posterior == "sample":
        height, width = (side // codec.factor for side in inputs[0].shape[1:3])
        shape = codec.channels, height, width
        inputs.append(np.stack([noise(seed, image_id, shape, batch.resolution) for image_id in ids]))
    with naming(ids):
        (encoded,) = run_padded(codec.name, lambda *rows: (codec.encode(*rows),), size, stats, *inputs)
    return float16(encoded, ids, codec.name)


def _frame(rows: list[Row], settings: Latents, schema: dict[str, pl.DataType], rejects: dict[str, str]) -> pl.DataFrame:
    """The rows of images that are done, without those that have no latent, whose reasons go to ``rejects``."""
    rejects.update({row.image_id: row.placed.lacking for row in rows if row.placed.lacking})
    kept = [row for row in rows if not row.placed.lacking]
    if not kept:
        return pl.DataFrame(schema=schema)
    columns: dict[str, list | pl.Series] = {"image_id": [row.image_id for row in kept]}
    for resolution in sorted(settings.resolutions):
        latents = [row.latents.get(resolution) for row in kept]
        if resolution in settings.bucketed:
            columns |= ragged(f"latent_{resolution}", latents)
        else:
            columns[f"latent_{resolution}"] = _squares(latents, schema[f"latent_{resolution}"])
        places = [row.placed.places.get(resolution) for row in kept]
        columns |= {settings.column(name, resolution): _values(places, name) for name in Place._fields}
    columns["bucket"] = [str(row.placed.bucket) for row in kept]
    columns["ratio_error"] = [row.placed.ratio_error for row in kept]
    return pl.DataFrame({name: columns[name] for name in schema}, schema=schema)


def _values(places: list[Place | None], name: str) -> list[int | bool | None]:
    return [None if place is None else getattr(place, name) for place in places]


def _squares(latents: list[np.ndarray | None], kind: pl.DataType) -> pl.Series:
    present = [latent is not None for latent in latents]
    empty = np.zeros(kind.shape, np.float16)  # type: ignore[attr-defined]
    column = pl.Series(np.stack([empty if latent is None else latent for latent in latents]))
    return column if all(present) else pl.select(pl.when(pl.Series(present)).then(column)).to_series()


def _schema(codec: LatentCodec, settings: Latents) -> dict[str, pl.DataType]:
    schema: dict[str, pl.DataType] = {"image_id": pl.String()}
    for resolution in sorted(settings.resolutions):
        name, side = f"latent_{resolution}", resolution // codec.factor
        square: dict[str, pl.DataType] = {name: pl.Array(pl.Float16, (codec.channels, side, side))}
        schema |= ragged_schema(name) if resolution in settings.bucketed else square
        schema |= {
            name: pl.Boolean() if name.startswith("upscaled") else pl.Int64() for name in settings.placing(resolution)
        }
    return schema | ({"bucket": pl.String(), "ratio_error": pl.Float64()} if settings.buckets else {})

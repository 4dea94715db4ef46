"""The ranges of the uint8 codec: from the profile, or from a sample of the images, and what the codec costs."""

from __future__ import annotations

import hashlib
from collections import defaultdict
from collections.abc import Iterable, Iterator, Sequence
from itertools import chain
from typing import NamedTuple

import numpy as np
import polars as pl

from paris_assets.config import Profile
from paris_assets.errors import BrokenInvariant
from paris_assets.experts import arrays
from paris_assets.experts.arrays import optional_rows
from paris_assets.experts.coding import CODEC, codec_bytes, codecs_of
from paris_assets.experts.schema import VALUE_RANGES
from paris_assets.formats.codec import CHANNELS, LARGEST, MAGNITUDE, ArrayCodec, codecs_json, decode, encode
from paris_assets.models.batches import BatchStats, batched, run_padded
from paris_assets.models.protocols import LatentCodec
from paris_assets.models.registry import Models
from paris_assets.models.threads import side_by_side
from paris_assets.settings.experts import ArrayRange
from paris_assets.storage.output import Output
from paris_assets.storage.shards import Shards

BATCH_ROWS = 64
DECODED = 16
"""Images whose latents are decoded twice, as float16 and as coded."""
COMPARED = 256
"""Images whose text embeddings are compared, position by position."""
FINITE = 0x7C00
"""Magnitudes of float16, by their bits."""


class NoValues(BrokenInvariant):
    """There is nothing to take a range from."""


class Errors(NamedTuple):
    """What coding does to the values of a channel, without zeros."""

    values: int
    clipped: float
    rmse: float
    relative_rmse: float


def ranged(latents: Shards, texts: Shards, models: Models, profile: Profile) -> Output:
    """Rows of `value_ranges`, one per kind of arrays or per channel, and `router_arrays/codec.json`.

    Args:
        latents: the table `latents`.
        texts: the table `text_embeddings`.

    Raises:
        NoValues: no image has such an array, so there is no range.
    """
    settings = profile.experts.codec
    assert settings is not None
    sizes = sorted(profile.latents.resolutions)
    output, stats = Output(rows_in=0), BatchStats()

    def write() -> Iterator[pl.DataFrame]:
        frames = []
        if wanted := settings.latents:
            ids = sampled(latents, wanted.rows, profile.seed)
            rows = lambda: chain.from_iterable(latent_rows(latents, ids, size) for size in sizes)  # noqa: E731
            frames.append(_of_kind("latents", wanted, rows(), wanted.per_channel, len(ids)))
            codec = codecs_of(frames[-1].lazy())["latents"]
            smallest = latent_rows(latents, ids[:DECODED], sizes[0])
            found = decoded_psnr(smallest, codec, models.load(profile.latents.codec), stats)
            frames[-1] = frames[-1].with_columns(psnr_db=float(np.mean(found)), lowest_psnr_db=min(found))
        if wanted := settings.text:
            ids = sampled(texts, wanted.rows, profile.seed)
            frames.append(_of_kind("text", wanted, text_rows(texts, ids), False, len(ids)))
            codec = codecs_of(frames[-1].lazy())["text"]
            mean, lowest = cosines(text_rows(texts, ids[:COMPARED]), codec)
            frames[-1] = frames[-1].with_columns(cosine=mean, lowest_cosine=lowest)
        table = pl.concat(frames)
        codecs = codecs_of(table.lazy())
        output.add_file(f"router_arrays/{CODEC}", codec_bytes(codecs))
        output.rows_in = int(table["images"].max() or 0)  # type: ignore[arg-type]
        output.facts |= {"codec": codecs_json(codecs), "shards": list(latents.keys)}
        output.note_halved(stats.halved)
        yield table

    output.rows = write()
    return output


def sampled(table: Shards, count: int, seed: int) -> pl.Series:
    """So many image_ids of a table, sorted: those that follow a point which the seed chooses. They are content hashes,
    so it is a random sample, whatever the order of shards and rows."""
    start = hashlib.sha256(f"value_ranges {seed}".encode()).hexdigest()[:32]
    ids = table.frame().select("image_id").unique().sort("image_id").collect()["image_id"]
    first = int(ids.search_sorted(start))
    return pl.concat([ids.slice(first), ids.slice(0, first)]).head(count).sort()


def latent_rows(table: Shards, ids: pl.Series, size: int) -> Iterator[np.ndarray]:
    """(c, h, w) float16 latents of a size, of those of the images that have them."""
    for shard in table.keys:
        for rows in optional_rows(table[shard], f"latent_{size}", _there(table[shard], ids), BATCH_ROWS):
            yield from (row for row in rows if row is not None)


def text_rows(table: Shards, ids: pl.Series) -> Iterator[np.ndarray]:
    """(positions, dim) float16 text embeddings of images."""
    for shard in table.keys:
        yield from chain.from_iterable(arrays.text_rows(table[shard], _there(table[shard], ids), BATCH_ROWS))


def _there(table: pl.LazyFrame, ids: pl.Series) -> pl.Series:
    return table.select("image_id").filter(pl.col("image_id").is_in(ids.implode())).collect()["image_id"].sort()


def _of_kind(
    kind: str, settings: ArrayRange, arrays: Iterable[np.ndarray], per_channel: bool, images: int
) -> pl.DataFrame:
    """Rows of a kind: one, or one per channel; what is decoded is filled in later."""
    counts = histogram(arrays, CHANNELS[kind] if per_channel else None)
    rows = []
    for channel, found in enumerate(counts):
        scale = scale_of(settings, found, kind)
        rows.append(
            {
                "kind": kind,
                "channel": channel if per_channel else None,
                "scale": scale,
                "range": LARGEST * scale,
                "images": images,
                **errors(found, scale)._asdict(),
            }
        )
    if not rows:
        raise NoValues(f"no image has {kind}, so there is nothing to take a range from: see the rejects before it")
    return VALUE_RANGES.frame(rows)


def histogram(arrays: Iterable[np.ndarray], axis: int | None) -> np.ndarray:
    """How often each magnitude of float16 occurs, (channels, 31744) int64 by its bits; one channel without an axis."""
    counts = np.zeros((0, FINITE), np.int64)
    for array in arrays:
        bits = np.ascontiguousarray(array, np.float16).view(np.uint16) & MAGNITUDE
        rows = bits.reshape(1, -1) if axis is None else np.moveaxis(bits, axis, 0).reshape(array.shape[axis], -1)
        found = np.stack([np.bincount(row, minlength=FINITE) for row in rows])
        if found.shape[1] > FINITE:
            raise BrokenInvariant("an array holds values that are not finite")
        counts = found + (counts if len(counts) else 0)
    return counts


def magnitudes() -> np.ndarray:
    """The value of each magnitude, (31744,) float64."""
    return np.arange(FINITE, dtype=np.uint16).view(np.float16).astype(np.float64)


def scale_of(settings: ArrayRange, counts: np.ndarray, kind: str) -> float:
    """One step, a float32 value: of the range in the profile, or of the smallest that holds the percentile.

    Raises:
        NoValues: all values are zero.
    """
    value = settings.range
    if value is None:
        others = counts.copy()
        others[0] = 0
        total = int(others.sum())
        if not total:
            raise NoValues(f"{kind} are all zero: give experts.codec.{kind}.range")
        value = float(magnitudes()[np.searchsorted(np.cumsum(others), total * settings.percentile / 100)])
    return float(np.float32(value / LARGEST))


def errors(counts: np.ndarray, scale: float) -> Errors:
    """What coding does to so many values of each magnitude, zeros aside; exact, as signs do not matter."""
    values, weights = magnitudes()[1:], counts[1:].astype(np.float64)
    steps = np.rint(values.astype(np.float32) / np.float32(scale))
    total = max(weights.sum(), 1.0)
    error = values - np.minimum(steps, LARGEST) * scale
    rmse = float(np.sqrt((weights * error**2).sum() / total))
    size = float(np.sqrt((weights * values**2).sum() / total))
    return Errors(int(weights.sum()), float(weights[steps > LARGEST].sum() / total), rmse, rmse / size if size else 0.0)


def cosines(arrays: Iterable[np.ndarray], codec: ArrayCodec) -> tuple[float, float]:
    """Mean and lowest cosine of positions that are not all zero, against the same after coding."""
    found = []
    for array in arrays:
        before = array.astype(np.float64).reshape(-1, array.shape[-1])
        after = decode(encode(array, codec), codec).astype(np.float64).reshape(before.shape)
        norms = np.linalg.norm(before, axis=1) * np.linalg.norm(after, axis=1)
        true = before.any(axis=1)
        found.append((before * after).sum(1)[true] / np.maximum(norms[true], np.finfo(np.float64).tiny))
    every = np.concatenate([*found, np.zeros(0)])
    return (float(every.mean()), float(every.min())) if len(every) else (1.0, 1.0)


def decoded_psnr(
    latents: Iterable[np.ndarray], codec: ArrayCodec, network: LatentCodec, stats: BatchStats
) -> list[float]:
    """PSNR in dB, one per latent, of the picture that its codes decode to, against that of the float16 latent."""
    by_shape: defaultdict[tuple[int, ...], list[np.ndarray]] = defaultdict(list)
    for latent in latents:
        by_shape[latent.shape].append(latent)

    def run(batch: Sequence[np.ndarray]) -> np.ndarray:
        decoding = lambda rows: (network.decode(rows),)  # noqa: E731
        (pictures,) = run_padded(network.name, decoding, network.batch_size, stats, np.stack(batch))
        return pictures

    found = []
    for of_shape in by_shape.values():
        coded = [decode(encode(latent, codec), codec) for latent in of_shape]
        stored = [latent.astype(np.float32) for latent in of_shape]
        sides = (
            chain.from_iterable(side_by_side([network], run, batched(np.stack(side), network.batch_size)))
            for side in (stored, coded)
        )
        found += [_psnr(before, after) for before, after in zip(*sides, strict=True)]
    return found


def _psnr(before: np.ndarray, after: np.ndarray) -> float:
    """Peak signal-to-noise ratio of two uint8 pictures, dB; equal ones count as if one value were off by one."""
    mse = float(np.mean((before.astype(np.float64) - after.astype(np.float64)) ** 2))
    return 10 * float(np.log10(255**2 / max(mse, 1 / before.size)))

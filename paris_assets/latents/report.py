"""What the latents keep: originals beside decoded latents, PSNR, moments."""

from __future__ import annotations

import io
import json
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from hashlib import sha256
from pathlib import Path
from typing import NamedTuple

import imagehash
import numpy as np
import polars as pl
from PIL import Image, ImageDraw, ImageFont

from paris_assets.images.resize import resized
from paris_assets.latents.encode import crop
from paris_assets.latents.schema import LATENT_REPORT
from paris_assets.models.batches import BatchStats, Images, batched, decode, run_padded
from paris_assets.models.protocols import LatentCodec
from paris_assets.models.threads import side_by_side

# Photos this close are one photo, by the rule that split the codec's training photos.
NEAR_DUPLICATE_BITS = 10
_HASHED_SIDE = 32  # to which imagehash would resize, however narrow the image
_COLUMNS, _GAP, _TITLE, _LABEL = 4, 12, 44, 44


class Moments(NamedTuple):
    """Mean and deviation per latent channel over all images and positions, (channels,) float64, and the images."""

    mean: np.ndarray
    std: np.ndarray
    images: int


class Pair(NamedTuple):
    """An original crop beside its decoded latent, both (r, r, 3) uint8."""

    image_id: str
    original: np.ndarray
    decoded: np.ndarray
    psnr_db: float
    upscaled: bool
    trained_on: bool | None


@dataclass(frozen=True)
class LatentReport:
    """``frame``: image_id, psnr_db, upscaled, trained_on (null: unknown); ``png``: the picture of all pairs."""

    frame: pl.DataFrame
    png: bytes


def chosen(image_ids: Iterable[str], count: int) -> list[str]:
    """The images to show: the first by image_id, which is a content hash, so a fixed random sample."""
    return sorted(set(image_ids))[:count]


def moments(frames: Iterable[pl.DataFrame], column: str) -> Moments:
    """Moments of the scaled latents in ``column`` over frames of any size, in one pass and float64."""
    images, count, total, squares = 0, 0, np.zeros(0), np.zeros(0)
    for frame in frames:
        latents = frame[column].drop_nulls().to_numpy().astype(np.float64)
        if len(latents):
            images, count = images + len(latents), count + latents[:, 0].size
            total = latents.sum((0, 2, 3)) + (total if total.size else 0)
            squares = (latents**2).sum((0, 2, 3)) + (squares if squares.size else 0)
    mean = total / max(count, 1)
    return Moments(mean, np.sqrt(np.maximum(squares / max(count, 1) - mean**2, 0)), images)


def psnr(original: np.ndarray, decoded: np.ndarray) -> float:
    """Peak signal-to-noise ratio in dB of two uint8 pictures: 10 log10(255^2 / MSE), the mean over all pixels and
    channels of values in [0, 255]. Equal pictures count as if one value were off by one: means stay finite."""
    mse = float(np.mean((original.astype(np.float64) - decoded.astype(np.float64)) ** 2))
    return 10 * float(np.log10(255**2 / max(mse, 1 / original.size)))


def report(
    images: Images,
    latents: pl.DataFrame,
    codec: LatentCodec,
    resolution: int,
    photos: Path | None = None,
    stats: BatchStats | None = None,
) -> LatentReport:
    """Decode the latents of some images and compare them with the pixels that were encoded.

    Args:
        images: (image_id, file bytes) of the images to show (see ``chosen``).
        latents: their rows of the latents table; others are ignored.
        codec: the VAE that made them.
        resolution: which latents, pixels.
        photos: the codec's list of training photos (``photos.jsonl``), if it has one.
        stats: an out-of-memory halving is added here.

    Raises:
        Undecodable: names the image.
        ValueError: an image without a latent, by name.
    """
    table = latents.filter(pl.col(f"latent_{resolution}").is_not_null())
    rows = dict(zip(table["image_id"], range(table.height), strict=True))
    stored = table[f"latent_{resolution}"].to_numpy()
    hashes = _trained_hashes(photos) if photos else None
    files = sorted(images)
    missing = [image_id for image_id, _ in files if image_id not in rows]
    if missing:
        raise ValueError(f"{len(missing)} images of the latent report have no latent_{resolution}, first {missing[0]}")
    pairs = []
    if files:
        wanted = stored[[rows[image_id] for image_id, _ in files]].astype(np.float32)
        side = resolution if codec.scaled_decode else None
        decoded = _decoded(wanted, codec, stats or BatchStats())
        for (image_id, data), picture in zip(files, decoded, strict=True):
            square = crop(decode(image_id, data, side), resolution, upscale=True)
            assert square is not None
            trained = None if hashes is None else _was_trained_on(image_id, data, hashes)
            quality = psnr(square.pixels, picture)
            pairs.append(Pair(image_id, square.pixels, picture, quality, square.upscaled, trained))
    figures = [(pair.image_id, pair.psnr_db, pair.upscaled, pair.trained_on) for pair in pairs]
    return LatentReport(LATENT_REPORT.frame(figures, orient="row"), draw(pairs, resolution, codec.name))


def _decoded(latents: np.ndarray, codec: LatentCodec, stats: BatchStats) -> Iterator[np.ndarray]:
    """(r, r, 3) uint8 of each latent (channels, h, w) float32."""

    def run(batch: list[np.ndarray]) -> np.ndarray:
        (pictures,) = run_padded(
            codec.name, lambda rows: (codec.decode(rows),), codec.batch_size, stats, np.stack(batch)
        )
        return pictures

    for pictures in side_by_side([codec], run, batched(latents, codec.batch_size)):
        yield from pictures


def draw(pairs: list[Pair], resolution: int, name: str) -> bytes:
    """A PNG of all pairs, four to a row: the original on the left, the decoded latent on the right."""
    cell = (2 * resolution + _GAP, resolution + _LABEL + _GAP)
    rows = -(-len(pairs) // _COLUMNS)
    columns = max(1, min(_COLUMNS, len(pairs)))
    canvas = Image.new("RGB", (columns * cell[0] + _GAP, _TITLE + rows * cell[1]), "white")
    pen, large, small = ImageDraw.Draw(canvas), ImageFont.load_default(20), ImageFont.load_default(15)
    mean = f", mean {np.mean([pair.psnr_db for pair in pairs]):.2f} dB" if pairs else ", no images"
    pen.text((_GAP, 10), f"{name}, {resolution} px: original | decoded latent{mean}", "black", large)
    for index, pair in enumerate(pairs):
        left, top = _GAP + index % _COLUMNS * cell[0], _TITLE + index // _COLUMNS * cell[1]
        canvas.paste(Image.fromarray(pair.original), (left, top))
        canvas.paste(Image.fromarray(pair.decoded), (left + resolution, top))
        pen.text((left, top + resolution + 4), _caption(pair), "black", small)
    file = io.BytesIO()
    canvas.save(file, "PNG", optimize=True)
    return file.getvalue()


def _caption(pair: Pair) -> str:
    trained = {True: "trained on", False: "not trained on", None: "training set unknown"}[pair.trained_on]
    upscaled = ", upscaled" if pair.upscaled else ""
    return f"{pair.image_id[:8]}  {pair.psnr_db:.2f} dB\n{trained}{upscaled}"


def _trained_hashes(photos: Path) -> tuple[frozenset[str], np.ndarray]:
    """sha256s, and 64-bit pHashes (N,) uint64, of the photos that the codec was trained on."""
    lines = [json.loads(line) for line in photos.read_text().splitlines() if line.strip()]
    train = [photo for photo in lines if photo["split"] == "train" and not photo.get("excluded_because")]
    phashes = [int(photo["phash"], 16) for photo in train if photo.get("phash")]
    return frozenset(photo["sha256"] for photo in train), np.array(phashes, np.uint64)


def _was_trained_on(image_id: str, data: bytes, hashes: tuple[frozenset[str], np.ndarray]) -> bool:
    """Whether a training photo has the same bytes, or a pHash within the near-duplicate radius."""
    sha256s, phashes = hashes
    if sha256(data).hexdigest() in sha256s:
        return True
    grey = Image.fromarray(decode(image_id, data, None)).convert("L")
    own = imagehash.phash(resized(grey, (_HASHED_SIDE, _HASHED_SIDE), Image.Resampling.LANCZOS))
    distances = np.bitwise_count(phashes ^ np.uint64(int(str(own), 16)))
    return bool((distances <= NEAR_DUPLICATE_BITS).any())

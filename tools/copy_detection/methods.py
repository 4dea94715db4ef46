"""The methods that are compared: networks by cosines, and hashes by bits."""

from __future__ import annotations

from collections.abc import Iterable
from functools import partial
from pathlib import Path
from typing import Any

import imagehash
import numpy as np
import scipy.fft
import torch
from PIL import Image
from torch import Tensor

from paris_assets.config import Duplicates
from paris_assets.curation.same_picture import same_picture
from paris_assets.models import carried, copy_detector, efficientnet
from paris_assets.models.batches import batched
from paris_assets.models.device import Placement
from paris_assets.models.registry import SMALL_COPY_COSINE
from paris_assets.models.resize import square, stretch
from paris_assets.signals.perceptual_hash import PerceptualHash
from tools.copy_detection.evaluate import Method

CPU = Placement(torch.device("cpu"), torch.float32, "fp32")
BATCH = 16
EFFICIENTNET_COSINE = 0.75
"""Chosen like the small copy detector's, on the same photos."""
IMAGEDEDUP_BITS, IMAGEDEDUP_COSINE = 10, 0.9


def all_methods(weights: Path = carried.COPY_DETECTOR.path) -> list[Method]:
    """Each at the threshold that users meet; the detector with the weights of a file."""
    return [
        small_copy_detector(weights, SMALL_COPY_COSINE),
        efficientnet_lite0(EFFICIENTNET_COSINE),
        phash(),
        phash_and_thumbnail(),
        imagehash_equal("average_hash"),
        imagehash_equal("phash"),
        imagededup_phash(),
        efficientnet_lite0(
            IMAGEDEDUP_COSINE, f"imagededup CNN's rule, cosine {IMAGEDEDUP_COSINE}, on EfficientNet-lite0"
        ),
    ]


def small_copy_detector(weights: Path, threshold: float | None, side: int = copy_detector.SIDE) -> Method:
    """Ours, with the weights of a file."""
    network = copy_detector.load(weights, CPU)

    def describe(pictures: Iterable[np.ndarray]) -> np.ndarray:
        rows = (stretch(picture, side) for picture in pictures)
        return np.concatenate([copy_detector.vectors(network, np.stack(batch), CPU) for batch in batched(rows, BATCH)])

    return Method("small-copy-detector", describe, cosines, threshold)


def efficientnet_lite0(threshold: float | None, name: str = "EfficientNet-lite0") -> Method:
    """The embedder of the offline profiles, by cosines."""
    network = efficientnet.load(CPU)

    def features(pixels: Tensor) -> Tensor:
        return efficientnet.features(network, pixels, CPU)

    def describe(pictures: Iterable[np.ndarray]) -> np.ndarray:
        rows = (square(picture, efficientnet.SIZE, efficientnet.SIZE) for picture in pictures)
        found = [CPU.compute(features, np.stack(batch)) for batch in batched(rows, BATCH)]
        vectors = np.concatenate(found)
        return vectors / np.linalg.norm(vectors, axis=1, keepdims=True)

    return Method(name, describe, cosines, threshold)


def cosines(left: np.ndarray, right: np.ndarray) -> np.ndarray:
    """(Q, D) and (R, D) of length 1 -> (Q, R)."""
    return left @ right.T


def phash(radius: int = Duplicates().radius) -> Method:
    """Our 64-bit pHash alone."""
    return Method(f"pHash, {radius} bits", signals, fewer_bits, -radius)


def phash_and_thumbnail(settings: Duplicates = Duplicates()) -> Method:
    """Our rule of `duplicate_groups`: pHash within a radius, and thumbnails that show the same picture."""
    return Method("pHash and thumbnail", signals, partial(_confirmed, settings=settings), 1.0)


def signals(pictures: Iterable[np.ndarray]) -> dict[str, np.ndarray]:
    """`phash` and `thumbnail`."""
    return PerceptualHash().measure(list(pictures))


def fewer_bits(left: dict[str, np.ndarray], right: dict[str, np.ndarray]) -> np.ndarray:
    """(Q, R): minus the number of bits in which the hashes differ."""
    return -np.bitwise_count(left["phash"][:, None] ^ right["phash"][None]).astype(np.float64)


def _confirmed(left: dict[str, np.ndarray], right: dict[str, np.ndarray], settings: Duplicates) -> np.ndarray:
    near = fewer_bits(left, right) >= -settings.radius
    rows, columns = np.nonzero(near)
    shown = same_picture(left["thumbnail"][rows], right["thumbnail"][columns], settings.verify_correlation)
    found = np.zeros(near.shape)
    found[rows[shown], columns[shown]] = 1.0
    return found


def imagehash_equal(algorithm: str) -> Method:
    """What imagehash's `find_similar_images` takes for similar: equal hashes, by default average hashes."""

    def describe(pictures: Iterable[np.ndarray]) -> dict[str, np.ndarray]:
        hashes = [getattr(imagehash, algorithm)(Image.fromarray(picture)).hash for picture in pictures]
        return _packed(np.stack(hashes))

    return Method(f"imagehash {algorithm}, equal", describe, fewer_bits, 0.0)


def imagededup_phash() -> Method:
    """imagededup's PHash with its default `max_distance_threshold`, by its rule: low DCT coefficients that reach the
    median of all but the first."""

    def describe(pictures: Iterable[np.ndarray]) -> dict[str, np.ndarray]:
        return _packed(np.stack([imagededup_bits(picture) for picture in pictures]))

    return Method(f"imagededup PHash, {IMAGEDEDUP_BITS} bits", describe, fewer_bits, -float(IMAGEDEDUP_BITS))


def imagededup_bits(picture: np.ndarray) -> np.ndarray:
    """(H, W, 3) uint8 -> (8, 8) bool."""
    small = np.asarray(Image.fromarray(picture).resize((32, 32), Image.Resampling.LANCZOS).convert("L"))
    low: Any = scipy.fft.dct(scipy.fft.dct(small.astype(np.float64), axis=0), axis=1)
    low = low[:8, :8]
    return low >= np.median(low.ravel()[1:])


def _packed(bits: np.ndarray) -> dict[str, np.ndarray]:
    return {"phash": np.packbits(bits.reshape(len(bits), -1), axis=1).view(">u8").astype(np.uint64).ravel()}

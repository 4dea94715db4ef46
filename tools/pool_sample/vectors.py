"""Vectors of the pool: captions by MiniLM, images by EfficientNet-lite0, the encoders that ship in packages."""

from __future__ import annotations

import io
from collections.abc import Callable
from pathlib import Path

import numpy as np
from PIL import Image

from paris_assets.config import Model
from paris_assets.models.efficientnet import EfficientNetLite0
from paris_assets.models.minilm import MiniLm

BATCH, TOKENS = 16, 77
IMAGE_DIM, SMALL_DIM = 192, 64


def arrays(sample: Path, files: list[str], texts: list[str]) -> dict[str, np.ndarray]:
    """The arrays of an npz for rows with these files and texts, float16.

    Returns:
        l14_img: (N, 192), l14_txt: (N, 384), b32_img and b32_txt: (N, 64), rows of unit length.
    """
    images, image_of = _once(files, lambda part: image_vectors(sample, part))
    captions, caption_of = _once(texts, text_vectors)
    found = {
        "l14_img": principal(images, IMAGE_DIM)[image_of],
        "l14_txt": captions[caption_of],
        "b32_img": principal(images, SMALL_DIM)[image_of],
        "b32_txt": principal(captions, SMALL_DIM)[caption_of],
    }
    return {name: values.astype(np.float16) for name, values in found.items()}


def image_vectors(sample: Path, files: list[str]) -> np.ndarray:
    """(N, 1280) float32 of unit length."""
    network = EfficientNetLite0(Model(implementation="efficientnet-lite0", batch_size=BATCH, precision="fp32"))
    pixels = [network.preprocess(_pixels(sample / file)) for file in files]
    return _unit(np.concatenate([network.run(np.stack(part)) for part in _batches(pixels)]))


def text_vectors(texts: list[str]) -> np.ndarray:
    """(N, 384) float32 of unit length."""
    network = MiniLm(Model(implementation="minilm", batch_size=BATCH, precision="fp32"))
    return _unit(np.concatenate([np.asarray(network.encode(part, TOKENS).pooled) for part in _batches(texts)]))


def principal(vectors: np.ndarray, dim: int) -> np.ndarray:
    """(N, dim): the vectors along their first principal directions about zero, which keeps cosines as well as `dim`
    numbers can, then of unit length again."""
    _, _, directions = np.linalg.svd(vectors.astype(np.float64), full_matrices=False)
    kept = directions[:dim]
    signs = np.sign(kept[np.arange(dim), np.abs(kept).argmax(1)])  # which way a direction points is nobody's choice
    return _unit(vectors @ (kept * signs[:, None]).T)


def _once(values: list[str], encode: Callable[[list[str]], np.ndarray]) -> tuple[np.ndarray, np.ndarray]:
    """Vectors of the distinct values in order, and which of them each value has."""
    distinct, places = np.unique(np.array(values), return_inverse=True)
    return encode(distinct.tolist()), places


def _pixels(file: Path) -> np.ndarray:
    return np.asarray(Image.open(io.BytesIO(file.read_bytes())).convert("RGB"))


def _batches(values: list) -> list[list]:
    return [values[start : start + BATCH] for start in range(0, len(values), BATCH)]


def _unit(vectors: np.ndarray) -> np.ndarray:
    return (vectors / np.linalg.norm(vectors, axis=1, keepdims=True)).astype(np.float32)

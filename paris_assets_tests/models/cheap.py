"""Networks of a few lines that a profile can name: whole runs in seconds, by the same assets and the same storage."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from itertools import pairwise
from pathlib import Path

import numpy as np

from paris_assets.config import Model
from paris_assets.models.protocols import TextEmbeddings

GRID = 4


class _Cheap:
    min_side: int | None = None

    def __init__(self, model: Model) -> None:
        self.name, self.batch_size = model.implementation, model.batch_size

    def identity(self) -> dict[str, str | None]:
        return {"implementation": self.name, "source": None, "revision": None, "sha256": None, "precision": "fp32"}


class Colours(_Cheap):
    """An embedder: mean colours of a 4 x 4 grid, 48 values around 0."""

    dim = GRID * GRID * 3

    @staticmethod
    def preprocess(rgb: np.ndarray) -> np.ndarray:
        """(H, W, 3) uint8 -> (48,) float32: mean colours of a 4 x 4 grid, around 0."""
        if min(rgb.shape[:2]) < GRID:
            rgb = rgb.repeat(GRID, 0).repeat(GRID, 1)
        rows, columns = (np.linspace(0, side, GRID + 1).astype(int) for side in rgb.shape[:2])
        cells = [
            rgb[top:bottom, left:right].mean((0, 1), dtype=np.float64)
            for top, bottom in pairwise(rows)
            for left, right in pairwise(columns)
        ]
        return (np.concatenate(cells) / 64 - 2).astype(np.float32)

    def run(self, batch: np.ndarray) -> np.ndarray:
        return batch


class Redness(Colours):
    """A scorer: mean red, 0-1."""

    def run(self, batch: np.ndarray) -> np.ndarray:
        return (batch[:, ::3].mean(1) + 2) / 4


class Unsure(Redness):
    """A scorer that has no score for pure blue."""

    def run(self, batch: np.ndarray) -> np.ndarray:
        blue = (batch[:, ::3].max(1) < -1.9) & (batch[:, 2::3].min(1) > 1.9)
        return np.where(blue, np.nan, super().run(batch))


class Namer(Colours):
    """A captioner: the colours of the first cell in words, or with ``spelt`` in letters alone."""

    def __init__(self, model: Model, prefix: str = "a picture of", spelt: bool = False) -> None:
        super().__init__(model)
        self.prefix, self.spelt = prefix, spelt

    def run(self, batch: np.ndarray) -> np.ndarray:
        said = [f"{self.prefix} {round(float(row[0]) * 64 + 128)} and {row[1]:.2f}" for row in batch]
        letters = str.maketrans("0123456789-", "abcdefghijk", ".")
        return np.array([text.translate(letters) for text in said] if self.spelt else said)


class Tagger(Colours):
    """A tagger: the brightest corner, and one label that nothing has."""

    labels: Sequence[str] = (
        "left top corner",
        "right top corner",
        "left bottom corner",
        "right bottom corner",
        "nothing",
    )
    parents: Mapping[str, str] = {"left top corner": "left side", "left bottom corner": "left side"}

    def run(self, batch: np.ndarray) -> np.ndarray:
        cells = batch.reshape(len(batch), GRID, GRID, 3).mean(-1, dtype=np.float64)
        corners = cells[:, [0, 0, -1, -1], [0, -1, 0, -1]]
        raised = np.exp(4 * (corners - corners.max(1, keepdims=True)))
        return np.column_stack([raised / raised.sum(1, keepdims=True), np.zeros(len(batch))])


class Letters(_Cheap):
    """A text encoder: one token per letter."""

    dim: int = 8
    pooled_dim: int | None = 4

    def encode(self, texts: Sequence[str], tokens: int) -> TextEmbeddings:
        counts = np.array([min(len(text), tokens) for text in texts], np.int32)
        states = np.zeros((len(texts), tokens, self.dim), np.float32)
        for row, text in enumerate(texts):
            codes = np.frombuffer(text[:tokens].encode("utf-32-le"), np.uint32)
            states[row, : len(codes)] = (codes[:, None] >> np.arange(self.dim, dtype=np.uint32)) & 1
        return TextEmbeddings(states, states.mean(1)[:, : self.pooled_dim], counts)

    def count(self, texts: Sequence[str]) -> np.ndarray:
        return np.array([len(text) for text in texts], np.int32)


class Blocks(_Cheap):
    """A codec: mean red, green, blue and grey of 8 x 8 pixel blocks, near unit variance."""

    channels, factor, scaling_factor = 4, 8, 1.0
    training_photos: Path | None = None
    scaled_decode = True

    def encode(self, pixels: np.ndarray, noise: np.ndarray | None = None) -> np.ndarray:
        count, height, width = (side // divisor for side, divisor in zip(pixels.shape[:3], (1, 8, 8), strict=True))
        blocks = pixels.reshape(count, height, self.factor, width, self.factor, 3).mean((2, 4), dtype=np.float64)
        latents = np.concatenate([blocks, blocks.mean(-1, keepdims=True)], -1).transpose(0, 3, 1, 2)
        latents = (latents / 64 - 2).astype(np.float32)
        return latents if noise is None else latents + 0.01 * noise

    def decode(self, latents: np.ndarray) -> np.ndarray:
        colours = (np.asarray(latents, np.float32)[:, :3] + 2) * 64
        return colours.repeat(self.factor, 2).repeat(self.factor, 3).transpose(0, 2, 3, 1).clip(0, 255).astype(np.uint8)

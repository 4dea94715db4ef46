"""Networks of a few lines, for tests of the workers that run them."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from paris_assets.models.protocols import TextEmbeddings


class MeanColour:
    """An embedder, and through ``column`` a scorer: mean red, green and blue of the picture, 0-255."""

    dim = 3

    def __init__(self, batch_size: int = 4, column: int | None = None, min_side: int | None = None) -> None:
        self.name, self.batch_size, self.min_side, self.column = "mean-colour", batch_size, min_side, column
        self.sizes: list[int] = []
        self.sides: list[int] = []

    def preprocess(self, rgb: np.ndarray) -> np.ndarray:
        self.sides.append(min(rgb.shape[:2]))
        return rgb.mean((0, 1), dtype=np.float64).astype(np.float32)

    def run(self, batch: np.ndarray) -> np.ndarray:
        self.sizes.append(len(batch))
        return batch if self.column is None else batch[:, self.column]

    def identity(self) -> dict[str, str | None]:
        return {"implementation": self.name}


class Namer(MeanColour):
    """A captioner: "a picture of 123" by mean red."""

    def run(self, batch: np.ndarray) -> np.ndarray:
        return np.array([f"a picture of {round(float(red))}" for red, _, _ in super().run(batch)])


class Letters:
    """A text encoder: one token per letter, its state the letter's code; pooled: the count of letters. A text without
    any is one token of zeros."""

    name, dim = "letters", 2
    pooled_dim: int | None = 1

    def __init__(self, batch_size: int = 4) -> None:
        self.batch_size = batch_size
        self.sizes: list[int] = []

    def encode(self, texts: Sequence[str], tokens: int) -> TextEmbeddings:
        self.sizes.append(len(texts))
        counts = np.array([min(max(len(text), 1), tokens) for text in texts], np.int32)
        states = np.zeros((len(texts), tokens, 2), np.float32)
        for row, text in enumerate(texts):
            for position, letter in enumerate(text[:tokens]):
                states[row, position] = ord(letter), position
        return TextEmbeddings(states, counts[:, None].astype(np.float32), counts)

    def identity(self) -> dict[str, str | None]:
        return {"implementation": self.name}


class TrueLetters(Letters):
    """As T5: no pooled vector, and true tokens that see no padding."""

    pooled_dim: int | None = None
    length_step = 4

    def __init__(self, batch_size: int = 4) -> None:
        super().__init__(batch_size)
        self.lengths: list[int] = []

    def encode(self, texts: Sequence[str], tokens: int) -> TextEmbeddings:
        self.lengths.append(tokens)
        return super().encode(texts, tokens)._replace(pooled=None)

    def count(self, texts: Sequence[str]) -> np.ndarray:
        return np.array([max(len(text), 1) for text in texts], np.int32)

"""What the project asks of a pretrained network, whatever library runs it.

Every network takes batches that are already padded to its ``batch_size``: results in bf16 depend on the shape of the
batch, but not on which other images share it, so a padded batch gives the same bits for an image in any company.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Sequence
from pathlib import Path
from typing import Any, Literal, NamedTuple, Protocol

import numpy as np
import polars as pl


class Network(Protocol):
    """What all networks share.

    Attributes:
        name: the implementation's name in the profile.
        batch_size: rows of every batch.

    A network that may be called from several threads at once says so by a further attribute, ``in_flight``: how many
    batches to run side by side. Without it there is one at a time. Each runs on one thread of torch.
    """

    name: str
    batch_size: int

    def identity(self) -> dict[str, str | None]:
        """What really ran: ``implementation``, ``source``, ``revision``, ``sha256`` of the weights, ``precision``."""
        ...


class ImageNetwork(Network, Protocol):
    """A network on images.

    Attributes:
        min_side: shortest side, in pixels, to which a large JPEG may be decoded (at 1/2, 1/4 or 1/8 of its size). That
            is several times faster, but the result differs from the reference preprocessing. None: always at full size.
    """

    min_side: int | None

    @property
    def preprocess(self) -> Callable[[np.ndarray], np.ndarray]:
        """(H, W, 3) uint8 -> one row of a batch. Runs in several threads at once.

        A method will do. Where a GPU waits for pictures, other machines prepare them, too, if this is a function that
        goes without the network: a static method, one at the top of a module, ``functools.partial`` of one with plain
        values.
        """
        ...

    def run(self, batch: np.ndarray) -> np.ndarray:
        """(batch_size, ...) preprocessed rows -> one result per row."""
        ...


class ImageEmbedder(ImageNetwork, Protocol):
    """``run`` gives (batch_size, dim) float32, as the network made it (not normalised).

    One of images and texts names the class of its ``TextTower``, made with the same settings, in a further attribute,
    ``text_tower``.
    """

    dim: int


class TextTower(Network, Protocol):
    """The text encoder of an image encoder's checkpoint."""

    def run(self, texts: Sequence[str]) -> np.ndarray:
        """``batch_size`` texts -> (batch_size, dim) float32 vectors, which are compared with those of images."""
        ...


class Head(Network, Protocol):
    """A network on vectors of an image encoder.

    Attributes:
        dim: of the vectors.
    """

    dim: int

    def run(self, vectors: np.ndarray) -> np.ndarray:
        """(batch_size, dim) float32 vectors as the encoder gave them -> (batch_size,) float32."""
        ...


class ImageScorer(ImageNetwork, Protocol):
    """``run`` gives (batch_size,) float32.

    A scorer that tells several things names them in a further attribute of its class, ``parts``, and gives
    (batch_size, parts): each becomes a column, the score's name, ``_`` and the part's. One that cannot tell of every
    picture says so by an attribute ``tells_unknown``: its NaN become nulls. Of others they are an error.
    """


class ImageTagger(ImageNetwork, Protocol):
    """``run`` gives (batch_size, labels) float32 probabilities.

    Attributes:
        labels: of each position, lower case.
        parents: label -> a broader word for it, of labels for which one is known.
    """

    labels: Sequence[str]
    parents: Mapping[str, str]


class Captioner(ImageNetwork, Protocol):
    """``run`` gives (batch_size,) strings, one caption per image."""


class TextEmbeddings(NamedTuple):
    """A batch of texts: (B, tokens, dim) float32, (B, pooled_dim) float32 or None, and the true token counts (B,)
    int32, each at least 1."""

    embedding: np.ndarray
    pooled: np.ndarray | None
    tokens: np.ndarray


class TextEncoder(Network, Protocol):
    """A text encoder with right padding, so that the mask of a row is ``position < tokens``.

    One that can tell how long texts are has a further method, ``count``: texts -> (N,) int32, their tokens before
    anything is cut, special ones included. ``captions.max_tokens`` asks for it, and without it no table says what was
    cut.

    One whose true tokens see no padding (its attention is masked) says so by a further attribute, ``length_step``, and
    has ``count``. Where true tokens alone are stored, a text is then encoded among others of its length, rounded up to
    a multiple of this: the shape, and with it every bit, depends on the text alone.

    Attributes:
        dim: of a token's state.
        pooled_dim: of the one vector per text; None where the encoder makes none.
    """

    dim: int
    pooled_dim: int | None

    def encode(self, texts: Sequence[str], tokens: int) -> TextEmbeddings:
        """Encode ``batch_size`` texts, each cut or padded to ``tokens`` tokens (special tokens included)."""
        ...


class LatentCodec(Network, Protocol):
    """A VAE. Latents are scaled: (z - shift) * scaling_factor, near unit variance.

    Attributes:
        channels: latent channels.
        factor: pixels per latent cell, along one side.
        scaling_factor: multiplied after encoding, divided before decoding.
        scaled_decode: whether a large JPEG may be decoded at 1/2, 1/4 or 1/8 of its size, not below its largest crop.
        training_photos: list of the photos it was trained on (one JSON line each: sha256, phash, split), if known.

    A codec that shifts says by how much in a further attribute, ``shift_factor``; without it that is 0.
    """

    channels: int
    factor: int
    scaling_factor: float
    scaled_decode: bool
    training_photos: Path | None

    def encode(self, pixels: np.ndarray, noise: np.ndarray | None = None) -> np.ndarray:
        """(B, height, width, 3) uint8 -> (B, channels, height / factor, width / factor) float32, scaled.

        Args:
            pixels: images of one shape, whose sides are multiples of ``factor``.
            noise: standard normal, shaped like the result: posterior mean + deviation * noise. None: the mean.
        """
        ...

    def decode(self, latents: np.ndarray) -> np.ndarray:
        """(B, channels, h, w) scaled latents -> (B, h * factor, w * factor, 3) uint8."""
        ...


class Opinion(NamedTuple):
    """What one answer says of a concept; scores are None where the judge gives none.

    Attributes:
        verdict: ``mixed`` is a concept of which a part is worth keeping.
        reason: a sentence.
        informative: how much captions say of their pictures, 0 to 4.
        variety: 0 to 4.
        repetition: 0 to 4, 4 the worst.
        english: share of captions in English, 0 to 1.
        topics: at most five.
        unsafe: whether it is not fit for training.
    """

    verdict: Literal["keep", "drop", "mixed"]
    reason: str
    informative: float | None = None
    variety: float | None = None
    repetition: float | None = None
    english: float | None = None
    topics: Sequence[str] = ()
    unsafe: bool = False


class Ballot(NamedTuple):
    """The answers on a concept, and why others are none."""

    concept: int
    opinions: Sequence[Opinion]
    failures: Sequence[str] = ()


class ConceptJudge(Protocol):
    """Judges clusters of a pool by what stands for them. A class of one's own is made without arguments."""

    def judge(self, evidence: pl.DataFrame) -> Iterable[Ballot]:
        """Rows of `concept_evidence` -> one ballot for each, in their order."""
        ...

    def identity(self) -> dict[str, Any]:
        """Who judged, asked when all ballots are there: ``implementation``, ``source`` and what else tells it."""
        ...

"""Texts through a text encoder: each at a length that it decides alone, in padded batches of one length."""

from __future__ import annotations

from collections.abc import Sequence
from functools import partial
from typing import NamedTuple

import numpy as np

from paris_assets.config import Text
from paris_assets.errors import UserError
from paris_assets.models.batches import BatchStats, float16, run_padded
from paris_assets.models.protocols import TextEncoder
from paris_assets.settings.captions import TRUE_TOKENS


class PaddingSeen(UserError, ValueError):
    """Of this encoder true tokens alone cannot be stored; the message says what to set."""


class Lengths(NamedTuple):
    """Of N texts: ``positions`` (N,) that they are encoded with, and ``tokens`` (N,) before anything is cut; None where
    the encoder cannot tell."""

    positions: np.ndarray
    tokens: np.ndarray | None


class States(NamedTuple):
    """Texts of one batch: of each its float16 states (positions, dim) as they are stored, the encoder's pooled vectors
    (N, pooled_dim) float16 where it makes any, and true token counts (N,) int32."""

    states: np.ndarray | list[np.ndarray]
    pooled: np.ndarray | None
    tokens: np.ndarray


def lengths(encoder: TextEncoder, texts: Sequence[str], settings: Text) -> Lengths:
    """How many positions each text is encoded with: all that there are, or its own tokens rounded up.

    Raises:
        PaddingSeen: true tokens are asked of an encoder that sees padding, or cannot count.
    """
    count = getattr(encoder, "count", None)
    tokens = None if count is None else np.asarray(count(texts))
    if settings.stored != TRUE_TOKENS:
        return Lengths(np.full(len(texts), settings.tokens), tokens)
    step = getattr(encoder, "length_step", None)
    if tokens is None or step is None:
        raise PaddingSeen(
            f"text.stored is {TRUE_TOKENS}, but the states of {encoder.name} may depend on padding (it has no "
            "`length_step` and `count`): --set text.stored=padded"
        )
    kept = np.minimum(tokens, settings.tokens)
    return Lengths(np.minimum(-(-kept // step) * step, settings.tokens), tokens)


def run_texts(
    encoder: TextEncoder, texts: Sequence[str], positions: int, names: Sequence[str], settings: Text, stats: BatchStats
) -> States:
    """States of texts of one length, as ``settings.stored`` has them.

    Args:
        positions: see ``lengths``.
        names: what errors call the texts.
        stats: counts and out-of-memory halvings are added here.

    Raises:
        BrokenInvariant: values that are not finite in float16; names the text.
    """
    run = partial(_encoded, encoder, positions)
    embedding, pooled, tokens = run_padded(encoder.name, run, encoder.batch_size, stats, texts)
    states = float16(embedding, names, encoder.name)
    return States(
        [row[:count] for row, count in zip(states, tokens, strict=True)] if settings.stored == TRUE_TOKENS else states,
        float16(pooled, names, encoder.name) if pooled.shape[1] else None,
        tokens.astype(np.int32),
    )


def _encoded(encoder: TextEncoder, positions: int, texts: Sequence[str]) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """What the encoder gives, with pooled vectors of no values where it makes none."""
    embedding, pooled, tokens = encoder.encode(texts, positions)
    return embedding, np.zeros((len(texts), 0), np.float32) if pooled is None else pooled, tokens

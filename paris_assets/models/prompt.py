"""The empty prompt, which training and sampling need once per text encoder."""

from __future__ import annotations

import numpy as np

from paris_assets.models.batches import float16
from paris_assets.models.protocols import TextEncoder


def empty_prompt(encoder: TextEncoder, tokens: int) -> np.ndarray:
    """(tokens, dim) float16: the embedding of "", which classifier-free guidance subtracts from."""
    embedding = encoder.encode([""] * encoder.batch_size, tokens).embedding
    return float16(embedding[:1], ["(empty prompt)"], encoder.name)[0]

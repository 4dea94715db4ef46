"""The empty prompt, which training and sampling need once per text encoder."""

from __future__ import annotations

import numpy as np

from paris_assets.models.batches import BatchStats, float16, run_padded
from paris_assets.models.protocols import TextEncoder


def empty_prompt(encoder: TextEncoder, tokens: int, stats: BatchStats | None = None) -> np.ndarray:
    """(tokens, dim) float16: the embedding of "", which classifier-free guidance subtracts from.

    Args:
        stats: an out-of-memory halving is added here.
    """
    embedding, *_ = run_padded(
        encoder.name, lambda texts: encoder.encode(texts, tokens), encoder.batch_size, stats or BatchStats(), [""]
    )
    return float16(embedding, ["(empty prompt)"], encoder.name)[0]

"""The empty prompt, which training and sampling need once per text encoder."""

from __future__ import annotations

from functools import partial

import numpy as np

from paris_assets.models.batches import BatchStats, float16, run_padded
from paris_assets.models.protocols import TextEncoder
from paris_assets.models.threads import side_by_side


def empty_prompt(encoder: TextEncoder, tokens: int, stats: BatchStats | None = None) -> np.ndarray:
    """(tokens, dim) float16: the embedding of "", which classifier-free guidance subtracts from.

    Args:
        stats: an out-of-memory halving is added here.
    """
    run = partial(
        run_padded, encoder.name, partial(encoder.encode, tokens=tokens), encoder.batch_size, stats or BatchStats()
    )
    ((embedding, *_),) = side_by_side([encoder], run, [[""]])
    return float16(embedding, ["(empty prompt)"], encoder.name)[0]

"""The empty prompt, which training and sampling need once per text encoder."""

from __future__ import annotations

import numpy as np

from paris_assets.config import Text
from paris_assets.models.batches import BatchStats
from paris_assets.models.protocols import TextEncoder
from paris_assets.models.texts import States, lengths, run_texts
from paris_assets.models.threads import side_by_side


def empty_prompt(encoder: TextEncoder, settings: Text, stats: BatchStats | None = None) -> np.ndarray:
    """(positions, dim) float16: the embedding of "", as the table has it of an empty caption.

    Classifier-free guidance subtracts from it, and caption dropout trains on it.

    Args:
        stats: an out-of-memory halving is added here.
    """
    (positions,) = lengths(encoder, [""], settings).positions

    def run(texts: list[str]) -> States:
        return run_texts(encoder, texts, int(positions), ["(empty prompt)"], settings, stats or BatchStats())

    (found,) = side_by_side([encoder], run, [[""]])
    return found.states[0]

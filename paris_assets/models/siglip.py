"""SigLIP (Zhai et al. 2023) and the checkpoints of SigLIP 2 (Tschannen et al. 2025) with a fixed resolution."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np
import torch
from transformers import SiglipTextModel, SiglipVisionModel

from paris_assets.models.towers import ImageTower, TextTower
from paris_assets.models.transformer import token_ids


class SiglipTexts(TextTower):
    """The pooled output of 64 tokens.

    It is the state at the last position, padding or not, so texts are padded to 64 and nothing is masked; they are in
    lower case, as in the training of both generations.
    """

    kind = SiglipTextModel
    tokens = 64

    def ids(self, texts: Sequence[str]) -> tuple[np.ndarray, ...]:
        """See ``towers.TextTower``."""
        tokens = min(self.tokens, self._network.config.max_position_embeddings)
        return (token_ids(self._tokenizer, [text.lower() for text in texts], tokens),)

    def vectors(self, ids: torch.Tensor) -> torch.Tensor:
        """See ``towers.TextTower``."""
        return self._network(input_ids=ids).pooler_output


class SiglipImage(ImageTower):
    """The attention-pooled output (1152 values for so400m)."""

    kind = SiglipVisionModel
    # Files of checkpoints name all of it: SigLIP 2 resizes bilinearly, SigLIP by bicubic interpolation.
    processor = {
        "size": {"height": 224, "width": 224},
        "resample": 3,
        "image_mean": (0.5, 0.5, 0.5),
        "image_std": (0.5, 0.5, 0.5),
    }
    model_types = ("siglip", "siglip_vision_model")
    text_tower = SiglipTexts

    def width(self, config: Any) -> int:
        """See ``towers.ImageTower``: there is no projection."""
        return int(config.hidden_size)

    def vectors(self, pixels: torch.Tensor) -> torch.Tensor:
        """See ``towers.ImageTower``."""
        return self._network(pixel_values=pixels).pooler_output

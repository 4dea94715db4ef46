"""Chinese CLIP (Yang et al. 2022): vectors of images, and of Chinese texts to compare them with."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import torch
from transformers import ChineseCLIPModel

from paris_assets.models.clip import CLIP_PROCESSOR
from paris_assets.models.towers import ImageTower, TextTower
from paris_assets.models.transformer import tokenise


class ChineseClipTexts(TextTower):
    """The projected class token, of 52 tokens at most, as in its training."""

    kind = ChineseCLIPModel
    tokens = 52

    def ids(self, texts: Sequence[str]) -> tuple[np.ndarray, ...]:
        """See ``towers.TextTower``."""
        longest = self._network.config.text_config.max_position_embeddings
        batch = tokenise(self._tokenizer, texts, min(self.tokens, longest), longest)
        return batch.ids, batch.mask

    def vectors(self, ids: torch.Tensor, mask: torch.Tensor) -> torch.Tensor:
        """See ``towers.TextTower``."""
        return self._network.get_text_features(input_ids=ids, attention_mask=mask).pooler_output


class ChineseClipImage(ImageTower):
    """The projected class token."""

    kind = ChineseCLIPModel
    processor = CLIP_PROCESSOR
    model_types = ("chinese_clip",)
    text_tower = ChineseClipTexts

    def vectors(self, pixels: torch.Tensor) -> torch.Tensor:
        """See ``towers.ImageTower``."""
        return self._network.get_image_features(pixel_values=pixels).pooler_output

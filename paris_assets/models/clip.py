"""CLIP (Radford et al. 2021): vectors of images, and of texts to compare them with."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import torch
from transformers import CLIPTextModelWithProjection, CLIPVisionModelWithProjection

from paris_assets.models.normalise import CLIP
from paris_assets.models.towers import ImageTower, TextTower
from paris_assets.models.transformer import tokenise

CLIP_PROCESSOR = {
    "size": {"shortest_edge": 224},
    "do_center_crop": True,
    "resample": 3,
    "image_mean": CLIP.mean,
    "image_std": CLIP.std,
}
"""Defaults of the library's processors of CLIP and Chinese CLIP."""


class ClipTexts(TextTower):
    """The projected state at the end-of-text token, of 77 tokens at most."""

    kind = CLIPTextModelWithProjection
    tokens = 77

    def ids(self, texts: Sequence[str]) -> tuple[np.ndarray, ...]:
        """See ``towers.TextTower``."""
        longest = self._network.config.max_position_embeddings
        return (tokenise(self._tokenizer, texts, min(self.tokens, longest), longest).ids,)

    def vectors(self, ids: torch.Tensor) -> torch.Tensor:
        """See ``towers.TextTower``. The attention is causal: padding changes no true token."""
        return self._network(input_ids=ids).text_embeds


class ClipImage(ImageTower):
    """The projected class token (512 values for ViT-B, 768 for ViT-L/14)."""

    kind = CLIPVisionModelWithProjection
    processor = CLIP_PROCESSOR
    model_types = ("clip", "clip_vision_model")
    text_tower = ClipTexts

    def vectors(self, pixels: torch.Tensor) -> torch.Tensor:
        """See ``towers.ImageTower``."""
        return self._network(pixel_values=pixels).image_embeds

"""BLIP-2 (Li et al. 2023): the Paris profile's captioner."""

from __future__ import annotations

import numpy as np
import torch
from transformers import Blip2ForConditionalGeneration

from paris_assets.config import Model
from paris_assets.models import weights
from paris_assets.models.device import place
from paris_assets.models.normalise import CLIP, normalise
from paris_assets.models.resize import stretch
from paris_assets.models.transformer import load, load_tokenizer


class Blip2:
    """Captioner: the likeliest next token, one after another, without a prompt.

    Options: ``max_new_tokens``, the longest caption; ``scaled_decode``, see ``protocols.ImageNetwork``.

    Raises:
        WeightsError: a checkpoint that does not say which token stands for the image.
    """

    def __init__(self, model: Model, max_new_tokens: int = 50, scaled_decode: bool = False) -> None:
        self.name, self.batch_size = model.implementation, model.batch_size
        self._model, self._placement, self._longest = model, place(model), max_new_tokens
        self.in_flight = self._placement.in_flight
        self._folder = weights.pretrained_folder(model)
        self._tokenizer = load_tokenizer(self._folder)
        self._network = load(Blip2ForConditionalGeneration, self._folder, self._placement)
        config = self._network.config
        if config.image_token_index is None:
            raise weights.WeightsError(
                f"{self.name}: config.json of {model.path} has no image_token_index: use a newer revision of it"
            )
        self._side = int(config.vision_config.image_size)
        self.min_side = self._side if scaled_decode else None
        # Image tokens and the start of text stand before what a decoder alone (OPT) generates; what one with an encoder
        # (T5) gives holds only its own tokens.
        alone = not self._network.language_model.config.is_encoder_decoder
        self._prompt_tokens = int(config.num_query_tokens) + 1 if alone else 0

    def preprocess(self, rgb: np.ndarray) -> np.ndarray:
        """(H, W, 3) uint8 -> (side, side, 3) uint8: resized with distortion, bicubic, so nothing is cut off."""
        return stretch(rgb, self._side)

    @torch.inference_mode()
    def run(self, batch: np.ndarray) -> np.ndarray:
        """(B, side, side, 3) uint8 -> (B,) captions; empty where the network ends at once."""
        pixels = normalise(torch.from_numpy(batch).to(self._placement.device), CLIP).to(self._placement.dtype)
        tokens = self._network.generate(
            pixel_values=pixels, max_new_tokens=self._longest, do_sample=False, num_beams=1
        )[:, self._prompt_tokens :]
        texts = self._tokenizer.batch_decode(tokens.cpu(), skip_special_tokens=True)
        return np.array([text.strip() for text in texts])

    def identity(self) -> dict[str, str | None]:
        """See ``protocols.Network``."""
        return weights.folder_identity(self._model, self._folder, self._placement.precision)

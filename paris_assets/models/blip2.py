"""BLIP-2 (Li et al. 2023): the Paris profile's captioner."""

from __future__ import annotations

from collections.abc import Callable
from functools import partial

import numpy as np
import torch
from transformers import Blip2ForConditionalGeneration

from paris_assets.config import Model
from paris_assets.models import weights
from paris_assets.models.carried import WeightsError
from paris_assets.models.device import place
from paris_assets.models.normalise import CLIP, normalise
from paris_assets.models.resize import stretch
from paris_assets.models.transformer import load, load_tokenizer


class Blip2:
    """Captioner: the likeliest next token, one after another.

    Options: ``prompt``, which the caption goes on from or answers, as in ``Question: what is this? Answer:``, and which
    is no part of it; ``min_new_tokens`` and ``max_new_tokens``, its length; ``scaled_decode``, see
    ``protocols.ImageNetwork``.

    Raises:
        WeightsError: a checkpoint that does not say which token stands for the image.
    """

    def __init__(
        self,
        model: Model,
        max_new_tokens: int = 50,
        scaled_decode: bool = False,
        prompt: str = "",
        min_new_tokens: int = 0,
    ) -> None:
        self.name, self.batch_size = model.implementation, model.batch_size
        self._model, self._placement = model, place(model)
        self._length = {"max_new_tokens": max_new_tokens, "min_new_tokens": min_new_tokens}
        self.in_flight = self._placement.in_flight
        self._folder = weights.pretrained_folder(model)
        self._tokenizer = load_tokenizer(self._folder)
        self._network = load(Blip2ForConditionalGeneration, self._folder, self._placement)
        config = self._network.config
        if config.image_token_index is None:
            raise WeightsError(
                f"{self.name}: config.json of {model.path} has no image_token_index: use a newer revision of it"
            )
        self._side = int(config.vision_config.image_size)
        self.min_side = self._side if scaled_decode else None
        # As Blip2Processor builds it: tokens that stand for the image, then the text; without one only its start.
        text = self._tokenizer(prompt).input_ids if prompt else [config.text_config.bos_token_id]
        self._input = np.array([[config.image_token_index] * int(config.num_query_tokens) + text], np.int64)
        # They stand before what a decoder alone (OPT) generates; one with an encoder (T5) gives only its own tokens.
        alone = not self._network.language_model.config.is_encoder_decoder
        self._prompt_tokens = self._input.shape[1] if alone else 0

    @property
    def preprocess(self) -> Callable[[np.ndarray], np.ndarray]:
        """(H, W, 3) uint8 -> (side, side, 3) uint8: resized with distortion, bicubic, so nothing is cut off."""
        return partial(stretch, side=self._side)

    def run(self, batch: np.ndarray) -> np.ndarray:
        """(B, side, side, 3) uint8 -> (B,) captions; empty where the network ends at once."""
        start = np.repeat(self._input, len(batch), 0)
        texts = self._tokenizer.batch_decode(
            self._placement.compute(self._tokens, batch, start), skip_special_tokens=True
        )
        return np.array([text.strip() for text in texts])

    def _tokens(self, batch: torch.Tensor, start: torch.Tensor) -> torch.Tensor:
        pixels = normalise(batch, CLIP).to(self._placement.dtype)
        found = self._network.generate(
            pixel_values=pixels, input_ids=start, do_sample=False, num_beams=1, **self._length
        )
        return found[:, self._prompt_tokens :]

    def identity(self) -> dict[str, str | None]:
        """See ``protocols.Network``."""
        return weights.folder_identity(self._model, self._folder, self._placement.precision)

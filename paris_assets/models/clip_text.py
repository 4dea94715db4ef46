"""CLIP's text encoder (Radford et al. 2021), as Paris and Stable Diffusion condition on it."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import torch
from transformers import CLIPTextModel

from paris_assets.config import Model
from paris_assets.models import weights
from paris_assets.models.device import place
from paris_assets.models.protocols import TextEmbeddings
from paris_assets.models.transformer import load, load_tokenizer, token_counts, tokenise


class ClipText:
    """Text encoder: last hidden states after the final layer norm; pooled = the state at the end-of-text token."""

    def __init__(self, model: Model, subfolder: str = "") -> None:
        self.name, self.batch_size = model.implementation, model.batch_size
        self._model, self._placement, self._subfolder = model, place(model), subfolder
        self.in_flight = self._placement.in_flight
        self._folder = weights.pretrained_folder(model, subfolder)
        self._tokenizer = load_tokenizer(self._folder)
        self._network = load(CLIPTextModel, self._folder, self._placement)
        self.dim = self.pooled_dim = int(self._network.config.hidden_size)

    def encode(self, texts: Sequence[str], tokens: int) -> TextEmbeddings:
        """See ``protocols.TextEncoder``.

        The attention is causal and, as in Stable Diffusion, unmasked: padding changes no true token, and the states at
        padded positions are the ones that unmasked cross-attention was trained with.
        """
        longest = self._network.config.max_position_embeddings
        batch = tokenise(self._tokenizer, texts, tokens, longest)
        hidden, pooled = self._placement.compute_all(self._states, batch.ids)
        return TextEmbeddings(hidden, pooled, batch.counts)

    def _states(self, ids: torch.Tensor) -> tuple[torch.Tensor, torch.Tensor]:
        output = self._network(input_ids=ids)
        return output.last_hidden_state.float(), output.pooler_output.float()

    def count(self, texts: Sequence[str]) -> np.ndarray:
        """See ``protocols.TextEncoder``."""
        return token_counts(self._tokenizer, texts)

    def identity(self) -> dict[str, str | None]:
        """See ``protocols.Network``; with the tokenizer's files."""
        found = weights.folder_identity(self._model, self._folder, self._placement.precision, self._subfolder)
        return {**found, "tokenizer_sha256": weights.tokenizer_sha256(self._folder)}

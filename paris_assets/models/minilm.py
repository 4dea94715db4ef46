"""all-MiniLM-L6-v2 (sentence-transformers): a text encoder without a hub."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import torch
from transformers import BertModel

from paris_assets.config import Model
from paris_assets.models import carried, weights
from paris_assets.models.device import place
from paris_assets.models.protocols import TextEmbeddings
from paris_assets.models.transformer import added_mask, load, load_tokenizer, token_counts, tokenise


class MiniLm:
    """Text encoder: last hidden states, 384-d; pooled = their mean over the true tokens, L2-normalised, as the
    model's sentence-transformers configuration says (``1_Pooling``, ``2_Normalize``). True tokens see no padding."""

    dim = pooled_dim = 384
    length_step = 16

    def __init__(self, model: Model) -> None:
        self.name, self.batch_size = model.implementation, model.batch_size
        self._model, self._placement = model, place(model)
        self.in_flight = self._placement.in_flight
        self._folder = carried.MINILM.verified().parent
        self._tokenizer = load_tokenizer(self._folder)
        self._network = load(BertModel, self._folder, self._placement)

    def encode(self, texts: Sequence[str], tokens: int) -> TextEmbeddings:
        """See ``protocols.TextEncoder``."""
        longest = self._network.config.max_position_embeddings
        batch = tokenise(self._tokenizer, texts, tokens, longest)
        hidden, pooled = self._placement.compute_all(self._states, batch.ids, batch.mask)
        return TextEmbeddings(hidden, pooled, batch.counts)

    def _states(self, ids: torch.Tensor, mask: torch.Tensor) -> tuple[torch.Tensor, torch.Tensor]:
        attention = added_mask(mask, self._placement.dtype)
        hidden = self._network(input_ids=ids, attention_mask=attention).last_hidden_state.float()
        true = mask[..., None]
        return hidden, torch.nn.functional.normalize((hidden * true).sum(1) / true.sum(1))

    def count(self, texts: Sequence[str]) -> np.ndarray:
        """See ``protocols.TextEncoder``."""
        return token_counts(self._tokenizer, texts)

    def identity(self) -> dict[str, str | None]:
        """See ``protocols.Network``; with the tokenizer's files."""
        found = carried.package_identity(self._model, carried.MINILM, self._placement.precision)
        return {**found, "tokenizer_sha256": weights.tokenizer_sha256(self._folder)}

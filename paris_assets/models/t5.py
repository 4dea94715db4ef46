"""Encoders of T5 v1.1 (Raffel et al. 2020) and UMT5 (Chung et al. 2023; pile-t5), as text-to-image networks take them.

T5 shares one table of position biases between its blocks and UMT5 has one in each, so weights of one give nonsense in
the other: neither is loaded as the other.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, ClassVar

import numpy as np
import torch
from transformers import T5EncoderModel, UMT5EncoderModel

from paris_assets.config import Model
from paris_assets.models import weights
from paris_assets.models.carried import WeightsError
from paris_assets.models.device import Placement, place
from paris_assets.models.protocols import TextEmbeddings
from paris_assets.models.spiece import load_spiece
from paris_assets.models.transformer import added_mask, load, load_tokenizer, token_counts, tokenise

LENGTH_STEP = 32
"""Texts are encoded at their own length rounded up to a multiple of this."""
DECODER = ("decoder.", "lm_head.")
"""Beginnings of the names of parameters that a whole encoder-decoder has beside its encoder's."""


class MaskedStates:
    """Last hidden states of an encoder that attends in both directions, and to true tokens only; padded positions are
    exact zeros, and there is no pooled vector."""

    pooled_dim: int | None = None

    def __init__(self, model: Model, placement: Placement, tokenizer: Any, network: Any, length_step: int) -> None:
        if length_step < 1:
            raise ValueError(f"{model.implementation}: length_step is {length_step}, but a text takes 1 token or more")
        self.name, self.batch_size, self.length_step = model.implementation, model.batch_size, length_step
        self._model, self._placement, self._tokenizer, self._network = model, placement, tokenizer, network
        self.in_flight, self.dim = placement.in_flight, int(network.config.d_model)
        self._end = int(network.config.eos_token_id)
        if tokenizer.pad_token is None:  # Llama's has none; what padding is called matters to nobody who has the mask
            tokenizer.pad_token = tokenizer.convert_ids_to_tokens(network.config.pad_token_id)
        if len(tokenizer) > network.config.vocab_size:
            raise WeightsError(
                f"{self.name}: the tokenizer has {len(tokenizer)} tokens, and the network knows "
                f"{network.config.vocab_size}: take the network's own"
            )

    def encode(self, texts: Sequence[str], tokens: int) -> TextEmbeddings:
        """See ``protocols.TextEncoder``. A text that the tokenizer gives no token is the end token alone, as T5's own
        tokenizer has it."""
        batch = tokenise(self._tokenizer, texts, tokens, tokens)
        none = batch.mask[:, 0] == 0
        ids, mask = batch.ids.copy(), batch.mask.copy()
        ids[none, 0], mask[none, 0] = self._end, 1
        return TextEmbeddings(self._placement.compute(self._states, ids, mask), None, np.maximum(batch.counts, 1))

    def _states(self, ids: torch.Tensor, mask: torch.Tensor) -> torch.Tensor:
        attention = added_mask(mask, self._placement.dtype)
        states = self._network(input_ids=ids, attention_mask=attention).last_hidden_state.float()
        return states.masked_fill((mask == 0)[..., None], 0.0)

    def count(self, texts: Sequence[str]) -> np.ndarray:
        """See ``protocols.TextEncoder``."""
        return np.maximum(token_counts(self._tokenizer, texts), 1)


class T5(MaskedStates):
    """The encoder of a T5 v1.1 checkpoint, from a whole encoder-decoder or from an encoder alone.

    Options: ``subfolder`` of the weights and ``tokenizer_subfolder`` of the tokenizer, as pipelines keep them; and
    ``length_step``, the multiple to which a text's own length is rounded up where true tokens are stored.

    Raises:
        WeightsError: a checkpoint of another kind, one that lacks parameters, or another network's tokenizer.
    """

    kind: ClassVar[Any] = T5EncoderModel
    model_types: ClassVar[tuple[str, ...]] = ("t5",)

    def __init__(
        self,
        model: Model,
        subfolder: str = "",
        tokenizer_subfolder: str | None = None,
        length_step: int = LENGTH_STEP,
    ) -> None:
        placement, self._subfolder = place(model), subfolder
        self._folder = weights.pretrained_folder(model, subfolder)
        self._texts = weights.tokenizer_folder(model)
        weights.require_kind(self._folder, self.model_types)
        network = load(self.kind, self._folder, placement, unused=DECODER)
        whole = (self._texts / "tokenizer.json").is_file()
        tokenizer = load_tokenizer(self._texts) if whole else load_spiece(self._texts)
        super().__init__(model, placement, tokenizer, network, length_step)

    def identity(self) -> dict[str, str | None]:
        """See ``protocols.Network``; with the tokenizer's files."""
        found = weights.folder_identity(self._model, self._folder, self._placement.precision, self._subfolder)
        return {**found, "tokenizer_sha256": weights.tokenizer_sha256(self._texts)}


class Umt5(T5):
    """The encoder of a UMT5 checkpoint, pile-t5 among them; see ``T5``."""

    kind = UMT5EncoderModel
    model_types = ("umt5",)

"""A small encoder of the shape of UMT5 with random weights: what a profile with T5 does can be run without a hub.

It knows nothing of language. Texts that share words share vectors, as far as two random layers leave them, and that is
all: no figure is to be claimed from it.
"""

from __future__ import annotations

import hashlib
import math

import numpy as np
import torch
from tokenizers.processors import TemplateProcessing
from transformers import UMT5Config, UMT5EncoderModel

from paris_assets.config import Model
from paris_assets.models import carried, weights
from paris_assets.models.carried import WeightsError
from paris_assets.models.device import place, ready
from paris_assets.models.t5 import LENGTH_STEP, MaskedStates
from paris_assets.models.transformer import load_tokenizer

SEED = 14
SHA256 = "fad22d6be05f59a8ec396fb9da5ff8927be2a21c9909b7ca57e45d8f68e31b65"
"""Of all weights, float32 and little-endian, by name."""
END = "[SEP]"
EMBEDDINGS, NORM, BIASES = "shared.weight", "layer_norm.weight", "relative_attention_bias.weight"
TIED = "encoder.embed_tokens.weight"


class SmallT5(MaskedStates):
    """128 values per token, from the words of MiniLM's tokenizer and T5's end token.

    Options: ``length_step``, see ``t5.T5``.
    """

    def __init__(self, model: Model, length_step: int = LENGTH_STEP) -> None:
        placement = place(model)
        self._texts = carried.MINILM_TOKENIZER.verified().parent
        tokenizer = load_tokenizer(self._texts)
        end = int(tokenizer.convert_tokens_to_ids(END))
        tokenizer.backend_tokenizer.post_processor = TemplateProcessing(single=f"$A {END}", special_tokens=[(END, end)])
        config = UMT5Config(
            vocab_size=len(tokenizer),
            d_model=128,
            d_kv=32,
            d_ff=256,
            num_layers=2,
            num_heads=4,
            eos_token_id=end,
            pad_token_id=tokenizer.pad_token_id,
            is_encoder_decoder=False,
        )
        network = ready(_drawn(config, placement.dtype), placement)
        super().__init__(model, placement, tokenizer, network, length_step)

    def identity(self) -> dict[str, str | None]:
        """See ``protocols.Network``; it says that the weights are random."""
        return {
            "implementation": self.name,
            "source": f"random weights of seed {SEED}, tokenizer of {carried.MINILM_TOKENIZER.source()}",
            "revision": None,
            "sha256": SHA256,
            "precision": self._placement.precision,
            "weights": "random",
            "tokenizer_sha256": weights.tokenizer_sha256(self._texts),
        }


def _drawn(config: UMT5Config, dtype: torch.dtype) -> UMT5EncoderModel:
    """The network with weights that are the same on every machine.

    Raises:
        WeightsError: they are not.
    """
    with torch.device("meta"):
        network = UMT5EncoderModel(config)
    shapes = {name: tuple(value.shape) for name, value in network.state_dict().items() if name != TIED}
    drawn = draw_weights(shapes, config.d_kv)
    digest = hashlib.sha256()
    for name in sorted(drawn):
        digest.update(drawn[name].astype("<f4", copy=False).tobytes())
    if digest.hexdigest() != SHA256:
        raise WeightsError(f"small-t5 drew weights with sha256 {digest.hexdigest()}, expected {SHA256}: report it")
    values = {name: torch.from_numpy(value).to(dtype) for name, value in drawn.items()}
    network.load_state_dict({**values, TIED: values[EMBEDDINGS]}, assign=True)
    return network


def draw_weights(shapes: dict[str, tuple[int, ...]], head_width: int) -> dict[str, np.ndarray]:
    """Name -> float32 weights: uniform, of the deviation that T5 is initialised with, scales of norms 1.

    Made of the bits of PCG64, which no release of numpy changes, by operations that every machine rounds alike.

    Args:
        shapes: of every parameter.
        head_width: values of a query, by which T5 divides no product, so that its weights are smaller.
    """
    bits, drawn = np.random.PCG64(SEED), {}
    for name in sorted(shapes):
        shape = shapes[name]
        if name.endswith(NORM):
            drawn[name] = np.ones(shape, np.float32)
            continue
        inputs = 1 if name in (EMBEDDINGS,) or name.endswith(BIASES) else shape[1]
        inputs *= head_width if name.endswith("SelfAttention.q.weight") else 1
        units = (bits.random_raw(math.prod(shape)) >> np.uint64(40)).astype(np.float32) / np.float32(1 << 23) - 1
        drawn[name] = (units * np.float32(math.sqrt(3 / inputs))).reshape(shape)
    return drawn

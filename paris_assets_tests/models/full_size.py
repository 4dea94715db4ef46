"""The Paris profile's networks at full size with random weights: their speed is that of the real ones."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import torch
from diffusers.models.autoencoders.autoencoder_kl import AutoencoderKL
from transformers import (
    Blip2Config,
    Blip2ForConditionalGeneration,
    CLIPTextConfig,
    CLIPTextModel,
    Dinov2Config,
    Dinov2Model,
)

from paris_assets_tests.models import tiny


def dinov2_base(folder: Path) -> None:
    """facebook/dinov2-base: 86 million parameters."""
    config = Dinov2Config(hidden_size=768, num_hidden_layers=12, num_attention_heads=12, image_size=518, patch_size=14)
    _save(lambda: Dinov2Model(config), folder)


def dinov2_large(folder: Path) -> None:
    """facebook/dinov2-large: 304 million parameters."""
    config = Dinov2Config(hidden_size=1024, num_hidden_layers=24, num_attention_heads=16, image_size=518, patch_size=14)
    _save(lambda: Dinov2Model(config), folder)


def clip_l_text(folder: Path) -> None:
    """Text encoder of openai/clip-vit-large-patch14: 123 million parameters."""
    decided: dict[str, Any] = {**tiny.clip_tokenizer(folder), "vocab_size": 49408}
    config = CLIPTextConfig(
        hidden_size=768, intermediate_size=3072, num_hidden_layers=12, num_attention_heads=12, **decided
    )
    _save(lambda: CLIPTextModel(config), folder)


def sd_vae(folder: Path) -> None:
    """stabilityai/sd-vae-ft-mse: 84 million parameters, 34 million of them in the encoder."""
    settings: dict[str, Any] = dict(
        down_block_types=("DownEncoderBlock2D",) * 4,
        up_block_types=("UpDecoderBlock2D",) * 4,
        block_out_channels=(128, 256, 512, 512),
        layers_per_block=2,
        sample_size=256,
    )
    _save(lambda: AutoencoderKL(**settings), folder)


def blip2_opt(folder: Path) -> None:
    """Salesforce/blip2-opt-2.7b: 3.7 billion parameters."""
    decided, image_token = tiny.blip2_processor(folder, 32)
    opt = dict(
        model_type="opt", hidden_size=2560, word_embed_proj_dim=2560, num_hidden_layers=32, num_attention_heads=32,
        ffn_dim=10240, max_position_embeddings=2048,
    )  # fmt: skip
    text: dict[str, Any] = {**opt, **decided, "vocab_size": 50304}
    config = Blip2Config(
        vision_config={}, qformer_config={}, text_config=text, num_query_tokens=32, image_token_index=image_token
    )
    _save(lambda: Blip2ForConditionalGeneration(config), folder)


def _save(build: Callable[[], Any], folder: Path) -> None:
    """Weights as a trained network's are spread, drawn in bf16: the libraries' own initialisation takes minutes."""
    torch.manual_seed(0)
    with torch.device("meta"):
        network = build()
    network = network.bfloat16().to_empty(device="cpu")
    for name, parameter in network.named_parameters():
        if name.endswith("weight") and parameter.dim() == 1:
            torch.nn.init.ones_(parameter)
        else:
            torch.nn.init.normal_(parameter, std=0.02)
    if hasattr(network, "tie_weights"):
        network.tie_weights()
    network.save_pretrained(folder)

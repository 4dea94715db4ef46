"""Random networks of a few thousand weights, saved in a folder as the hub would hold them."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import torch
from diffusers.models.autoencoders.autoencoder_kl import AutoencoderKL
from tokenizers import Tokenizer, models, pre_tokenizers, processors
from transformers import CLIPTextConfig, CLIPTextModel, Dinov2Config, Dinov2Model, PreTrainedTokenizerFast


def dinov2(folder: Path) -> Path:
    """DINOv2 of width 32 and two layers."""
    torch.manual_seed(0)
    config = Dinov2Config(hidden_size=32, num_hidden_layers=2, num_attention_heads=2, image_size=70, patch_size=14)
    Dinov2Model(config).save_pretrained(folder)
    return folder


def clip_text(folder: Path) -> Path:
    """CLIP's text encoder of width 32 with a byte-level tokenizer; 77 positions."""
    torch.manual_seed(0)
    letters = sorted(pre_tokenizers.ByteLevel.alphabet())
    special = ["<|startoftext|>", "<|endoftext|>"]
    vocabulary = {token: index for index, token in enumerate([*letters, *special])}
    start, end = vocabulary[special[0]], vocabulary[special[1]]
    tokenizer = Tokenizer(models.BPE(vocab=vocabulary, merges=[]))
    tokenizer.pre_tokenizer = pre_tokenizers.ByteLevel(add_prefix_space=False)  # type: ignore[assignment]
    tokenizer.post_processor = processors.TemplateProcessing(  # type: ignore[assignment]
        single=f"{special[0]} $A {special[1]}", special_tokens=[(special[0], start), (special[1], end)]
    )
    PreTrainedTokenizerFast(
        tokenizer_object=tokenizer, bos_token=special[0], eos_token=special[1], pad_token=special[1]
    ).save_pretrained(folder)
    config = CLIPTextConfig(
        vocab_size=len(vocabulary), hidden_size=32, intermediate_size=64, num_hidden_layers=2, num_attention_heads=2,
        bos_token_id=start, eos_token_id=end, pad_token_id=end,
    )  # fmt: skip
    CLIPTextModel(config).save_pretrained(folder)
    return folder


def autoencoder(folder: Path) -> Path:
    """AutoencoderKL with four latent channels, eight pixels per cell and a scaling factor of 0.5."""
    torch.manual_seed(0)
    settings: dict[str, Any] = dict(
        down_block_types=("DownEncoderBlock2D",) * 4,
        up_block_types=("UpDecoderBlock2D",) * 4,
        block_out_channels=(8, 8, 16, 16),
        layers_per_block=1,
        norm_num_groups=4,
        mid_block_add_attention=False,
        scaling_factor=0.5,
    )
    AutoencoderKL(**settings).save_pretrained(folder)
    return folder
